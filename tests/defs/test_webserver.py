"""What the web interface asks: the graph of assets, and which days of a check failed."""

from pathlib import Path

import pytest

from tests.defs.conftest import EMPTY, MISSING, MODEL, REFUSED, REPLAY

ROOT = Path(__file__).parents[2]

GRAPH = """{ assetNodes { assetKey { path } groupName isPartitioned description kinds
                          dependencyKeys { path } owners { __typename } } }"""
CHECK = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks { name description partitionStatuses {
    ... on AssetCheckTimePartitionStatuses { ranges { startKey endKey status } } } } } } } } }"""


@pytest.fixture(scope="module")
def ask(season):
    """Give a function that asks the webserver on the walked season's instance."""
    from dagster._core.workspace.context import WorkspaceProcessContext  # noqa: PLC0415 - takes seconds
    from dagster._core.workspace.load_target import ModuleTarget  # noqa: PLC0415 - as above
    from dagster_webserver.webserver import DagsterWebserver  # noqa: PLC0415 - as above
    from starlette.testclient import TestClient  # noqa: PLC0415 - as above

    target = ModuleTarget("mlobs_pipelines.definitions", "defs", str(ROOT), "mlobs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOBS_HOME", str(season.site.settings.home))
        patch.setenv("MLOBS_LANDING", str(season.site.settings.landing))
        with WorkspaceProcessContext(season.instance, target) as context:
            client = TestClient(DagsterWebserver(context).create_asgi_app())

            def asked(query, **variables):
                answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
                assert "errors" not in answer, answer
                return answer["data"]

            yield asked


def test_the_graph_loads(ask):
    """The interface gets every asset with its group, description and upstream assets."""
    nodes = {node["assetKey"]["path"][-1]: node for node in ask(GRAPH)["assetNodes"]}
    assert len(nodes) == 12
    assert {node["groupName"] for node in nodes.values()} == {MODEL}
    assert all(node["description"] and node["kinds"] and node["owners"] for node in nodes.values())
    upstream = {key["path"][-1] for key in nodes["feature_snapshots"]["dependencyKeys"]}
    assert upstream == {"predictions", "features"}


def test_the_failed_day_of_a_check_shows(ask):
    """The status of a check by day shows the days whose deliveries broke the contract or are missing."""
    answer = ask(CHECK, key={"path": [MODEL, "predictions"]})["assetNodeOrError"]
    checks = {check["name"]: check for check in answer["assetChecksOrError"]["checks"]}
    ranges = checks["contract"]["partitionStatuses"]["ranges"]
    failed = [(found["startKey"], found["endKey"]) for found in ranges if found["status"] == "FAILED"]
    assert failed == [(REPLAY, MISSING), (REFUSED, REFUSED)]
    good = [(found["startKey"], found["endKey"]) for found in ranges if found["status"] == "SUCCEEDED"]
    assert any(start <= EMPTY <= end for start, end in good)
    assert {found["status"] for found in ranges} == {"FAILED", "SUCCEEDED"}
