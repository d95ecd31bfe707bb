"""Contracts and monitors: the demo's documents, and what is read from documents."""

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.cron import check_cron
from mlobs_pipelines.contracts.durations import format_duration, parse_duration
from mlobs_pipelines.contracts.folder import ModelSpec, check_folder, load_model, load_models
from mlobs_pipelines.contracts.limits import limits
from mlobs_pipelines.contracts.monitor_reader import check_metrics
from mlobs_pipelines.contracts.odcs import Kind, Privacy, Spelling
from mlobs_pipelines.contracts.patterns import parse_pattern
from mlobs_pipelines.contracts.physical import family
from tests.contracts.conftest import DEMO, METRICS, SMALL

FOR_NUMBERS = "logicalTypeOptions: {minimum: 0, maximum: 1}"


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


@pytest.mark.parametrize(
    ("written", "attribute", "value"),
    [
        ("quality: [{metric: nullValues, mustBe: 0}]", "required", True),
        ("quality: [{metric: duplicateValues, mustBe: 0, unit: rows}]", "unique", True),
        ("logicalTypeOptions: {exclusiveMinimum: 0}", "minimum", 5e-324),
        ("physicalType: double", "kind", Kind.NUMBER),
    ],
)
def test_rules_on_a_column_are_read(
    folder: Path, broken: Callable, written: str, attribute: str, value: object
):
    """Library rules and options of the standard become the rules of the column."""
    assert broken("predictions.odcs.yaml", FOR_NUMBERS, written) == []
    assert getattr(load_model(folder).table("predictions").column("score"), attribute) == value


def test_valid_values_as_a_quality_rule_are_read(folder: Path, broken: Callable):
    """The invalidValues metric of the standard sets allowed values and pattern."""
    rule = "{type: library, metric: invalidValues, mustBe: 0, arguments: {validValues: [AAA], pattern: A+}}"
    rule = f"quality: [{rule}]"
    assert broken("predictions.odcs.yaml", 'logicalTypeOptions: {pattern: "[A-Z]{3}"}', rule) == []
    column = load_model(folder).table("predictions").column("dest")
    assert (column.allowed, column.pattern) == (("AAA",), "A+")


@pytest.mark.parametrize(
    ("rule", "read"),
    [
        ("{metric: nullValues, mustBeLessThan: 5, unit: percent}", ("nullValues", "mustBeLessThan", (5.0,))),
        (
            "{metric: missingValues, mustBe: 0, arguments: {missingValues: [-1]}}",
            ("missingValues", "mustBe", (0.0,)),
        ),
        ("{metric: nullValues, mustBe: 0, severity: warn}", ("nullValues", "mustBe", (0.0,))),
        (
            "{metric: duplicateValues, mustBeBetween: [0, 9]}",
            ("duplicateValues", "mustBeBetween", (0.0, 9.0)),
        ),
        ("{type: sql, query: 'SELECT 1 FROM ${table}', mustBe: true}", ("sql", "mustBe", (1.0,))),
    ],
)
def test_rules_that_judge_a_day_are_read(
    folder: Path, broken: Callable, rule: str, read: tuple[str, str, tuple[float, ...]]
):
    """A rule that is not about every single row becomes a rule of the day, with its operator and value."""
    assert broken("predictions.odcs.yaml", FOR_NUMBERS, f"quality: [{rule}]") == []
    found = load_model(folder).table("predictions").day_rules[-1]
    assert (found.metric, found.operator, found.value) == read
    assert found.columns == ("score",)
    assert load_model(folder).table("predictions").column("score").required is False


def test_rules_are_named_by_id_then_name_then_what_they_count(folder: Path, broken: Callable):
    """Every rule of a table has a name of its own, and its runbook where it has one."""
    link = "authoritativeDefinitions: [{type: runbook, url: https://example.org/r}]"
    rules = [
        "{metric: nullValues, mustBeLessThan: 5}",
        "{metric: nullValues, mustBeLessThan: 50}",
        f"{{id: few, name: Few are null, metric: nullValues, mustBeLessThan: 9, {link}}}",
        "{name: Not many, metric: nullValues, mustBeLessThan: 9}",
        "{type: text, description: Only words.}",
    ]
    assert broken("predictions.odcs.yaml", FOR_NUMBERS, f"quality: [{', '.join(rules)}]") == []
    found = load_model(folder).table("predictions").day_rules[1:]
    assert [rule.name for rule in found] == ["nullValues:score", "nullValues:score#2", "few", "Not many"]
    assert [rule.runbook for rule in found] == ["", "", "https://example.org/r", ""]
    assert found[2].description == "Few are null"


def test_duplicates_of_several_columns_are_a_rule_of_the_table(folder: Path, broken: Callable):
    """The arguments of duplicateValues on a table name the columns that are counted together."""
    old = "metric: rowCount\n        mustBeGreaterOrEqualTo: 1"
    new = "metric: duplicateValues\n        mustBe: 0\n        arguments: {properties: [origin, dest]}"
    assert broken("predictions.odcs.yaml", old, new) == []
    assert load_model(folder).table("predictions").day_rules[0].columns == ("origin", "dest")


def test_placeholders_and_the_last_semicolon_of_a_query_are_made_one(folder: Path, broken: Callable):
    """Older words of the standard for table and column mean the same as the present ones."""
    rule = "{type: sql, query: 'SELECT count(${property}) FROM ${object};', mustBeLessThan: 3}"
    assert broken("predictions.odcs.yaml", FOR_NUMBERS, f"quality: [{rule}]") == []
    query = load_model(folder).table("predictions").day_rules[-1].query
    assert query == "SELECT count(${column}) FROM ${table}"


@pytest.mark.parametrize(
    ("written", "attribute", "value"),
    [
        ("physicalType: Decimal(10, 2)", "physical", "decimal(10, 2)"),
        ("logicalTypeOptions: {multipleOf: 0.01}", "multiple_of", 0.01),
        ("logicalTypeOptions: {format: f32}", "single", True),
        ("enum: [{value: 0}, {value: 0.5}]", "allowed", (0.0, 0.5)),
        (
            'customProperties: [{property: nullValues, value: ["", "-"]}]',
            "spelling",
            Spelling(nulls=("", "-")),
        ),
        ("customProperties: [{property: percent, value: true}]", "spelling", Spelling(percent=True)),
        (
            "customProperties: [{property: decimalComma, value: true}]",
            "spelling",
            Spelling(decimal_comma=True),
        ),
        ("customProperties: [{property: colour, value: red}]", "spelling", Spelling()),
    ],
)
def test_what_a_column_says_of_its_numbers_is_read(
    folder: Path, broken: Callable, written: str, attribute: str, value: object
):
    """Physical types, steps, precision, lists and spelling of numbers arrive in the column."""
    assert broken("predictions.odcs.yaml", FOR_NUMBERS, written) == []
    assert getattr(load_model(folder).table("predictions").column("score"), attribute) == value


@pytest.mark.parametrize(
    ("written", "spelling"),
    [
        ('logicalTypeOptions: {format: "dd.MM.yyyy HH:mm"}', Spelling(pattern="%d.%m.%Y %H:%M")),
        (
            "logicalTypeOptions: {timezone: false, defaultTimezone: America/New_York}",
            Spelling(zone="America/New_York"),
        ),
        (
            "physicalType: bigint\n        customProperties: [{property: epoch, value: ms}]",
            Spelling(epoch="ms"),
        ),
    ],
)
def test_what_a_column_says_of_its_times_is_read(
    folder: Path, broken: Callable, written: str, spelling: Spelling
):
    """Form, zone and unit of times arrive in the column."""
    old = 'logicalTypeOptions: {minimum: "2013-01-01T00:00:00Z"}'
    assert broken("predictions.odcs.yaml", old, written) == []
    assert load_model(folder).table("predictions").column("predicted_at").spelling == spelling


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("classification: restricted", (Privacy.HASH, "", "")),
        (
            (
                "classification: pii\n        customProperties: [{property: privacy, value: keep}, "
                "{property: privacyReason, value: Of a machine.}]"
            ),
            (Privacy.KEEP, "", "Of a machine."),
        ),
        ("classification: public", (Privacy.KEEP, "", "")),
    ],
)
def test_what_is_kept_of_a_column_is_read(
    folder: Path, broken: Callable, written: str, kept: tuple[Privacy, object, str]
):
    """Identifying columns are hashed unless their policy says otherwise; others are kept."""
    for file in ("predictions.odcs.yaml", "features.odcs.yaml"):
        problems = broken(file, "classification: restricted", written)
    assert problems == []
    column = load_model(folder).table("predictions").column("tailnum")
    assert (column.privacy, column.bucket, column.privacy_reason) == kept


def test_formats_of_whole_numbers_are_limits():
    """The narrower of the written and the format's limits holds; 64 bits set none."""
    assert limits({"format": "u8", "maximum": 300, "minimum": 7}, Kind.INTEGER) == (7, 255)
    assert limits({"format": "i64"}, Kind.INTEGER) == (None, None)
    assert limits({"format": "u64"}, Kind.INTEGER) == (0, None)


@pytest.mark.parametrize(
    ("physical", "named"),
    [
        ("VARCHAR(64)", "text"),
        ("character varying", "text"),
        ("NUMBER(38, 0)", "decimal"),
        ("bigint unsigned", "integer"),
        ("uint16", "integer"),
        ("double precision", "float"),
        ("timestamp(6) without time zone", "timestamp"),
        ("timestamp[us, tz=UTC]", "timestamp"),
        ("date32[day]", "date"),
        ("blob", ""),
        ("varchar(", ""),
    ],
)
def test_physical_types_are_told_by_family(physical: str, named: str):
    """Types of databases and of Arrow are known whatever their case and parameters."""
    assert family(physical) == named


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("yyyy-MM-dd VV", "the letters VV are not read"),
        ("HH:mm", "the form has no year"),
        ("yyyy-MM-dd yyyy", "the same part twice"),
        ("yyyy-MM-dd[ HH]", "is not read"),
        ("yyyy-MM-dd hh:mm", "am or pm"),
    ],
)
def test_forms_of_times_that_are_not_read_are_refused(written: str, said: str):
    """A letter without a meaning here, or a form that settles no instant, is refused."""
    with pytest.raises(ValueError, match=said):
        parse_pattern(written, Kind.TIMESTAMP)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2068, 1, 1)).map(lambda at: at.replace(microsecond=0)))  # noqa: DTZ001 - a form without a zone
def test_forms_of_times_read_what_java_writes(at: datetime):
    """What a formatter of Java writes is read back as the same time."""
    form = parse_pattern("EEE, dd MMM yyyy 'at' h''mm:ss a", Kind.TIMESTAMP)
    assert datetime.strptime(at.strftime("%a, %d %b %Y at %I'%M:%S %p"), form) == at  # noqa: DTZ007 - as above


def test_an_expectation_under_a_column_gets_the_column(folder: Path, broken: Callable):
    """A Great Expectations rule under a property is about that property."""
    rule = "{type: expect_column_mean_to_be_between, kwargs: {min_value: 0}}"
    rule = f"quality: [{{type: custom, engine: greatExpectations, severity: warn, implementation: {rule}}}]"
    assert broken("predictions.odcs.yaml", FOR_NUMBERS, rule) == []
    last = load_model(folder).table("predictions").expectations[-1]
    assert (last.kwargs, last.severity) == ({"min_value": 0, "column": "score"}, "warn")


def test_exclusive_limits_become_the_next_value_inside():
    """An exclusive limit excludes its own value and nothing else, whatever the type."""
    assert limits({"exclusiveMinimum": 1, "exclusiveMaximum": 5}, Kind.INTEGER) == (2, 4)
    assert limits({"exclusiveMaximum": "2013-03-02"}, Kind.DATE) == (None, date(2013, 3, 1))
    low, _ = limits({"exclusiveMinimum": "2013-03-01T01:00:00+01:00"}, Kind.TIMESTAMP)
    assert low == datetime(2013, 3, 1, 0, 0, 0, 1, tzinfo=UTC)


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


NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking whole documents takes minutes
JUNK = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "{", [], {}, [[]], {"a": None}, [{}], "2013-99-99"])


@settings(
    max_examples=40,
    phases=NO_SHRINKING,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(data=st.data())
def test_no_document_makes_the_reader_crash(folder: Path, data: st.DataObject):
    """Whatever stands in place of any value, checking ends in problems and never in a crash."""
    file = data.draw(st.sampled_from(sorted(path.name for path in SMALL.iterdir())))
    document = yaml.safe_load((SMALL / file).read_text(encoding="utf-8"))
    place = document
    for _ in range(data.draw(st.integers(0, 6))):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    place[data.draw(st.sampled_from(keys))] = data.draw(JUNK)
    (folder / file).write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        assert all(str(problem) for problem in check_folder(folder, METRICS))
    finally:
        (folder / file).write_bytes((SMALL / file).read_bytes())
