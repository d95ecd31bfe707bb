"""Partitions that are streamed into the lake."""

import threading

import pyarrow as pa
import pytest

from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.layout import TableLayout

LAYOUT = TableLayout(
    "rows", pa.schema([("a", pa.int64()), ("t", pa.string()), ("day", pa.string())]), ("day",), ("a",)
)


def _table(first, rows, day="2024-01-01"):
    values = list(range(first, first + rows))
    return pa.table({"a": values, "t": [f"t{v % 3}" for v in values], "day": [day] * rows})


def _streamed(lake, tables, day="2024-01-01"):
    return lake.stream("m", LAYOUT, (day,), lambda: iter(tables), commit={"run_id": "r"})


def test_a_streamed_partition_reads_like_any_other(tmp_path):
    """Rows come back in their order, counted and with their partition; other partitions stay."""
    lake = Lake(str(tmp_path / "a lake"))
    lake.replace("m", LAYOUT, [("2024-01-02",)], _table(0, 5, "2024-01-02"), commit={})
    done = _streamed(lake, [_table(0, 10), _table(10, 7)])
    assert (done.rows, done.changed) == (17, True)
    read = lake.read("m", LAYOUT, where={"day": "2024-01-01"})
    assert read.column("a").to_pylist() == list(range(17))
    assert set(read.column("day").to_pylist()) == {"2024-01-01"}
    assert list(lake.partitions("m", "rows")) == [("2024-01-01",), ("2024-01-02",)]
    assert lake.partition_versions("m", "rows")[("2024-01-01",)].content_hash == done.content_hash


def test_the_same_stream_again_changes_nothing(tmp_path):
    """A second write of equal tables commits nothing and leaves no file behind."""
    lake = Lake(str(tmp_path))
    first, second = _streamed(lake, [_table(0, 10)]), _streamed(lake, [_table(0, 10)])
    assert (second.changed, second.table_version) == (False, first.table_version)
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    assert not list(tmp_path.rglob("*.tmp"))


def test_streams_and_replacements_overwrite_each_other(tmp_path):
    """A partition holds what was written last, whichever way, and can be emptied."""
    lake = Lake(str(tmp_path))
    _streamed(lake, [_table(0, 10)])
    lake.replace("m", LAYOUT, [("2024-01-01",)], _table(0, 3), commit={})
    assert lake.read("m", LAYOUT).num_rows == 3
    _streamed(lake, [_table(5, 4)])
    assert lake.read("m", LAYOUT).column("a").to_pylist() == [5, 6, 7, 8]
    _streamed(lake, [])
    assert lake.read("m", LAYOUT).num_rows == 0


def test_a_stream_that_breaks_publishes_nothing(tmp_path):
    """An error in the middle leaves the partition as it was, and no file beside it."""
    lake = Lake(str(tmp_path))
    _streamed(lake, [_table(0, 4)])

    def broken():
        yield _table(0, 9)
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError):
        lake.stream("m", LAYOUT, ("2024-01-01",), broken, commit={})
    assert lake.read("m", LAYOUT).num_rows == 4
    assert len(list(tmp_path.rglob("stream-*"))) == 1


def test_streams_of_different_days_at_once_all_land(tmp_path):
    """A commit to another partition does not cost a writer its rows."""
    lake = Lake(str(tmp_path))
    days = [f"2024-01-{day:02d}" for day in range(1, 9)]
    threads = [threading.Thread(target=_streamed, args=(lake, [_table(0, 50, d)], d)) for d in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(lake.partitions("m", "rows")) == [(day,) for day in days]
    assert lake.read("m", LAYOUT).num_rows == 400


def test_a_stream_is_computed_again_when_its_partition_changed(tmp_path):
    """The loser of a race reads what the winner wrote before it writes."""
    lake, calls = Lake(str(tmp_path)), []
    _streamed(lake, [_table(0, 1)])

    def compute():
        calls.append(lake.read("m", LAYOUT).num_rows)
        if len(calls) == 1:
            lake.replace("m", LAYOUT, [("2024-01-01",)], _table(0, 6), commit={})
        yield _table(0, calls[-1] + 1)

    lake.stream("m", LAYOUT, ("2024-01-01",), compute, commit={})
    assert calls == [1, 6]
    assert lake.read("m", LAYOUT).num_rows == 7
