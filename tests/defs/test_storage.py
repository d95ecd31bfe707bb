"""One `dagster.yaml` for a laptop and a server: SQLite without a database URL, PostgreSQL with one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from mlobs_pipelines.defs.launch import instance as open_instance
from mlobs_pipelines.defs.sqlite import KEPT_OPEN, SteadySqliteStorage
from mlobs_pipelines.defs.storage import EnvSelectedStorage
from mlobs_pipelines.destinations.postgres import with_driver
from tests.defs.conftest import MODEL, execute
from tests.postgres import database

ROOT = Path(__file__).parents[2]


@pytest.fixture
def postgres_url():
    """Give the URL of an empty database."""
    with database("postgres") as url:
        yield url


def _round_trip(site, defs):
    """Run a job, and read its run and events back through an instance opened anew."""
    with open_instance(site) as opened:
        run = execute(defs, opened, "features", partition_key="2013-06-21")
    with open_instance(site) as again:
        assert again.get_run_by_id(run.run_id).is_success
        key = dg.AssetKey([MODEL, "features"])
        assert again.get_materialized_partitions(key) == {"2013-06-21"}
        return type(again.run_storage).__name__


def test_sqlite_without_a_url(site, defs, monkeypatch):
    """Without a URL the instance keeps its runs in SQLite, and finds them again."""
    monkeypatch.delenv("MLOBS_POSTGRES_URL", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert "Sqlite" in _round_trip(site, defs)
    assert list(site.settings.dagster_home.rglob("runs.db"))


def test_postgres_with_a_url(site, defs, postgres_url, monkeypatch):
    """With a URL the same dagster.yaml keeps runs and events in PostgreSQL, and nothing in SQLite."""
    monkeypatch.setenv("MLOBS_POSTGRES_URL", postgres_url)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert "Postgres" in _round_trip(site, defs)
    assert not list(site.settings.dagster_home.rglob("runs.db"))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_any_scheme_people_write_is_understood(scheme):
    """Whatever the scheme says, the driver that is installed is used."""
    assert with_driver(f"{scheme}://u@h/db") == "postgresql+psycopg2://u@h/db"


def test_the_switch_itself_is_no_storage():
    """Making the switch directly is refused, so that nobody takes it for a storage."""
    with pytest.raises(TypeError, match=r"dagster\.yaml"):
        EnvSelectedStorage()


def test_dagster_accepts_the_workspace(tmp_path):
    """`dagster definitions validate` ends well with our workspace.yaml and dagster.yaml."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "MLOBS_HOME": str(tmp_path / "home")}  # noqa: TID251 - a child's
    environment.pop("MLOBS_POSTGRES_URL", None)
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_wiped_database_is_opened_anew(tmp_path):
    """Connections stay open, yet a database that another process has deleted is not written to."""
    storage = SteadySqliteStorage(str(tmp_path)).event_log_storage
    for _ in range(2):
        with storage.run_connection("a-run") as connection:
            tables = {name for (name,) in connection.execute(text("SELECT name FROM sqlite_master"))}
        assert "event_logs" in tables
        for file in tmp_path.rglob("a-run.db*"):
            file.unlink()


def test_few_databases_stay_open(tmp_path):
    """A daemon that has looked at many runs keeps the databases of a few open, and closes all at its end."""
    storage = SteadySqliteStorage(str(tmp_path)).event_log_storage
    for number in range(KEPT_OPEN + 3):
        with storage.run_connection(f"run-{number}"):
            pass
    assert len(storage._open) == KEPT_OPEN
    storage.dispose()
    assert not storage._open
