"""Columns, rules and places: what is read of each word of a document; no word makes the reader crash."""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.folder import check_folder, load_model
from mlobs_pipelines.contracts.limits import limits
from mlobs_pipelines.contracts.odcs import Kind, Privacy, Spelling
from mlobs_pipelines.contracts.patterns import parse_pattern
from mlobs_pipelines.contracts.physical import family
from tests.contracts.conftest import METRICS, SMALL

EVERY_WORD = SMALL.parent / "every_word"
FOR_NUMBERS = "logicalTypeOptions: {minimum: 0, maximum: 1}"


def test_every_word_that_is_enforced_is_read():
    """A model that uses everything has no problems, and its places, versions and policies are read."""
    assert check_folder(EVERY_WORD, METRICS) == []
    spec = load_model(EVERY_WORD)
    assert spec.predictions.server.type == "gcs"
    assert spec.predictions.server.options == {"encoding": "cp1252", "delimiter": ";", "quote": "'"}
    assert (spec.features.server.format, spec.features.server.location) == ("", "features.{table}")
    assert spec.features.server.options["order"] == "stored_at,customer"
    assert spec.labels.server.options["endpoint"] == "http://localhost:9000"
    assert spec.labels.older[0].upcasts["labels"]["loss"] == ("factor", "loss", 0.01)
    predictions = spec.table("predictions")
    assert predictions.correction == "written_at"
    assert predictions.primary_key == ("prediction_id", "model_version")
    assert {column.privacy for column in predictions.columns} == set(Privacy)
    assert (spec.labels.frequency_days, spec.labels.latency_h) == (7, 2160.0)


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


NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking whole documents takes minutes
JUNK = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "{", [], {}, [[]], {"a": None}, [{}], "2013-99-99"])


@settings(
    max_examples=60,
    phases=NO_SHRINKING,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(data=st.data())
def test_no_document_makes_the_reader_crash(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    """Whatever stands in place of any value, checking ends in problems and never in a crash."""
    origin = data.draw(st.sampled_from([SMALL, EVERY_WORD]))
    folder = Path(shutil.copytree(origin, tmp_path_factory.mktemp("fuzz") / origin.name))
    file = data.draw(st.sampled_from(sorted(folder.rglob("*.yaml"))))
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    place = document
    for _ in range(data.draw(st.integers(0, 8))):
        key = data.draw(st.sampled_from(_keys(place)))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    place[data.draw(st.sampled_from(_keys(place)))] = data.draw(JUNK)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    problems = check_folder(folder, METRICS)
    assert all(str(problem) for problem in problems)
    if not problems:
        assert load_model(folder).model == origin.name


def _keys(place: dict | list) -> list:
    return list(place) if isinstance(place, dict) else list(range(len(place)))
