"""Parquet: every physical type as it is, in bounded frames, or a reason."""

import resource
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlobs_pipelines.sources.deliveries import BATCH_ROWS, Place, Slot
from mlobs_pipelines.sources.registry import SOURCES

AT = datetime(2013, 3, 1, 7, tzinfo=UTC)


def _delivery(folder, table, columns=(), **how):
    if isinstance(table, bytes):
        (folder / "x.parquet").write_bytes(table)
    else:
        pq.write_table(table, folder / "x.parquet", **how)
    place = Place("local", "parquet", f"{folder}/x.parquet")
    [found] = SOURCES["local"](place, Slot("labels", date(2013, 3, 1), columns))
    return found


def _values(folder, array, **how):
    found = _delivery(folder, pa.table({"a": array}), **how)
    assert found.problem == ""
    return found.columns["a"], pl.concat(found.frames())["a"].to_list()


@pytest.mark.parametrize(
    ("array", "kind", "values"),
    [
        (pa.array([2**64 - 1], pa.uint64()), "uint64", [2**64 - 1]),
        (pa.array([-1], pa.int8()), "int8", [-1]),
        (pa.array([np.float16(0.1)]), "halffloat", [float(np.float16(0.1))]),
        (pa.array([Decimal("1.50")], pa.decimal128(38, 2)), "decimal128(38, 2)", [Decimal("1.50")]),
        (pa.array([Decimal("1.50")], pa.decimal256(60, 2)), "decimal256(60, 2)", ["1.50"]),
        (
            pa.array(["x", "y", "x"]).dictionary_encode(),
            "dictionary<values=string, indices=int32, ordered=0>",
            ["x", "y", "x"],
        ),
        (pa.array([b"\xff"]), "binary", [b"\xff"]),
        (pa.array([b"\xff\xfe"], pa.binary(2)), "fixed_size_binary[2]", [b"\xff\xfe"]),
        (pa.array(["x"], pa.large_string()), "large_string", ["x"]),
        (pa.array(["x"], pa.string_view()), "string_view", ["x"]),
        (pa.array([AT], pa.timestamp("us", "+05:30")), "timestamp[us, tz=+05:30]", [AT]),
        (pa.array([AT], pa.timestamp("ms", "Europe/Berlin")), "timestamp[ms, tz=Europe/Berlin]", [AT]),
        (pa.array([AT.replace(tzinfo=None)], pa.timestamp("ns")), "timestamp[ns]", [AT.replace(tzinfo=None)]),
        (pa.array([date(2013, 3, 1)]), "date32[day]", [date(2013, 3, 1)]),
        (pa.nulls(2), "null", [None, None]),
        (pa.array([True, None]), "bool", [True, None]),
        (pa.array([[1, None]]), "list<element: int64>", [[1, None]]),
        (pa.array([{"x": 1}]), "struct<x: int64>", [{"x": 1}]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_physical_type_is_read_exactly(tmp_path, array, kind, values):
    """What Polars lacks becomes the nearest type that holds every value; the delivered type is told."""
    assert _values(tmp_path, array) == (kind, values)


def test_old_timestamps_of_96_bits_are_read(tmp_path):
    """Spark's INT96 instants come as timestamps."""
    array = pa.array([AT.replace(tzinfo=None)], pa.timestamp("ns"))
    kind, values = _values(tmp_path, array, use_deprecated_int96_timestamps=True)
    assert (kind, values) == ("timestamp[ns]", [AT.replace(tzinfo=None)])


def test_frames_are_bounded_and_in_order(tmp_path):
    """A row group of any size comes in frames of at most the agreed rows, and only of the wanted columns."""
    rows = BATCH_ROWS * 2 + 5
    table = pa.table({"a": np.arange(rows), "b": np.arange(rows)})
    found = _delivery(tmp_path, table, ("a", "z"), row_group_size=rows)
    frames = list(found.frames())
    assert max(frame.height for frame in frames) <= BATCH_ROWS
    assert pl.concat(frames)["a"].equals(pl.Series("a", np.arange(rows)))
    assert list(found.columns) == ["a", "b"]


def test_a_file_without_rows_is_a_day_without_rows(tmp_path):
    """A schema alone is readable and empty."""
    found = _delivery(tmp_path, pa.table({"a": pa.array([], pa.int64())}))
    assert found.columns == {"a": "int64"}
    assert sum(frame.height for frame in found.frames()) == 0


def test_a_column_that_comes_twice_is_refused(tmp_path):
    """Which of the two is meant cannot be known."""
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert "column a occurs more than once" in _delivery(tmp_path, table).problem


@pytest.mark.parametrize(
    "data", [b"PAR1", b"garbage" * 100, b"PARE" + b"\0" * 90], ids=["magic", "noise", "encrypted"]
)
def test_what_is_no_parquet_is_refused(tmp_path, data):
    """Truncated, foreign and encrypted files say what they are."""
    problem = _delivery(tmp_path, data).problem
    assert "encrypted" in problem if data.startswith(b"PARE") else "cannot be read as parquet" in problem


def test_text_that_is_not_utf_8_names_its_column(tmp_path):
    """Bytes that a writer passed off as text are no text."""
    array = pa.array([b"\xff\xfe"]).view(pa.string())
    found = _delivery(tmp_path, pa.table({"ok": ["x"], "a": array}))
    with pytest.raises(Exception, match="column a holds text that is not UTF-8"):
        list(found.frames())


MEMORY = """
import resource, sys
from datetime import date
from mlobs_pipelines.sources import parquet, files
from mlobs_pipelines.sources.deliveries import Place, Slot
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
[found] = files.deliveries(Place("local", "parquet", sys.argv[1]), Slot("x", date(2013, 3, 1), ()))
print(sum(frame.height for frame in found.frames()))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes on Linux")
def test_memory_does_not_grow_with_the_file(tmp_path):
    """A file of 240 MB in one row group is read in less than it holds."""
    assert resource.RUSAGE_SELF == 0
    rows = 3_000_000
    columns = {f"f{number}": np.random.default_rng(number).normal(size=rows) for number in range(10)}
    pq.write_table(pa.table(columns), tmp_path / "big.parquet", row_group_size=rows, compression="none")
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "big.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read, kilobytes = map(int, done.stdout.split())
    assert read == rows
    assert kilobytes < 150_000
