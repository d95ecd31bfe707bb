from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.store.layout import LayoutMismatchError, TableLayout, conform, ordered, split

unhurried = settings(deadline=None)  # the machine may be busy
NUMBERS = TableLayout("numbers", pa.schema([("day", pa.string()), ("x", pa.int64())]), ("day",), ("x",))


def layout_with(kind, *, nullable=True):
    """Lay out a column x of a type."""
    schema = pa.schema([pa.field("day", pa.string()), pa.field("x", kind, nullable=nullable)])
    return TableLayout("t", schema, ("day",), ())


def one(array):
    """Rows of one day with a column x."""
    return pa.table({"day": pa.array(["d"] * len(array)), "x": array})


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([1.7]), pa.int64()),
        (pa.array([1.0]), pa.int64()),
        (pa.array([1.0]), pa.float32()),
        (pa.array([0], pa.timestamp("ns", tz="UTC")), pa.timestamp("us", tz="UTC")),
        (pa.array([0], pa.timestamp("us")), pa.timestamp("us", tz="UTC")),
        (pa.array([0], pa.timestamp("us", tz="Europe/Berlin")), pa.timestamp("us", tz="UTC")),
        (pa.array([True]), pa.int64()),
        (pa.array(["1"]), pa.int64()),
        (pa.array([300]), pa.int8()),
        (pa.array([2**63], pa.uint64()), pa.int64()),
        (pa.array([2**53 + 1]), pa.float64()),
        (pa.array([[1.5]]), pa.list_(pa.int64())),
    ],
)
def test_lossy_casts_are_refused(array, kind):
    """A cast that could lose something is an error that names table and column."""
    with pytest.raises(LayoutMismatchError, match="table t, column x"):
        conform(one(array), layout_with(kind))


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([1, None], pa.int8()), pa.int64()),
        (pa.array([1, None], pa.uint32()), pa.int64()),
        (pa.array([1.5], pa.float32()), pa.float64()),
        (pa.array([3]), pa.float64()),
        (pa.array(["a"]).dictionary_encode(), pa.string()),
        (pa.array(["a"], pa.large_string()), pa.string()),
        (pa.array([["a"]], pa.large_list(pa.large_string())), pa.list_(pa.string())),
        (pa.array([1], pa.timestamp("ms", tz="UTC")), pa.timestamp("us", tz="UTC")),
        (pa.nulls(2), pa.float64()),
    ],
)
def test_lossless_casts_are_made(array, kind):
    """Other physical forms of the same values are accepted."""
    column = conform(one(array), layout_with(kind)).column("x")
    assert (column.type, column.to_pylist()) == (kind, array.to_pylist())


def test_refusals_carry_no_value():
    """The error of a value that does not fit does not quote the value, nor chains an error that does."""
    with pytest.raises(LayoutMismatchError) as caught:
        conform(one(pa.array([987654321])), layout_with(pa.int8()))
    assert "987654321" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pa.table({"day": ["d"]}), "missing columns: x"),
        (pa.table({"day": ["d"], "x": [1], "y": [1]}), "unknown columns: y"),
        (pa.table([pa.array(["d"]), pa.array([1]), pa.array([1])], ["day", "x", "x"]), "repeated columns: x"),
    ],
)
def test_columns_are_exactly_those_of_the_layout(table, told):
    """A renamed column is an error, not a column of nulls."""
    with pytest.raises(LayoutMismatchError, match=told):
        conform(table, NUMBERS)


def test_nulls_need_permission():
    """A null in a column that allows none is counted and refused."""
    with pytest.raises(LayoutMismatchError, match="1 nulls"):
        conform(one(pa.array([1, None])), layout_with(pa.int64(), nullable=False))


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("day", pa.date32())]),
        pa.schema([("day", pa.string()), ("x", pa.timestamp("ns", tz="UTC"))]),
        pa.schema([("day", pa.string()), ("x", pa.timestamp("us"))]),
        pa.schema([("x", pa.int64())]),
    ],
)
def test_layouts_that_delta_would_bend_are_refused(schema):
    """Partition columns are strings that exist, and instants are microseconds in UTC."""
    with pytest.raises(LayoutMismatchError):
        TableLayout("t", schema, ("day",))


@unhurried
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(0, 3) | st.none(), st.lists(st.integers(0, 2), max_size=2)
        )
    )
)
def test_order_depends_on_the_rows_alone(values):
    """Rows come out in one order whatever order they went in, lists and repeated rows included."""
    schema = pa.schema([("day", pa.string()), ("x", pa.int64()), ("l", pa.list_(pa.int64()))])
    layout = TableLayout("t", schema, ("day",), ("x",))
    made = [dict(zip(("day", "x", "l"), value, strict=True)) for value in values]
    first, second = (pa.Table.from_pylist(rows, schema=schema) for rows in (made, made[::-1]))
    assert ordered(first, layout).equals(ordered(second, layout))


@unhurried
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9))))
def test_split_loses_nothing(values):
    """Every row lies in the slice of its partition and in no other."""
    table = pa.Table.from_pylist([{"day": day, "x": x} for day, x in values], schema=NUMBERS.schema)
    cut = split(ordered(table, NUMBERS), ("day",))
    found = [(key[0], x) for key, part in cut.items() for x in part.column("x").to_pylist()]
    assert sorted(found) == sorted(values)


def test_split_names_each_slice_by_its_own_rows():
    """A year of partitions under two keys: each slice holds the rows of the key it is filed under."""
    days = [(date(2013, 1, 1) + timedelta(days=offset)).isoformat() for offset in range(365)]
    table = pa.table({"dataset": ["predictions"] * 365, "day": days, "x": range(365)})
    cut = split(table, ("dataset", "day"))
    assert [key[1] for key in cut] == days
    assert all(part.column("day").to_pylist() == [key[1]] for key, part in cut.items())


def test_instants_in_utc_pass_unchanged():
    """A UTC instant is stored to the microsecond."""
    at = datetime(2013, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
    kind = pa.timestamp("us", tz="UTC")
    assert conform(one(pa.array([at], kind)), layout_with(kind)).column("x")[0].as_py() == at


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "ä", "aa", "", None]),
            st.sampled_from([date(1969, 1, 2), date(2024, 2, 29), None]),
            st.integers(0, 2),
        ),
        max_size=30,
    )
)
def test_rows_are_in_the_order_that_arrow_sorts_them_into(rows):
    """By partition, then by what the layout names, then by the rest; nulls last, ties or none."""
    schema = pa.schema([("p", pa.string()), ("t", pa.string()), ("d", pa.date32()), ("n", pa.int64())])
    told = [dict(zip(("p", "t", "d", "n"), ("x", *row), strict=True)) for row in rows]
    table = pa.Table.from_pylist(told, schema=schema)
    layout = TableLayout("some", schema, ("p",), ("t", "d"))
    order = [(name, "ascending") for name in ("p", "t", "d", "n")]
    assert ordered(table, layout).equals(table.take(pc.sort_indices(table, sort_keys=order)))
