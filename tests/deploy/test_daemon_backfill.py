"""A backfill as the UI asks for it: GraphQL, the daemon's queue, a worker; cancelled, and launched again."""

import os
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from mlobs_pipelines.defs.launch import instance as open_instance
from tests.defs.conftest import CONTRACTS, MISSING, MODEL, landing, site_at
from tests.servers import listens, port, running, until

__all__ = ["landing"]
ROOT = Path(__file__).parents[2]
DAYS = [f"2013-06-{day}" for day in range(22, 25)]
ASSETS = ("predictions", "prediction_log")
LAUNCH = """mutation { launchPartitionBackfill(backfillParams: {assetSelection: [%s], partitionNames: [%s],
    title: "after a bug fix"}) { ... on LaunchBackfillSuccess { backfillId } } }"""
CANCEL = """mutation { cancelPartitionBackfill(backfillId: "%s") { __typename } }"""
STATUS = """{ partitionBackfillOrError(backfillId: "%s") { ... on PartitionBackfill { status
    runs { id status tags { key value } } } } }"""
STARTED = ("STARTED", "SUCCESS", "FAILURE")


@contextmanager
def _opened(site):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLOBS_POSTGRES_URL", raising=False)
        patch.setenv("DAGSTER_HOME", str(site.settings.home / "dagster"))
        with open_instance(site) as opened:
            yield opened


@pytest.fixture(scope="module")
def servers(landing, tmp_path_factory):
    """Start code server and daemon on an installation of their own; give it and a way to ask GraphQL."""
    folder = tmp_path_factory.mktemp("backfilled")
    site, code = site_at(folder / "home", landing), port()
    every = os.environ  # noqa: TID251 - a child's
    variables = {name: every[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in every}
    said = {"HOME": folder / "home", "LANDING": landing, "CONTRACTS": CONTRACTS}
    variables |= {f"MLOBS_{name}": str(value) for name, value in said.items()}
    variables["DAGSTER_HOME"] = str(site.settings.home / "dagster")
    server = {"host": "127.0.0.1", "port": code, "location_name": "mlobs"}
    (folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    known, module = ["-w", str(folder / "workspace.yaml")], ["-m", "mlobs_pipelines.definitions"]
    listen = ["api", "grpc", *module, "-h", "127.0.0.1", "-p", str(code), "-d", str(ROOT)]
    with (
        _opened(site) as opened,  # its databases are made once, before three processes open them
        running(["dagster", *listen], variables, folder),
        running(["dagster-daemon", "run", *known], variables, folder),
    ):
        until(lambda: listens(code), "answer of the code server")
        with WorkspaceProcessContext(opened, GrpcServerTarget(**server, socket=None)) as workspace:
            yield site, lambda query: execute_dagster_graphql(workspace.create_request_context(), query).data


def _launch(ask):
    chosen = ", ".join(f'{{path: ["{MODEL}", "{name}"]}}' for name in ASSETS)
    query = LAUNCH % (chosen, ", ".join(f'"{day}"' for day in DAYS))
    found = until(lambda: ask(query), "answer to a launch")["launchPartitionBackfill"]
    return found["backfillId"]


def _seen(ask, backfill):
    return (ask(STATUS % backfill) or {}).get("partitionBackfillOrError") or {"status": "", "runs": []}


def test_a_backfill_is_launched_cancelled_and_launched_again(servers):
    """Days are one run; cancelled, no table is half written; launched again, every day is there once."""
    site, ask = servers
    first = _launch(ask)
    (run,) = until(lambda: [one for one in _seen(ask, first)["runs"] if one["status"] in STARTED], "run")
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert (tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]) == (
        DAYS[0],
        DAYS[-1],
    )
    assert ask(CANCEL % first)["cancelPartitionBackfill"]["__typename"] == "CancelBackfillSuccess"
    until(
        lambda: _seen(ask, first)["status"] in {"CANCELED", "COMPLETED_SUCCESS"},
        "end of a cancelled backfill",
    )
    whole = _days(site, "predictions")
    assert _days(site, "prediction_log").items() <= whole.items()  # each day whole, or not there yet
    again = _launch(ask)
    until(lambda: [one for one in _seen(ask, again)["runs"] if one["status"] == "SUCCESS"], "successful run")
    rows = site.lake.read(MODEL, "predictions", columns=["prediction_id", "model_version"]).to_pylist()
    assert len({(row["prediction_id"], row["model_version"]) for row in rows}) == len(rows) > 0
    assert _days(site, "prediction_log") == _days(site, "predictions")
    assert [set(_days(site, name)) for name in ASSETS] == [set(DAYS) - {MISSING}] * len(ASSETS)
    with dg.DagsterInstance.from_config(str(site.settings.home / "dagster")) as opened:
        for name in ASSETS:
            assert opened.get_materialized_partitions(dg.AssetKey([MODEL, name])) == set(DAYS)


def _days(site, name):
    """Days of a table, with how many rows they have."""
    found = site.lake.partitions(MODEL, name) if site.lake.exists(MODEL, name) else {}
    return {key[0]: rows for key, rows in found.items()}
