"""Delta tables of other writers: one day by a watermark, one digest for the same rows."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from mlobs_pipelines.sources.deliveries import Place, Slot
from mlobs_pipelines.sources.registry import SOURCES
from mlobs_pipelines.sources.row_digest import RowDigest

DAY = date(2013, 3, 1)
AT = datetime(2013, 3, 1, 7, tzinfo=UTC)


def _read(root, columns=(), **options):
    place = Place("local", "delta", str(root), {"watermark": "at"} | options)
    return list(SOURCES["local"](place, Slot("labels", DAY, tuple(columns))))


def _table(**columns):
    return pl.DataFrame(columns).to_arrow()


def test_other_days_and_compaction_are_no_new_delivery(tmp_path):
    """The version is in the name; the digest changes with the day's rows alone."""
    for number in range(3):
        write_deltalake(tmp_path, _table(id=[number], at=[AT]), mode="append")
    [before] = _read(tmp_path)
    write_deltalake(tmp_path, _table(id=[9], at=[AT + timedelta(days=1)]), mode="append")
    DeltaTable(tmp_path).optimize.compact()
    [after] = _read(tmp_path)
    assert (before.sha256, before.name.split("@")[1]) == (after.sha256, "v2")
    assert after.name.endswith("@v4")
    write_deltalake(tmp_path, _table(id=[3], at=[AT]), mode="append")
    [changed] = _read(tmp_path)
    assert changed.sha256 != before.sha256


def test_the_day_ends_before_midnight_utc(tmp_path):
    """The first microsecond of a day belongs to it, and the first of the next does not."""
    edges = [datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 2, tzinfo=UTC)]
    around = [edge + timedelta(microseconds=step) for edge in edges for step in (-1, 0)]
    write_deltalake(tmp_path, _table(id=[0, 1, 2, 3], at=around))
    [found] = _read(tmp_path)
    assert pl.concat(found.frames())["id"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        ("date", date(2013, 3, 1), date(2013, 3, 2)),
        ("string", "2013-03-01T07:00:00Z", "2013-03-02T07:00:00Z"),
        ("integer-day", 20130301, 20130302),
        ("epoch-ms", 1362096000000, 1362182400000),
        ("timestamp", datetime(2013, 3, 1, 7), datetime(2013, 3, 2, 7)),  # noqa: DTZ001 -- a time without a zone
    ],
)
def test_watermarks_of_every_type(tmp_path, kind, inside, outside):
    """A watermark may be a date, a text, a number of the day, an epoch or an instant without a zone."""
    write_deltalake(tmp_path, _table(id=[1, 2], at=[inside, outside]))
    [found] = _read(tmp_path, watermark_type=kind)
    assert pl.concat(found.frames())["id"].to_list() == [1]


def test_partitions_are_columns_and_their_paths_are_decoded(tmp_path):
    """Values that stand in a path alone come back as they were, with any sign in them."""
    places = ["a b", "ü/%", None, "x=y"]
    write_deltalake(
        tmp_path, _table(id=[0, 1, 2, 3], at=[AT] * 4, place=pl.Series(places)), partition_by=["place"]
    )
    [found] = _read(tmp_path)
    rows = pl.concat(found.frames()).sort("id")
    assert rows["place"].to_list() == places


def test_a_partition_may_be_the_watermark(tmp_path):
    """Folders of other days are not opened."""
    days = [DAY, DAY + timedelta(days=1)]
    write_deltalake(tmp_path, _table(id=[0, 1], at=days), partition_by=["at"])
    for other in tmp_path.glob("at=2013-03-02/*.parquet"):
        other.write_bytes(b"")
    [found] = _read(tmp_path, watermark_type="date")
    assert pl.concat(found.frames())["id"].to_list() == [0]


def test_files_from_before_a_column_have_nulls(tmp_path):
    """A column that was added later is null in older rows."""
    write_deltalake(tmp_path, _table(id=[0], at=[AT]))
    write_deltalake(tmp_path, _table(id=[1], at=[AT], more=[0.5]), mode="append", schema_mode="merge")
    [found] = _read(tmp_path)
    assert pl.concat(found.frames()).sort("id")["more"].to_list() == [None, 0.5]


def test_rows_without_a_watermark_are_told_of(tmp_path):
    """They belong to no day, and are not passed over in silence."""
    write_deltalake(tmp_path, _table(id=[0, 1, 2], at=[AT, None, None]))
    found, undated = _read(tmp_path)
    assert pl.concat(found.frames()).height == 1
    assert undated.problem.startswith("2 rows have no at")


def test_a_watermark_that_is_not_there_names_the_columns(tmp_path):
    """The reason lists what the table has."""
    write_deltalake(tmp_path, _table(id=[0], at=[AT]))
    [found] = _read(tmp_path, watermark="written_at")
    assert "no column written_at" in found.problem
    assert "id, at" in found.problem
    [found] = _read(tmp_path, watermark_type="date")
    assert "at does not hold values of type date" in found.problem


def test_deletion_vectors_are_refused(tmp_path):
    """A table whose files are not its rows is not read as if they were."""
    write_deltalake(tmp_path, _table(id=[0], at=[AT]), configuration={"delta.enableDeletionVectors": "true"})
    [found] = _read(tmp_path)
    assert "deletionVectors" in found.problem


def test_a_vanished_file_refuses_the_delivery(tmp_path):
    """A file that the log has and the folder has not is a reason, not a crash."""
    write_deltalake(tmp_path, _table(id=[0], at=[AT]))
    next(tmp_path.glob("*.parquet")).unlink()
    [found] = _read(tmp_path)
    assert "gone" in found.problem


def test_a_digest_tells_apart_what_is_not_the_same():
    """Order and frames do not matter; nulls, empties, types of text, columns and repeats do."""
    rows = pl.DataFrame({"a": [None, "", "1", "1"], "b": ["1", "1", "", "2"]})
    assert _digest(rows) == _digest(rows.reverse().select("b", "a")) == _digest(rows[:1], rows[1:])
    others = [rows[:3], rows.rename({"a": "b", "b": "a"}), pl.concat([rows, rows[:1]]), rows.fill_null("")]
    assert len({_digest(rows), *map(_digest, others)}) == 5


def _digest(*frames):
    digest = RowDigest()
    for frame in frames:
        digest.add(frame)
    return digest.hexdigest()


def test_a_digest_takes_every_type():
    """Binary, nested, decimal and temporal values are counted in."""
    frame = pl.DataFrame(
        pl.from_arrow(
            pa.table(
                {
                    "binary": [b"\xff", None],
                    "list": [[1, None], None],
                    "struct": [{"x": 1}, None],
                    "decimal": pa.array(["1.50", None]).cast(pa.decimal128(10, 2)),
                    "time": [AT, None],
                    "bool": [True, None],
                    "float": [float("nan"), None],
                    "null": pa.nulls(2),
                }
            )
        )
    )
    digests = {_digest(frame), _digest(frame[:1]), _digest(frame[1:])}
    assert len(digests) == 3
