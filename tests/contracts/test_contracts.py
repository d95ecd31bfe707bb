"""Contracts and monitors: the demo's documents, and what is read from documents."""

import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.contracts import odcs_schema
from mlobs_pipelines.contracts.cron import check_cron
from mlobs_pipelines.contracts.durations import format_duration, parse_duration
from mlobs_pipelines.contracts.folder import ModelSpec, check_folder, load_model, load_models
from mlobs_pipelines.contracts.monitor_reader import check_metrics
from mlobs_pipelines.contracts.odcs import DATASETS
from tests.contracts.conftest import DEMO, METRICS, SMALL


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    """The demo's model."""
    return load_model(DEMO, METRICS)


@pytest.mark.parametrize("dataset", ["predictions", "features", "labels"])
def test_the_demo_contracts_conform_to_the_standard(dataset: str):
    """The published JSON Schema of the Open Data Contract Standard accepts the demo's documents."""
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
    document = yaml.safe_load((DEMO / f"{dataset}.odcs.yaml").read_text(encoding="utf-8"))
    jsonschema.Draft201909Validator(schema).validate(document)


@given(st.data())
def test_the_quick_look_at_the_standard_finds_the_same_documents_right(data: st.DataObject):
    """Whatever is written anywhere into a contract, both validators agree on whether it conforms."""
    document = yaml.safe_load((DEMO / f"{data.draw(st.sampled_from(DATASETS))}.odcs.yaml").read_text())
    plain = json.loads(json.dumps(document, default=str))
    place = data.draw(st.sampled_from(list(_mappings(plain))))
    key = data.draw(st.sampled_from([*place, "zzz", "name", "rule", "logicalType", "items", "query"]))
    place[key] = data.draw(st.sampled_from(["x", "date", 3, None, True, [], {}, {"zzz": 1}, [{"name": "x"}]]))
    found = odcs_schema._conforms(plain)
    assert found == odcs_schema._validator().is_valid(plain)


def _mappings(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _mappings(part)


def test_the_demo_folder_has_no_problems():
    """The documents that ship are valid, and all models load at once."""
    assert check_folder(DEMO, METRICS) == []
    assert load_models(DEMO.parent)["flight_delays"] == load_model(DEMO)


def test_a_spec_says_what_the_documents_say(spec: ModelSpec):
    """Names, kinds, keys, limits, promises and places arrive in the spec."""
    predictions = spec.table("predictions")
    assert spec.model == "flight_delays"
    assert len(spec.monitor.features) == 20
    assert spec.features.names == ("weather", "departures", "carriers", "planes")
    assert predictions.primary_key == ("prediction_id", "model_version")
    assert predictions.restricted == ("tailnum",)
    assert [(rule.name, rule.operator, rule.value) for rule in predictions.day_rules] == [
        ("some-rows", "mustBeGreaterOrEqualTo", (1.0,))
    ]
    assert (predictions.column("score").minimum, predictions.column("score").maximum) == (0.0, 1.0)
    assert predictions.column("status").allowed == ("ok", "error", "timeout")
    assert spec.table("features", "planes").restricted == ("tailnum",)
    assert (spec.labels.latency_h, spec.labels.retention_days) == (12.0, 730)
    assert (spec.predictions.frequency_days, spec.labels.frequency_days) == (1, None)
    assert spec.predictions.owner == "flight-ops"
    server = spec.features.server
    assert (server.type, server.format) == ("local", "csv")
    assert server.location == "{landing}/features/{table}/{date}.csv"
    assert spec.monitor.feature_views["planes"].ttl == timedelta(days=45)
    assert spec.monitor.replay_as_of == datetime(2014, 2, 1, tzinfo=UTC)


def test_every_column_and_table_of_the_demo_is_described(spec: ModelSpec):
    """A reader finds a description and a classification on everything."""
    for contract in (spec.predictions, spec.features, spec.labels):
        for table in contract.tables:
            assert table.description
            for column in table.columns:
                assert column.description, column.name
                assert column.classification in ("public", "internal", "restricted")


def test_specs_cannot_be_changed(spec: ModelSpec):
    """A spec is a value: assigning to it fails."""
    with pytest.raises(FrozenInstanceError):
        spec.hash = ""  # type: ignore[misc]  # that it is refused is the test
    with pytest.raises(ValueError, match="frozen"):
        spec.monitor.model = ""


def test_unknown_tables_and_columns_are_named(spec: ModelSpec):
    """Asking for what is not there says what there is."""
    with pytest.raises(KeyError, match="has no column 'scor'; it has prediction_id"):
        spec.table("predictions").column("scor")
    with pytest.raises(KeyError, match="has no table 'wether'; it has weather"):
        spec.table("features", "wether")


def test_comments_do_not_change_a_spec(folder: Path):
    """The hash of a spec follows what the documents say and not how they are laid out."""
    before = load_model(folder).hash
    file = folder / "labels.odcs.yaml"
    file.write_text("# a comment\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_model(folder).hash == before
    file.write_text(file.read_text(encoding="utf-8").replace("value: 12", "value: 13"), encoding="utf-8")
    assert load_model(folder).hash != before


def test_unknown_metrics_are_found_without_a_document():
    """Objectives on metrics that are not registered are named with their near misses."""
    problems = check_metrics(load_model(SMALL).monitor, ("ps1", "auc"))
    said = "objectives[0].metric: unknown metric 'psi'; did you mean ps1?"
    assert str(problems[0]) == f"flight_delays/monitor.yaml:0: {said}"
    assert len(problems) == 9


@given(st.integers(1, 999_999), st.sampled_from("smhdw"))
def test_durations_read_back_what_they_write(number: int, unit: str):
    """Writing and reading a length of time changes nothing."""
    length = parse_duration(f"{number}{unit}")
    if length <= timedelta(days=999_999):
        assert parse_duration(format_duration(length)) == length


@pytest.mark.parametrize("text", ["", "6", "h", "6 h", "0h", "-1d", "1.5h", "6h30m", "1mo", 6, None])
def test_what_is_no_duration_is_refused(text: object):
    """Only a whole positive number with one unit is a length of time."""
    with pytest.raises(ValueError, match="as in 30m, 6h or 7d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["30 11 * * *", "*/15 0-6,22 1 1-6/2 7", "0 0 31 12 0"])
def test_cron_expressions_are_accepted(text: str):
    """Stars, numbers, ranges, lists and steps are valid."""
    assert check_cron(text) == text


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* 5-3 * * *", "* * 0 * *", "*/0 * * * *", "@daily"]
)
def test_what_is_no_cron_expression_is_refused(text: str):
    """Numbers out of range, empty ranges and nicknames are refused."""
    with pytest.raises(ValueError, match="write"):
        check_cron(text)
