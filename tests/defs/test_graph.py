"""The asset graph as people see it: `graph.txt` holds it whole, so that a change of it is read in review.

Run `python -m tests.defs.graph_text` to write the file again.
"""

from pathlib import Path

import dagster as dg
import pytest

from mlobs_pipelines.definitions import build_defs
from tests.defs.conftest import MODEL, site_at
from tests.defs.graph_text import GOLDEN, graph_text


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Give the definitions of an installation without any data."""
    return build_defs(site_at(tmp_path_factory.mktemp("empty"), Path("nowhere")))


def test_definitions_load(graph):
    """The code location is valid to Dagster."""
    dg.Definitions.validate_loadable(graph)


def test_loading_touches_nothing(tmp_path):
    """Loading the code location makes no file, so a code server needs no write access."""
    build_defs(site_at(tmp_path / "home", Path("nowhere")))
    assert list(tmp_path.iterdir()) == []


def test_graph_is_the_reviewed_one(graph):
    """Keys, dependencies, owners, checks, jobs and schedules are those of the reviewed file."""
    assert graph_text(graph) == GOLDEN.read_text()


def test_every_asset_says_what_a_stranger_asks(graph):
    """Every asset has a description, an owner, a group, kinds and a code version."""
    for spec in graph.resolve_all_asset_specs():
        assert spec.description
        assert spec.description.endswith(".")
        assert spec.owners
        assert spec.group_name == spec.key.path[0]
        assert spec.kinds
        assert spec.code_version


def test_every_table_shows_its_columns(graph):
    """Every asset that is a table shows its column schema in the catalogue; the report is no table."""
    shown = {
        spec.key.path[-1]
        for spec in graph.resolve_all_asset_specs()
        if "dagster/column_schema" in spec.metadata
    }
    assert shown == {spec.key.path[-1] for spec in graph.resolve_all_asset_specs()} - {"report"}


def test_every_column_says_what_it_is(graph):
    """Every column of every table has a description, from its contract or from the step that adds it."""
    mute = {
        f"{spec.key.path[-1]}.{column.name}"
        for spec in graph.resolve_all_asset_specs()
        if "dagster/column_schema" in spec.metadata
        for column in spec.metadata["dagster/column_schema"].columns
        if not column.description
    }
    assert mute == set()


def test_restricted_columns_stay_marked_downstream(graph):
    """A column stored as a keyed hash is marked as such in every table that carries it on."""
    for name in ("predictions", "prediction_log"):
        key = dg.AssetKey([MODEL, name])
        (spec,) = [spec for spec in graph.resolve_all_asset_specs() if spec.key == key]
        columns = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
        assert columns["tailnum"].tags == {"classification": "restricted", "stored_as": "keyed_hash"}


def test_every_check_says_whom_to_ask(graph):
    """Every check has a description, is judged per day where its asset has days, and links its runbook."""
    checks = [check for part in graph.asset_checks or () for check in part.check_specs]
    assert len(checks) >= 10
    for check in checks:
        assert check.description
        assert check.description.endswith(".")
        assert check.metadata["runbook"].value.startswith("https://")
        daily = isinstance(check.partitions_def, dg.DailyPartitionsDefinition)
        assert daily == (check.asset_key.path[-1] not in {"baseline", "report"})


def test_column_lineage_names_columns_that_exist(graph):
    """Every column lineage leads to a column that the upstream asset shows."""
    tables = {
        spec.key: {column.name for column in spec.metadata["dagster/column_schema"].columns}
        for spec in graph.resolve_all_asset_specs()
        if "dagster/column_schema" in spec.metadata
    }
    for spec in graph.resolve_all_asset_specs():
        lineage = spec.metadata.get("dagster/column_lineage")
        for column, sources in lineage.deps_by_column.items() if lineage else ():
            assert column in tables[spec.key]
            for source in sources:
                assert source.column_name in tables[source.asset_key]
