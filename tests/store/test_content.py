import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.store.content import content_hash

unhurried = settings(deadline=None)  # the machine may be busy
COLUMNS = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=5),
    pa.binary(): st.binary(max_size=5),
    pa.date32(): st.dates(),
    pa.timestamp("us", tz="UTC"): st.integers(-(2**50), 2**50),
    pa.list_(pa.string()): st.lists(st.none() | st.text(max_size=3), max_size=3),
    pa.list_(pa.float64()): st.lists(st.none() | st.floats(), max_size=3),
    pa.list_(pa.list_(pa.int64())): st.lists(
        st.none() | st.lists(st.integers(-9, 9), max_size=2), max_size=3
    ),
}


@st.composite
def columns(draw):
    """Values of one column with nulls, and their type."""
    kind = draw(st.sampled_from(list(COLUMNS)))
    return draw(st.lists(st.none() | COLUMNS[kind], max_size=12)), kind


def hash_of(array):
    """Hash a column alone."""
    return content_hash(pa.table({"a": array}))


@unhurried
@given(columns(), st.data())
def test_chunks_do_not_count(column, data):
    """A column hashes the same however it is cut into chunks."""
    array = pa.array(*column)
    cut = data.draw(st.integers(0, len(array)))
    chunked = pa.chunked_array([array[:cut], array[cut:]], type=array.type)
    assert hash_of(chunked) == hash_of(array)


@unhurried
@given(columns(), st.data())
def test_slices_do_not_count(column, data):
    """A slice of a longer column hashes like a column made of its values alone."""
    values, kind = column
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    assert hash_of(pa.array(values, kind)[start:stop]) == hash_of(pa.array(values[start:stop], kind))


@unhurried
@given(st.lists(st.none() | st.integers(-9, 9), max_size=9), st.integers(-99, 99))
def test_bytes_under_nulls_do_not_count(values, garbage):
    """What lies in memory under a null does not change the hash."""
    validity = pa.array([value is not None for value in values]).buffers()[1] if values else None
    under = pa.array([garbage if value is None else value for value in values], pa.int64())
    dirty = pa.Array.from_buffers(pa.int64(), len(values), [validity, under.buffers()[1]])
    assert hash_of(dirty) == hash_of(pa.array(values, pa.int64()))


@unhurried
@given(st.lists(st.none() | st.text(max_size=3), max_size=9))
def test_encodings_of_text_do_not_count(values):
    """Dictionaries, wide offsets and views hash like plain strings."""
    plain = pa.array(values, pa.string())
    forms = [plain.dictionary_encode(), plain.cast(pa.large_string()), plain.cast(pa.string_view())]
    assert {hash_of(form) for form in forms} == {hash_of(plain)}


@unhurried
@given(columns(), columns())
def test_column_order_does_not_count(left, right):
    """Columns may come in any order."""
    size = min(len(left[0]), len(right[0]))
    table = pa.table({"a": pa.array(*left)[:size], "b": pa.array(*right)[:size]})
    assert content_hash(table) == content_hash(table.select(["b", "a"]))


@unhurried
@given(columns(), columns())
def test_different_values_differ(left, right):
    """Columns of one type that differ in a value differ in their hash."""
    one, other = pa.array(*left), pa.array(*right)
    if one.type == other.type and repr(one.to_pylist()) != repr(other.to_pylist()):
        same = [_same(a, b) for a, b in zip(one.to_pylist(), other.to_pylist(), strict=False)]
        assert hash_of(one) != hash_of(other) or (len(one) == len(other) and all(same))


def _same(left, right):
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["", "ab"], ["a", "b"]),
        (["a", ""], ["", "a"]),
        ([None, "a"], ["a", None]),
        ([[1], [2]], [[1, 2], []]),
        ([None, [1]], [[], [1]]),
        ([math.nan, 1.0], [None, 1.0]),
        ([0], [False]),
        ([1], [1.0]),
    ],
)
def test_look_alikes_differ(left, right):
    """Values that share their bytes but not their borders, nulls or types hash apart."""
    assert hash_of(pa.array(left)) != hash_of(pa.array(right))


def test_zeros_and_nans_have_one_spelling():
    """Negative zero equals zero, and every NaN equals every other."""
    odd_nan = pa.Array.from_buffers(
        pa.float64(),
        1,
        [None, pa.py_buffer((0x7FF8000000000001).to_bytes(8, "little"))],
    )
    assert hash_of(pa.array([-0.0])) == hash_of(pa.array([0.0]))
    assert hash_of(odd_nan) == hash_of(pa.array([math.nan]))


def test_ignored_columns_do_not_count():
    """A column left out may hold anything."""
    first, second = (pa.table({"a": [1], "run_id": [run]}) for run in ("r1", "r2"))
    assert content_hash(first, ignore=["run_id"]) == content_hash(second, ignore=["run_id"])


def test_unknown_types_are_refused():
    """A struct is refused instead of being hashed by its memory."""
    with pytest.raises(TypeError, match="struct"):
        hash_of(pa.array([{"x": 1}]))


def test_the_hash_of_a_known_table_stays():
    """The hash is part of what lineage records, so it may not drift between versions."""
    table = pa.table({"a": pa.array([1, None]), "b": pa.array(["x", "y"])})
    assert content_hash(table) == "c41013b75d7a12304b55ac52f12f21788397be88208c5aa9b027a4dfa70f510c"
