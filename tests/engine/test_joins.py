"""Both joins against an answer computed the slow way, row by row."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.engine.joins import View, join_labels, labels_as_of, point_in_time

TIME = pa.timestamp("us", tz="UTC")
START = datetime(2024, 5, 1, 12, tzinfo=UTC)
TTL = timedelta(hours=2)
VIEW = View("v", "who", TTL, ("x", "word"))
ROWS = pa.schema(
    [
        ("who", pa.string()),
        ("observed_at", TIME),
        ("available_at", TIME),
        ("x", pa.float64()),
        ("word", pa.string()),
    ]
)
ASKED = pa.schema([("prediction_id", pa.string()), ("predicted_at", TIME), ("who", pa.string())])
LABELS = pa.schema(
    [
        ("day", pa.string()),
        ("prediction_id", pa.string()),
        ("label", pa.int64()),
        ("outcome", pa.string()),
        ("arrived_at", TIME),
        ("revision", pa.int64()),
    ]
)
LOG = pa.schema(
    [
        ("day", pa.string()),
        ("prediction_id", pa.string()),
        ("predicted_at", TIME),
        ("model_version", pa.string()),
        ("role", pa.string()),
        ("status", pa.string()),
        ("score", pa.float64()),
        ("region", pa.string()),
    ]
)


@pytest.fixture(scope="module")
def duck(tmp_path_factory):
    """An engine as small as they come."""
    return Duck("200MB", 1, tmp_path_factory.mktemp("spill"))


def at(minutes, microseconds=0):
    """An instant some minutes after the start."""
    return START + timedelta(minutes=minutes, microseconds=microseconds)


def look_up(duck, asked, rows, view=VIEW):
    """Results by prediction id, of rows given as tuples."""
    given_rows = [dict(zip(ROWS.names, row, strict=True)) for row in rows]
    predictions = [
        {"prediction_id": f"p{i:02d}", "predicted_at": t, "who": who} for i, (t, who) in enumerate(asked)
    ]
    found = point_in_time(
        duck, pa.Table.from_pylist(predictions, ASKED), pa.Table.from_pylist(given_rows, ROWS), view
    )
    assert found.column("prediction_id").to_pylist() == [item["prediction_id"] for item in predictions]
    return found.to_pylist()


def slow_look_up(t, who, rows):
    """The definition, word for word: value, age, and why there is none."""
    mine = [row for row in rows if row[0] == who and who is not None]
    known = [row for row in mine if row[1] <= t and row[2] <= t]
    best = max(known, key=lambda row: (row[1], row[2], row[3]), default=None)
    if best is not None and best[1] > t - TTL:
        return best[3], best[4], (t - best[1]).total_seconds(), None
    if who is None:
        return None, None, None, "no_key"
    if any(t - TTL < row[1] <= t for row in mine):
        return None, None, None, "not_yet_known"
    if best is not None and best[1] > t - VIEW.reach:
        return None, None, None, "expired"
    return None, None, None, "never"


moments = st.sampled_from(
    [at(m, us) for m in (-20_000, -12_000, -10_200, -300, -121, -120, -60, -1, 0, 1, 60) for us in (-1, 0, 1)]
)
entities = st.sampled_from(["a", "b", None])
feature_rows = st.lists(st.tuples(entities, moments, moments, st.integers(0, 5)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(
    asked=st.lists(st.tuples(moments, entities), min_size=1, max_size=6), drawn=feature_rows, data=st.data()
)
def test_point_in_time_equals_the_definition(duck, asked, drawn, data):
    """Ties, borders, late and older rows, null keys: each value, age and reason is that of the definition."""
    rows = [(who, seen, known, float(x), f"w{x}") for who, seen, known, x in drawn]
    found = look_up(duck, asked, rows)
    expected = [slow_look_up(t, who, rows) for t, who in asked]
    assert [(r["x"], r["word"], r["v__age_s"], r["v__miss"]) for r in found] == expected
    assert look_up(duck, asked, data.draw(st.permutations(rows))) == found


@pytest.mark.parametrize(
    ("seen", "known", "expected"),
    [
        (at(0), at(0), None),
        (at(0, 1), at(0, 1), "never"),
        (at(0), at(0, 1), "not_yet_known"),
        (at(-120), at(-120), "expired"),
        (at(-120, 1), at(-120, 1), None),
        (at(-120, 1), at(1), "not_yet_known"),
        (at(-11 * 60), at(-11 * 60), "expired"),
    ],
)
def test_borders_of_a_lookup(duck, seen, known, expected):
    """A row holds in (t - ttl, t] once it is known; Feast's row of 11 h ago with a ttl of 2 h has expired."""
    (found,) = look_up(duck, [(at(0), "a")], [("a", seen, known, 1.0, "w")])
    assert found["v__miss"] == expected
    assert found["x"] == (1.0 if expected is None else None)


def test_an_older_row_that_comes_later_does_not_replace_a_newer_one(duck):
    """A correction of an older hour leaves the newest value in place."""
    rows = [("a", at(-10), at(-9), 2.0, "new"), ("a", at(-50), at(-1), 1.0, "old")]
    assert look_up(duck, [(at(0), "a")], rows)[0]["word"] == "new"


def test_a_null_value_of_the_latest_row_is_served_as_null(duck):
    """The latest row counts even where its value is missing: no older value is put in its place."""
    rows = [("a", at(-10), at(-9), None, None), ("a", at(-50), at(-49), 1.0, "old")]
    (found,) = look_up(duck, [(at(0), "a")], rows)
    assert (found["x"], found["v__miss"], found["v__age_s"]) == (None, None, 600.0)


def test_a_lookup_without_rows_finds_nothing(duck):
    """No feature rows and no predictions are both answers, not errors."""
    assert [r["v__miss"] for r in look_up(duck, [(at(0), "a"), (at(0), None)], [])] == ["never", "no_key"]
    assert look_up(duck, [], [("a", at(0), at(0), 1.0, "w")]) == []


def label(name, value, arrived, revision=1):
    """One label row."""
    word = {1: "late", 0: "on_time", None: "void"}[value]
    row = {"day": arrived.date().isoformat(), "prediction_id": name, "label": value, "outcome": word}
    return row | {"arrived_at": arrived, "revision": revision}


def asked_at(name, moment, version="v1"):
    """One row of the prediction log."""
    row = {"day": moment.date().isoformat(), "prediction_id": name, "predicted_at": moment, "region": "x"}
    return row | {"model_version": version, "role": "champion", "status": "ok", "score": 0.5}


def joined(duck, log, labels, as_of):
    """Joined rows as dictionaries."""
    tables = pa.Table.from_pylist(log, LOG), pa.Table.from_pylist(labels, LABELS)
    return join_labels(duck, *tables, as_of, ["score", "region"]).to_pylist()


def test_the_latest_label_known_counts(duck):
    """Of three revisions the last one known as of the moment is taken, and the first one gives the lag."""
    labels = [label("p", 1, at(60)), label("p", 0, at(120), 2), label("p", 1, at(300), 3)]
    (row,) = joined(duck, [asked_at("p", at(0))], labels, at(200))
    assert (row["label"], row["outcome"], row["revisions"], row["conflict"]) == (0, "on_time", 2, True)
    assert (row["first_arrived_at"], row["arrived_at"]) == (at(60), at(120))
    assert (row["lag_s"], row["age_s"], row["state"]) == (3600.0, 12_000.0, "labelled")
    assert (row["said_labels"], row["said_lags_s"]) == ([1, 0], [3600.0, 7200.0])


def test_a_label_that_becomes_void_is_void(duck):
    """A flight first reported late and then as cancelled has no label any more."""
    labels = [label("p", 1, at(60)), label("p", None, at(120), 2)]
    (row,) = joined(duck, [asked_at("p", at(0))], labels, at(200))
    assert (row["label"], row["outcome"], row["state"], row["conflict"]) == (None, "void", "void", True)
    (back,) = joined(duck, [asked_at("p", at(0))], [*labels, label("p", 0, at(150), 3)], at(200))
    assert (back["label"], back["state"]) == (0, "labelled")


def test_pending_early_and_both_versions(duck):
    """A prediction without a label is kept as pending; an early label is marked; every version gets it."""
    log = [
        asked_at("p", at(0)),
        asked_at("p", at(1), "v2"),
        asked_at("q", at(0)),
        asked_at("future", at(400)),
    ]
    rows = joined(duck, log, [label("p", 1, at(-30))], at(200))
    told = [(r["prediction_id"], r["model_version"], r["state"], r["early"], r["lag_s"]) for r in rows]
    assert told == [
        ("p", "v1", "labelled", True, -1800.0),
        ("p", "v2", "labelled", True, -1860.0),
        ("q", "v1", "pending", False, None),
    ]


def test_the_same_label_twice_is_no_conflict(duck):
    """A replayed label raises the count of revisions only."""
    (row,) = joined(duck, [asked_at("p", at(0))], [label("p", 1, at(60)), label("p", 1, at(90), 2)], at(200))
    assert (row["revisions"], row["conflict"], row["label"]) == (2, False, 1)


def slow_labels(rows, as_of):
    """Latest label per id, by arrival, revision and outcome."""
    known = {}
    for row in sorted(rows, key=lambda r: (r["arrived_at"], r["revision"], r["outcome"])):
        if row["arrived_at"] <= as_of:
            known.setdefault(row["prediction_id"], []).append(row)
    return {
        name: (some[-1]["label"], some[-1]["outcome"], some[0]["arrived_at"], len(some))
        for name, some in known.items()
    }


label_rows = st.lists(
    st.builds(
        label,
        st.sampled_from(["p", "q", "r"]),
        st.sampled_from([0, 1, None]),
        st.sampled_from([at(m) for m in (0, 1, 59, 60, 61)]),
        st.integers(0, 3),
    ),
    max_size=15,
)


@settings(max_examples=50, deadline=None)
@given(rows=label_rows, as_of=st.sampled_from([at(m) for m in (-1, 0, 60, 100)]), data=st.data())
def test_labels_as_of_equal_the_definition(duck, rows, as_of, data):
    """Whatever the order of rows, the label of each id is the last known; asked again, it is the same."""
    tables = [pa.Table.from_pylist(some, LABELS) for some in (rows, data.draw(st.permutations(rows)))]
    found = [labels_as_of(duck, table, as_of) for table in tables]
    assert found[0].equals(found[1])
    assert {
        r["prediction_id"]: (r["label"], r["outcome"], r["first_arrived_at"], r["revisions"])
        for r in found[0].to_pylist()
    } == slow_labels(rows, as_of)


def test_the_last_word_tells_its_source(duck):
    """Of several revisions the source is that of the one that counts."""
    at = datetime(2024, 1, 1, 8, tzinfo=UTC)
    hours = [at + timedelta(hours=lag) for lag in (1, 3, 9)]
    log = pa.table(
        {"day": ["2024-01-01"], "prediction_id": ["p"], "predicted_at": [at], "model_version": ["v"]}
        | {"role": ["champion"], "status": ["ok"], "score": [0.5]}
    )
    labels = pa.table(
        {"day": ["2024-01-01"] * 3, "prediction_id": ["p"] * 3, "label": [0, 1, 0], "outcome": ["x"] * 3}
        | {"arrived_at": hours, "revision": [1, 2, 3], "source": ["live", "nightly", "hand"]}
    )
    told = [join_labels(duck, log, labels, at + timedelta(hours=lag), ["score"]) for lag in (0, 2, 4, 10)]
    assert [table["source"].to_pylist() for table in told] == [[None], ["live"], ["nightly"], ["hand"]]
    assert "source" not in join_labels(duck, log, labels.drop_columns(["source"]), at, ["score"]).schema.names
