"""Rows from files batch by batch, and rows of two files beside each other by their key."""

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.engine import reading
from mlobs_pipelines.engine.reading import beside, partition_batches, read_batches

KEYS = st.lists(st.integers(0, 30).map(lambda number: f"p{number:02d}"), max_size=40)
SCHEMA = pa.schema([("day", pa.string()), ("id", pa.string()), ("x", pa.float64()), ("late", pa.int64())])


def stream(keys, size, **columns):
    """Batches of so many rows each, ascending by id."""
    table = pa.table({"id": pa.array(keys, pa.string()), **columns})
    return iter(table.to_batches(max_chunksize=size))


@given(left=KEYS, right=KEYS.map(set), sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_rows_stand_beside_those_of_the_same_key(left, right, sizes):
    """However both are cut, a row gets the value of its key, or a null where there is none."""
    left, right = sorted(left), sorted(right)
    served = stream(left, sizes[0], x=pa.array([1.0] * len(left), pa.float64()))
    known = stream(right, sizes[1], x=pa.array([float(key[1:]) for key in right], pa.float64()))
    found = [row for batch in beside(served, known, "id", {"x": "pit__x"}) for row in batch.to_pylist()]
    wanted = [float(key[1:]) if key in right else None for key in left]
    assert [row["id"] for row in found] == left
    assert [row["pit__x"] for row in found] == wanted


@pytest.mark.parametrize(
    "keys", [["a", "b", "c", "d", "e"], ["c", "a", "e", "b", "d"]], ids=["ordered", "not"]
)
def test_a_partition_is_read_in_the_order_of_its_key(monkeypatch, tmp_path, keys):
    """Rows ascend however they were stored; columns that a file lacks are null, and the day is named."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 2)
    pq.write_table(pa.table({"id": keys, "x": [float(ord(key)) for key in keys]}), tmp_path / "one.parquet")
    form = ds.ParquetFileFormat()
    fragment = form.make_fragment(
        str(tmp_path / "one.parquet"), pa.fs.LocalFileSystem(), ds.field("day") == "2024-01-01"
    )
    dataset = ds.FileSystemDataset([fragment], SCHEMA, form, pa.fs.LocalFileSystem())
    batches = list(partition_batches(dataset, SCHEMA, {"day": "2024-01-01"}, "id"))
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert len(batches) == 3
    assert rows == [{"day": "2024-01-01", "id": key, "x": float(ord(key)), "late": None} for key in "abcde"]


def test_a_file_is_read_column_by_column_and_in_order(monkeypatch, tmp_path):
    """Asked columns come, unknown ones are passed over, texts as dictionaries unless they seldom repeat."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 3)
    pq.write_table(pa.table({"id": list("abcdefg"), "c": ["x"] * 7, "n": range(7)}), tmp_path / "one.parquet")
    batches = list(read_batches(str(tmp_path / "one.parquet"), ["id", "c", "n", "new"], plain=["id"]))
    assert [batch.num_rows for batch in batches] == [3, 3, 1]
    assert [value for batch in batches for value in batch.column("n").to_pylist()] == list(range(7))
    assert batches[0].schema.field("id").type == pa.string()
    assert pa.types.is_dictionary(batches[0].schema.field("c").type)
