"""Versions of a contract: what breaks, what flows, and how older deliveries are brought forward."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.contracts.changes import diff
from mlobs_pipelines.contracts.folder import check_folder, load_model
from mlobs_pipelines.contracts.odcs import Column, Kind, Privacy, Spelling, Table

UNTIL = "{property: acceptedUntil, value: 2013-06-30}"
TEMP = Column("temp", Kind.NUMBER, minimum=0.0, maximum=10.0)
STATUS = Column("status", Kind.STRING, required=True, allowed=("ok", "error"))
OLD = Table("weather", "", (TEMP, STATUS))


def _with(*columns: Column) -> tuple[Table, ...]:
    return (Table("weather", "", columns),)


@pytest.mark.parametrize(
    ("column", "breaking", "said"),
    [
        (replace(TEMP, kind=Kind.STRING, minimum=None, maximum=None), True, "number became string"),
        (replace(TEMP, required=True), True, "is now required"),
        (replace(TEMP, minimum=1.0), True, "minimum is stricter"),
        (replace(TEMP, maximum=None), False, "maximum is looser"),
        (replace(TEMP, allowed=(1.0,)), True, "fewer values are valid"),
        (replace(TEMP, multiple_of=0.1), True, "multiple_of changed"),
        (replace(TEMP, physical="double"), True, "any physical type became double"),
        (replace(TEMP, spelling=Spelling(percent=True)), True, "the spelling changed"),
        (replace(TEMP, classification="pii", privacy=Privacy.HASH), True, "is now classified as identifying"),
        (replace(TEMP, description="In the shade."), False, ""),
    ],
)
def test_a_change_of_a_column_breaks_where_it_is_stricter(column: Column, breaking: bool, said: str):  # noqa: FBT001 - a table of cases
    """What was fine and is so no longer breaks; what was refused and is fine now does not."""
    changes = diff((OLD,), _with(column, STATUS))
    assert any(change.breaking for change in changes) is breaking
    assert said in " ".join(change.text for change in changes)


def test_an_added_column_breaks_only_if_it_is_required():
    """An optional column may come at any time, a required one needs a new major version."""
    optional, required = Column("humid", Kind.NUMBER), Column("humid", Kind.NUMBER, required=True)
    assert [change.breaking for change in diff((OLD,), _with(TEMP, STATUS, optional))] == [False]
    assert [change.breaking for change in diff((OLD,), _with(TEMP, STATUS, required))] == [True]


def test_a_column_that_is_gone_is_told_with_the_one_it_may_have_become():
    """A removed column breaks, and the only new one of its kind is offered as its new name."""
    gone, new = diff((OLD,), _with(TEMP, replace(STATUS, name="state")))
    assert (gone.text, gone.breaking) == ("weather.status is gone (renamed to state?)", True)
    assert new.text == "weather.state is new and required"


def test_tables_that_come_and_go_are_told():
    """A table that is gone breaks, a new one does not."""
    texts = {change.text: change.breaking for change in diff((OLD,), (replace(OLD, name="planes"),))}
    assert texts == {"the table weather is gone": True, "the table planes is new": False}


columns = st.builds(
    Column,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([Kind.INTEGER, Kind.NUMBER]),
    required=st.booleans(),
    minimum=st.none() | st.integers(0, 3),
    maximum=st.none() | st.integers(4, 7),
    allowed=st.sampled_from([(), (1,), (1, 2)]),
)
tables = st.lists(columns, unique_by=lambda column: column.name).map(
    lambda found: Table("t", "", tuple(found))
)


@given(tables)
def test_a_table_does_not_differ_from_itself(table: Table):
    """The same columns in another order are no change."""
    assert diff((table,), (replace(table, columns=table.columns[::-1]),)) == ()


@given(tables, tables)
def test_a_change_and_its_way_back_are_told_together(old: Table, new: Table):
    """Where something differs one way, it differs the other way, too."""
    assert bool(diff((old,), (new,))) == bool(diff((new,), (old,)))


@pytest.fixture
def aged(folder: Path) -> Callable[..., list[str]]:
    """Write an older version of the labels, edit it, and return the problems of the folder."""

    def write(upcast: str, *edits: tuple[str, str], version: str = "2.0.0") -> list[str]:
        present, older = folder / "labels.odcs.yaml", folder / "older" / "labels-1.0.0.odcs.yaml"
        older.parent.mkdir(exist_ok=True)
        shutil.copy(present, older)
        text = older.read_text(encoding="utf-8")
        text = text.replace("schema:", f"customProperties:\n  - {UNTIL}\n  - {upcast}\nschema:", 1)
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        older.write_text(text, encoding="utf-8")
        words = present.read_text(encoding="utf-8").replace("version: 1.0.0", f"version: {version}", 1)
        present.write_text(words, encoding="utf-8")
        return [str(problem).removeprefix(f"{folder}/") for problem in check_folder(folder)]

    return write


RENAMED = (("name: outcome", "name: result"), ("name: source", "name: feed"))
UPCAST = "{property: upcast, value: {labels: {outcome: {from: result}, source: {value: live}}}}"


def test_an_older_version_is_read_with_its_upcasts(folder: Path, aged: Callable[..., list[str]]):
    """Tables, last day and what fills the present columns arrive in the contract, and change its hash."""
    alone = load_model(folder)
    assert aged(UPCAST, *RENAMED) == []
    spec = load_model(folder)
    (older,) = spec.labels.older
    assert (older.version, older.accepted_until) == ("1.0.0", date(2013, 6, 30))
    assert older.upcasts == {"labels": {"outcome": ("from", "result"), "source": ("value", "live")}}
    assert older.tables[0].names[2:3] == ("result",)
    assert spec.labels.hash != alone.labels.hash
    assert spec.hash != alone.hash


@pytest.mark.parametrize(
    ("upcast", "said"),
    [
        (
            "{property: upcast, value: {labels: {outcome: {from: result}}}}",
            (
                "29: customProperties[1].value.labels: upcast: labels.source is required now and nothing "
                "fills it; add source: {from: column}, {from: column, factor: 2.54} or {value: constant}"
            ),
        ),
        (
            "{property: upcast, value: {labels: {outcome: {from: resul}, source: {value: live}}}}",
            (
                "29: customProperties[1].value.labels.outcome.from: upcast: the older table labels has no "
                "column 'resul'; did you mean result?"
            ),
        ),
        (
            "{property: upcast, value: {labels: {outcom: {from: result}, source: {value: live}}}}",
            (
                "29: customProperties[1].value.labels.outcom: upcast: the present table labels has no column "
                "'outcom'; did you mean outcome?"
            ),
        ),
        (
            "{property: upcast, value: {labels: {outcome: {from: result, times: 2}, source: {value: live}}}}",
            (
                "29: customProperties[1].value.labels.outcome: upcast: not a way to fill a column; "
                "write {from: column}, {from: column, factor: 2.54} or {value: constant}"
            ),
        ),
        (
            "{property: upcast, value: {labels: {outcome: {from: label}, source: {value: live}}}}",
            (
                "29: customProperties[1].value.labels.outcome.from: upcast: outcome is string now and cannot "
                "be filled from label with integer; fill it from another column or with a value"
            ),
        ),
        (
            "{property: upcast, value: {labels: {outcome: {from: result}, source: {value: 1}}}}",
            (
                "29: customProperties[1].value.labels.source.value: upcast: not a value of a string column; "
                "write one"
            ),
        ),
    ],
)
def test_an_upcast_that_cannot_work_is_told(aged: Callable[..., list[str]], upcast: str, said: str):
    """Columns that are unknown, unfilled or of another type are named by file and line."""
    assert f"older/labels-1.0.0.odcs.yaml:{said}" in aged(upcast, *RENAMED)


def test_a_breaking_change_needs_a_new_major_version(aged: Callable[..., list[str]]):
    """A change that breaks is refused with the difference, at the place where it is written."""
    said = aged(UPCAST, *RENAMED, version="1.1.0")
    told = "breaking change since 1.0.0 without a new major version"
    valid = "write version: 2.0.0, or take the change back"
    assert said == [
        f"labels.odcs.yaml:5: version: {told}: labels.feed is gone; {valid}",
        f"labels.odcs.yaml:5: version: {told}: labels.result is gone; {valid}",
        f"labels.odcs.yaml:46: schema[0].properties[2]: {told}: labels.outcome is new and required; {valid}",
        f"labels.odcs.yaml:66: schema[0].properties[5]: {told}: labels.source is new and required; {valid}",
    ]


def test_a_compatible_change_flows_under_a_minor_version(folder: Path, aged: Callable[..., list[str]]):
    """A wider list of valid values needs no upcast and no new major version."""
    upcast = "{property: upcast, value: {}}"
    assert aged(upcast, (", {value: reconciliation}", ""), version="1.1.0") == []
    assert load_model(folder).labels.older[0].upcasts == {}


def test_an_older_version_must_be_lower_and_named_by_its_file(folder: Path, aged: Callable[..., list[str]]):
    """The present version twice, a wrong file name and a missing last day are told."""
    said = aged("{property: upcast, value: {}}", (UNTIL, "{property: aceptedUntil, value: 2013-06-30}"))
    assert said == [
        (
            "older/labels-1.0.0.odcs.yaml:27: customProperties: acceptedUntil is missing; "
            "write the last day of deliveries, as in 2013-06-30"
        ),
        (
            "older/labels-1.0.0.odcs.yaml:28: customProperties[0].property: aceptedUntil means nothing here; "
            "did you mean acceptedUntil?"
        ),
    ]
    file = folder / "older" / "labels-1.0.0.odcs.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(": 1.0.0", ": 2.0.0"), encoding="utf-8")
    file.rename(file.with_name("label-1.0.0.odcs.yaml"))
    shutil.copy(file.with_name("label-1.0.0.odcs.yaml"), file)
    said = [str(problem).removeprefix(f"{folder}/older/") for problem in check_folder(folder)]
    assert said[0].startswith("label-1.0.0.odcs.yaml:0: nothing reads this document; name it predictions")
    assert "labels-1.0.0.odcs.yaml:5: version: the version is 2.0.0 and the file is named 1.0.0; " in said[1]
    assert (
        "labels-1.0.0.odcs.yaml:5: version: the version is not lower than the present one, 2.0.0" in said[2]
    )


def test_what_identifies_somebody_now_did_so_before(folder: Path):
    """A column that is hashed now must not lie in clear among the quarantined rows of an older version."""
    older = folder / "older" / "predictions-0.9.0.odcs.yaml"
    older.parent.mkdir()
    text = (folder / "predictions.odcs.yaml").read_text(encoding="utf-8")
    text = text.replace("classification: restricted", "classification: public").replace(
        ": 1.0.0", ": 0.9.0", 1
    )
    older.write_text(text.replace("schema:", f"customProperties: [{UNTIL}]\nschema:", 1), encoding="utf-8")
    said = [str(problem).removeprefix(f"{folder}/") for problem in check_folder(folder)]
    valid = "write classification: restricted here, too: quarantine keeps rows under it"
    assert said == [
        (
            "older/predictions-0.9.0.odcs.yaml:96: schema[0].properties[10]: tailnum fills tailnum, which is "
            f"restricted in the present version; {valid}"
        )
    ]
