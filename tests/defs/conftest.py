"""A small real installation: landed days with every kind of trouble, walked once on a real instance."""

import shutil
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mlobs_pipelines.contracts.folder import load_models
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.settings import Settings

CONTRACTS = Path(__file__).parents[2] / "data_contracts"
MODEL = "flight_delays"
FIRST, LAST = date(2013, 6, 20), date(2013, 6, 26)
REPLAYED, REPLAY, PARTIAL, MISSING, EMPTY, REFUSED = (f"2013-06-{day}" for day in (20, 21, 22, 23, 25, 26))
BAD_ROWS = 3


class Season(NamedTuple):
    """An installation whose days were walked, its lake before that, and the runs that did it."""

    site: Any
    before: Path
    defs: Any
    instance: Any
    runs: list


@pytest.fixture(scope="session")
def spec():
    """Give what is declared about the flight model."""
    return load_models(CONTRACTS, METRICS)[MODEL]


@pytest.fixture(scope="session")
def landing(history, tmp_path_factory):
    """Give landed days: one repeats the day before, one has bad rows, one no file, one no rows."""
    from mlobs_pipelines.demo import DemoPlan  # noqa: PLC0415 - only where it is asked for
    from mlobs_pipelines.demo.landing import write_landing  # noqa: PLC0415 - as above

    root = tmp_path_factory.mktemp("landing")
    incidents = frozenset({"replay", "renamed-column"})
    write_landing(DemoPlan(FIRST, LAST, share=0.03, incidents=incidents), history, root / MODEL)
    predictions = root / MODEL / "predictions"
    (predictions / f"{MISSING}.parquet").unlink()
    _rewrite(predictions / f"{EMPTY}.parquet", lambda frame: frame.clear())
    _rewrite(predictions / f"{PARTIAL}.parquet", _break_rows)
    return root


def _rewrite(path, change):
    import polars as pl  # noqa: PLC0415 - only where it is asked for

    change(pl.read_parquet(path)).write_parquet(path)


def _break_rows(frame):
    bad = frame.head(BAD_ROWS).with_columns(score=1.5 + 0 * frame["latency_ms"].head(BAD_ROWS))
    return bad.vstack(frame.tail(-BAD_ROWS))


@pytest.fixture
def site(landing, tmp_path):
    """Give an installation of this test's own, on the shared landing zone."""
    return site_at(tmp_path / "home", landing)


def site_at(home, landing, contracts=CONTRACTS):
    """Make an installation that reads nothing of the machine's own settings."""
    from mlobs_pipelines.defs.resources import Site  # noqa: PLC0415 - Dagster takes seconds

    return Site(Settings(_env_file=None, home=home, landing=landing, contracts=contracts))


@pytest.fixture
def defs(site):
    """Give the code location of this test's installation."""
    from mlobs_pipelines.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds

    return build_defs(site)


@pytest.fixture
def instance():
    """Give an instance in memory."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds

    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture(scope="session")
def blank(tmp_path_factory):
    """Give the folder of an instance in which nothing has run: copied in a fifth of what making one takes."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds

    folder = tmp_path_factory.mktemp("blank")
    with dg.instance_for_test(temp_dir=str(folder)):
        return folder


@pytest.fixture
def kept_instance(blank, tmp_path):
    """Give an instance of the test's own that is kept in files, as schedules and sensors open it."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds

    shutil.copytree(blank, tmp_path / "instance")
    with dg.instance_for_test(temp_dir=str(tmp_path / "instance")) as opened:
        yield opened


def execute(defs, instance, job, tags=None, **more):
    """Run one of the model's jobs."""
    from mlobs_pipelines.defs.launch import QUIET  # noqa: PLC0415 - Dagster takes seconds

    found = defs.resolve_job_def(f"{MODEL}_{job}")
    more = {"raise_on_error": False, "run_config": QUIET, **more}
    return found.execute_in_process(instance=instance, tags=tags, **more)


def materialized(run):
    """Give what a run said last of each asset and partition."""
    found = [event.materialization for event in run.get_asset_materialization_events()]
    return {(one.asset_key.path[-1], one.partition): one for one in found}


@pytest.fixture(scope="session")
def season(landing, tmp_path_factory):
    """Give the walked days, run through the repository's own dagster.yaml on SQLite."""
    from mlobs_pipelines.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds
    from mlobs_pipelines.defs.jobs import range_tags  # noqa: PLC0415 - as above
    from mlobs_pipelines.defs.launch import instance as open_instance  # noqa: PLC0415 - as above

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLOBS_POSTGRES_URL", raising=False)
        home = tmp_path_factory.mktemp("season")
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        site = site_at(home, landing)
        defs = build_defs(site)
        with open_instance(site) as opened:
            runs = [
                execute(defs, opened, "baseline"),
                execute(defs, opened, "features", partition_key="2013-06-01"),
                execute(defs, opened, "labels", range_tags(date(2013, 6, 27), date(2013, 7, 3))),
            ]
            before = Path(shutil.copytree(site.settings.lake_root, home / "before"))
            runs.append(execute(defs, opened, "daily", range_tags(FIRST, LAST)))
            yield Season(site, before, defs, opened, runs)


@pytest.fixture(scope="session")
def walked(season):
    """Give the run that walked all days."""
    return season.runs[-1]
