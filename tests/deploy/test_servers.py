"""The compose file's commands as processes, on a real PostgreSQL: they find each other and answer probes."""

import importlib.util
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.deploy.test_compose import SERVICES
from tests.deploy.test_image import IMAGE, ROOT
from tests.postgres import database
from tests.servers import get, port, running, until

REFUSED = {
    "startSchedule": """mutation { startSchedule(scheduleSelector: {repositoryName: "__repository__",
        repositoryLocationName: "mlobs", scheduleName: "x"}) { __typename } }""",
    "launchPartitionBackfill": """mutation { launchPartitionBackfill(backfillParams: {
        partitionNames: ["2013-05-01"], assetSelection: [{path: ["flight_delays", "labels"]}]})
        { __typename } }""",
    "deletePipelineRun": """mutation { deletePipelineRun(runId: "x") { __typename } }""",
    "wipeAssets": """mutation { wipeAssets(assetPartitionRanges: [
        {assetKey: {path: ["flight_delays", "labels"]}}]) { __typename } }""",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Give a container's folders: an instance as the image makes it, and the database's URL as a file."""
    folder = tmp_path_factory.mktemp("servers")
    home = folder / "dagster"
    (home / "storage").mkdir(parents=True)
    both = (ROOT / "dagster.yaml").read_text() + (IMAGE / "python_logs.yaml").read_text()
    (home / "dagster.yaml").write_text(both)
    every = os.environ  # noqa: TID251 - a child's
    kept = {name: every[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in every}
    given = {"DAGSTER_HOME": home, "MLOBS_HOME": folder / "home", "MLOBS_SECRETS_DIR": folder / "secrets"}
    given |= {"MLOBS_CONTRACTS": ROOT / "data_contracts", "MLOBS_LOG_FORMAT": "json"}
    (folder / "secrets").mkdir()
    with database("servers") as url:
        (folder / "secrets" / "mlobs_postgres_url").write_text(url)
        yield folder, kept | {name: str(value) for name, value in given.items()}


@pytest.fixture(scope="module")
def servers(place):
    """Start code server, read-only webserver and daemon by the compose file's commands; give their ports."""
    folder, variables = place
    ports = {"4000": str(port()), "3000": str(port())}
    workspace = yaml.safe_load((IMAGE / "workspace.yaml").read_text())
    workspace["load_from"][0]["grpc_server"] |= {"host": "127.0.0.1", "port": int(ports["4000"])}
    (folder / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    moved = ports | {"0.0.0.0": "127.0.0.1", "/opt/mlobs/workspace.yaml": str(folder / "workspace.yaml")}  # noqa: S104 - replaced

    def command(service):
        return [moved.get(word, word) for word in SERVICES[service]["command"]]

    with running(command("code"), variables, folder):
        answers = _probe(SERVICES["code"])
        until(lambda: answers(ports["4000"]), "answer of the code server")
        with (
            running(command("webserver-read-only"), variables, folder),
            running(command("daemon"), variables, folder),
        ):
            until(lambda: get(f"http://127.0.0.1:{ports['3000']}/server_info"), "answer of the webserver")
            yield ports


def _probe(service):
    """Give the check that the code server's health check runs."""
    name = Path(service["healthcheck"]["test"][2]).name
    spec = importlib.util.spec_from_file_location("probe", IMAGE / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.answers


def test_the_webserver_shows_what_the_code_server_knows(servers):
    """The location is loaded over gRPC, with the demo's jobs; runs are kept in PostgreSQL."""
    query = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
        locationOrLoadError { ... on RepositoryLocation { repositories { jobs { name } } } } } } } }"""
    ask = f"http://127.0.0.1:{servers['3000']}/graphql"
    (entry,) = get(ask, query)["data"]["workspaceOrError"]["locationEntries"]
    assert (entry["name"], entry["loadStatus"]) == ("mlobs", "LOADED")
    (repository,) = entry["locationOrLoadError"]["repositories"]
    assert "flight_delays_daily" in {job["name"] for job in repository["jobs"]}


@pytest.mark.parametrize("mutation", REFUSED)
def test_a_read_only_webserver_changes_nothing(servers, mutation):
    """Switching, launching, deleting and wiping are refused as not permitted."""
    answer = get(f"http://127.0.0.1:{servers['3000']}/graphql", REFUSED[mutation])
    assert answer["data"][mutation]["__typename"] == "UnauthorizedError", answer


def test_every_daemon_lives_and_health_says_so(servers, place, monkeypatch):
    """Heartbeats arrive in the database; `health` and the compose file's check agree that all is well."""
    from click.testing import CliRunner  # noqa: PLC0415 - only here
    from dagster._daemon.cli import liveness_check_command  # noqa: PLC0415 - Dagster takes seconds

    from mlobs_pipelines.defs.health import daemons  # noqa: PLC0415 - as above
    from mlobs_pipelines.defs.launch import instance  # noqa: PLC0415 - as above
    from mlobs_pipelines.defs.resources import Site  # noqa: PLC0415 - as above
    from mlobs_pipelines.settings import Settings  # noqa: PLC0415 - as above
    from mlobs_pipelines.steps.health import State  # noqa: PLC0415 - as above

    assert servers
    for name, value in place[1].items():
        monkeypatch.setenv(name, value)
    with instance(Site(Settings())) as opened:
        assert "Postgres" in type(opened.run_storage).__name__
        lines = until(lambda: _well(list(daemons(opened, datetime.now(UTC)))), "heartbeat of every daemon")
    assert {line.state for line in lines} == {State.OK}
    assert {line.what for line in lines} >= {"daemon scheduler", "daemon sensor", "daemon backfill"}
    assert CliRunner().invoke(liveness_check_command).exit_code == 0


def _well(lines):
    return lines if len(lines) > 1 and all(line.state == "ok" for line in lines) else None


def test_servers_tell_in_json_and_write_where_they_may(servers, place):
    """Their log lines are objects, no line has the database's URL; they write where the file lets them."""
    folder, _ = place
    assert servers
    url = (folder / "secrets" / "mlobs_postgres_url").read_text()
    logs = {path.name: path.read_text().splitlines() for path in folder.glob("*.log")}
    assert len(logs) == 3
    for name, lines in logs.items():
        assert lines, name
        assert not [line for line in lines if url in line], name
        objects = [line for line in lines if line.startswith("{")]
        assert objects, name
        assert all(json.loads(line) for line in objects)
    may = {"dagster.yaml", "storage"} | {Path(one.split(":")[0]).name for one in SERVICES["daemon"]["tmpfs"]}
    assert {path.name for path in (folder / "dagster").iterdir()} <= may
