import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from mlobs_pipelines.store.lake import (
    Between,
    Lake,
    LakeError,
    LayoutMismatchError,
    TableLayout,
    TableMissingError,
)

COMMIT = {"run_id": "r1", "batch_id": "b1"}
DAYS = ("2013-03-01", "2013-03-02", "2013-03-03")


def keys(*days):
    """Name the partitions of days."""
    return [(day,) for day in days]


def test_what_is_written_is_read(lake, layout, make_rows):
    """Rows come back with their types, partition columns as strings, under a path with a space."""
    rows = make_rows(*DAYS)
    lake.replace("m", layout, keys(*DAYS), rows, commit=COMMIT)
    read = lake.read("m", "scores")
    assert read.to_pylist() == rows.to_pylist()
    assert [str(read.schema.field(name).type) for name in ("day", "at")] == [
        "string",
        "timestamp[us, tz=UTC]",
    ]


def test_a_repeated_write_commits_nothing(lake, layout, make_rows):
    """Writing the same content again, shuffled and under another run, leaves the table's version alone."""
    first = lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    again = make_rows(*DAYS[::-1], run_id="r2").take(list(range(14, -1, -1)))
    second = lake.replace("m", layout, keys(*DAYS), again, commit={"run_id": "r2"})
    assert lake.version("m", "scores") == 1
    assert [part.changed for part in first.values()] == [True] * 3
    assert [part.changed for part in second.values()] == [False] * 3
    assert [part.content_hash for part in first.values()] == [part.content_hash for part in second.values()]


def test_only_changed_partitions_are_written(lake, layout, make_rows):
    """Of a range, one commit rewrites the days that differ and keeps the files of the others."""
    lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    before = lake.files("m", "scores", where={"day": DAYS[0]})
    changed = pa.concat_tables([make_rows(DAYS[0]), make_rows(DAYS[1], score=0.9)])
    done = lake.replace("m", layout, keys(*DAYS[:2]), changed, commit=COMMIT)
    assert [part.changed for part in done.values()] == [False, True]
    assert lake.version("m", "scores") == 2
    assert lake.files("m", "scores", where={"day": DAYS[0]}) == before


def test_the_order_of_commits_does_not_count(tmp_path, layout, make_rows):
    """Two lakes filled in different orders, one of them with detours, have the same summary hash."""
    one, other = Lake(str(tmp_path / "one")), Lake(str(tmp_path / "other"))
    one.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    other.replace("m", layout, keys(DAYS[1]), make_rows(DAYS[1], score=0.1), commit=COMMIT)
    for day in DAYS[::-1]:
        other.replace("m", layout, keys(day), make_rows(day, run_id="r9"), commit=COMMIT)
    left, right = one.summary("m")[0], other.summary("m")[0]
    assert (left.content_hash, left.rows, left.partitions) == (
        right.content_hash,
        right.rows,
        right.partitions,
    )
    assert left.version != right.version


def test_a_summary_tells_lakes_apart(tmp_path, layout, make_rows):
    """One different value in one day changes the summary hash of its table."""
    lakes = [Lake(str(tmp_path / name)) for name in "ab"]
    for lake, score in zip(lakes, (0.5, 0.6), strict=True):
        lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS, score=score), commit=COMMIT)
    assert lakes[0].summary("m")[0].content_hash != lakes[1].summary("m")[0].content_hash


def test_a_partition_without_rows_becomes_empty(lake, layout, make_rows):
    """A named partition that gets no row holds none afterwards, and others keep theirs."""
    lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    done = lake.replace("m", layout, keys(*DAYS[:2]), make_rows(DAYS[1]), commit=COMMIT)
    assert done[(DAYS[0],)].rows == 0
    assert done[(DAYS[0],)].changed
    assert list(lake.partitions("m", "scores")) == keys(*DAYS[1:])


def test_emptying_an_empty_partition_changes_nothing(lake, layout):
    """A first write without rows creates the table, readable as empty, and says that nothing changed."""
    done = lake.replace("m", layout, keys(*DAYS), layout.empty(), commit=COMMIT)
    assert not any(part.changed for part in done.values())
    assert lake.read("m", "scores").schema.names == layout.schema.names
    assert lake.read("m", "scores").num_rows == 0


def test_rows_outside_of_the_named_partitions_are_refused(lake, layout, make_rows):
    """A row of another day is counted in an error and nothing is written."""
    with pytest.raises(LayoutMismatchError, match="5 rows lie outside"):
        lake.replace("m", layout, keys(DAYS[0]), make_rows(*DAYS[:2]), commit=COMMIT)
    assert lake.version("m", "scores") == 0


@pytest.mark.parametrize("partition", [("",), (), ("2013-03-01", "x")])
def test_partitions_are_named_in_full(lake, layout, make_rows, partition):
    """A partition without exactly one non-empty value per partition column is refused."""
    with pytest.raises(LayoutMismatchError, match="one non-empty value"):
        lake.replace("m", layout, [partition], make_rows(), commit=COMMIT)


def test_lossy_rows_leave_the_table_alone(lake, layout, make_rows):
    """A float for an integer column is refused before anything is committed."""
    lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    rows = make_rows(DAYS[0])
    floats = rows.set_column(2, "count", pa.array([1.7] * rows.num_rows))
    with pytest.raises(LayoutMismatchError, match="table scores, column count: double"):
        lake.replace("m", layout, keys(DAYS[0]), floats, commit=COMMIT)
    assert lake.version("m", "scores") == 1


def test_reads_prune_by_partition(lake, layout, make_rows):
    """A value, a collection and a range each select partitions, and columns are read as asked."""
    lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    filters = [DAYS[0], [DAYS[0], DAYS[2]], Between(DAYS[1], DAYS[2]), Between(None, DAYS[0]), []]
    counts = [lake.read("m", "scores", where={"day": allowed}).num_rows for allowed in filters]
    assert counts == [5, 10, 10, 5, 0]
    assert lake.read("m", "scores", columns=["score", "day"]).column_names == ["score", "day"]


def test_filters_on_other_columns_are_refused(lake, layout, make_rows):
    """A filter on a column that is no partition column is an error, not a full read."""
    lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    with pytest.raises(LayoutMismatchError, match="not partitioned by id"):
        lake.read("m", "scores", where={"id": "p1"})


def test_missing_tables(lake, layout):
    """A missing table reads as empty by its layout and is an error by its name."""
    assert lake.read("m", layout, columns=["id"]).schema.names == ["id"]
    assert lake.tables("m") == []
    with pytest.raises(TableMissingError, match="materialize it"):
        lake.read("m", "scores")


@pytest.mark.parametrize("name", ["../m", "a/b", "", ".hidden", "a b"])
def test_names_stay_inside_the_lake(lake, layout, name):
    """A model's name cannot lead out of the lake's folder."""
    with pytest.raises(ValueError, match="letters, digits"):
        lake.read(name, layout)


def test_time_travel(lake, layout, make_rows):
    """Any version a write returned can be read again."""
    first = lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0], score=0.9), commit=COMMIT)
    version = first[(DAYS[0],)].table_version
    assert set(lake.read("m", "scores", version=version).column("score").to_pylist()) == {0.5}
    assert set(lake.read("m", "scores").column("score").to_pylist()) == {0.9}


def test_expired_versions_say_so(lake, layout, make_rows):
    """A version whose files were removed is an error that says what to do."""
    lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0], score=0.9), commit=COMMIT)
    table = DeltaTable(lake.place.table("m", "scores"))
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(LakeError, match="have expired"):
        lake.read("m", "scores", version=1)
    with pytest.raises(TableMissingError):
        lake.read("m", "scores", version=99)


def test_commits_carry_who_wrote_them(lake, layout, make_rows):
    """The history names run and batch, latest commit first."""
    lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    latest = lake.history("m", "scores")[0]
    assert (latest["version"], latest["run_id"], latest["batch_id"]) == (1, "r1", "b1")


def test_the_log_holds_no_row_values(lake, layout, make_rows):
    """Statistics of columns are kept out of the log, so that no value of a row gets there."""
    rows = make_rows(DAYS[0]).set_column(1, "id", pa.array([f"canary{i}" for i in range(5)]))
    lake.replace("m", layout, keys(DAYS[0]), rows, commit=COMMIT)
    log = "".join(path.read_text() for path in lake_files(lake, "_delta_log/*.json"))
    assert "canary" not in log
    assert "numRecords" in log


def lake_files(lake, pattern):
    """Files in the folder of the table."""
    return sorted(Path(lake.place.table("m", "scores")).glob(pattern))


def test_nullable_columns_can_be_added(lake, layout, make_rows):
    """A new nullable column reads as null in old partitions, which do not count as changed."""
    lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    wider = replace(layout, schema=layout.schema.append(pa.field("extra", pa.list_(pa.float64()))))
    rows = make_rows(*DAYS).append_column("extra", pa.nulls(15, pa.list_(pa.float64())))
    same = lake.replace("m", wider, keys(*DAYS), rows, commit=COMMIT)
    assert not any(part.changed for part in same.values())
    filled = make_rows(DAYS[0]).append_column("extra", pa.array([[1.0]] * 5))
    lake.replace("m", wider, keys(DAYS[0]), filled, commit=COMMIT)
    assert lake.read("m", "scores").column("extra").to_pylist() == [[1.0]] * 5 + [None] * 10


def test_columns_to_come_read_as_null(lake, layout, make_rows):
    """A layout wider than its table reads the new column as null; a name that nobody knows is an error."""
    lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    wider = replace(layout, schema=layout.schema.append(pa.field("extra", pa.float64())))
    assert lake.read("m", wider, columns=["extra"]).column("extra").null_count == 5
    with pytest.raises(LayoutMismatchError, match="no column scroe"):
        lake.read("m", "scores", columns=["scroe"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda schema: schema.remove(2), "count is stored but not in the layout"),
        (lambda schema: schema.set(2, pa.field("count", pa.float64())), "count is stored as int64"),
        (
            lambda schema: schema.append(pa.field("new", pa.int64(), nullable=False)),
            "new is new and not nullable",
        ),
    ],
)
def test_other_changes_of_a_layout_are_refused(lake, layout, make_rows, change, told):
    """Dropping, retyping or requiring a column is an error that names it and leaves the table as it was."""
    lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    other = replace(layout, schema=change(layout.schema))
    with pytest.raises(LayoutMismatchError, match=told):
        lake.replace("m", other, keys(DAYS[0]), other.empty(), commit=COMMIT)
    assert lake.version("m", "scores") == 1


def test_partition_columns_are_fixed(lake, layout, make_rows):
    """A table cannot be repartitioned by a changed layout."""
    lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    with pytest.raises(LayoutMismatchError, match="partitioned by day, not by day, id"):
        lake.replace("m", replace(layout, keys=("day", "id")), [("d", "i")], layout.empty(), commit=COMMIT)


def test_two_partition_columns_with_odd_values(lake):
    """Partition values with quotes, slashes, spaces, percent signs and accents survive the round trip."""
    schema = pa.schema([pa.field("dataset", pa.string()), pa.field("day", pa.string()), ("x", pa.int64())])
    layout = TableLayout("pairs", schema, ("dataset", "day"), ("x",))
    parts = [("features/weather", "d'1"), ("a b%20é", "d1"), ("a b%20é", "d2:00")]
    rows = pa.Table.from_pylist(
        [{"dataset": a, "day": b, "x": n} for n, (a, b) in enumerate(parts)], schema=schema
    )
    lake.replace("m", layout, parts, rows, commit=COMMIT)
    lake.replace("m", layout, parts[:1], layout.empty(), commit=COMMIT)
    assert list(lake.partitions("m", "pairs")) == sorted(parts[1:])
    assert lake.read("m", "pairs", where={"day": "d2:00"}).column("x").to_pylist() == [2]


def test_duckdb_scans_the_files(lake, layout, make_rows):
    """The list of files is all that another engine needs."""
    lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    files = lake.files("m", "scores", where={"day": Between(DAYS[1], None)})
    scan = "read_parquet(?, hive_partitioning=true, hive_types_autocast=false)"
    query = f"SELECT day, count(*) FROM {scan} GROUP BY ALL ORDER BY 1"  # noqa: S608 - no input in it
    with duckdb.connect() as connection:
        assert connection.execute(query, [files]).fetchall() == [(DAYS[1], 5), (DAYS[2], 5)]


def test_versions_of_partitions_can_be_asked_for(lake, layout, make_rows):
    """A reader learns the same hashes and sizes as the writer was told."""
    done = lake.replace("m", layout, keys(*DAYS), make_rows(*DAYS), commit=COMMIT)
    asked = lake.partition_versions("m", "scores")
    assert {key: replace(part, changed=False) for key, part in done.items()} == asked


def test_content_survives_another_writers_file_layout(lake, layout, make_rows):
    """A partition rewritten by another program in other files and another order counts as unchanged."""
    done = lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    shuffled = lake.read("m", "scores").take([3, 1, 4, 0, 2])
    address = lake.place.table("m", "scores")
    write_deltalake(address, shuffled.slice(0, 2), mode="overwrite", predicate=f"day = '{DAYS[0]}'")
    write_deltalake(address, shuffled.slice(2), mode="append")
    again = lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    assert len(lake.files("m", "scores")) == 2
    assert not again[(DAYS[0],)].changed
    assert again[(DAYS[0],)].content_hash == done[(DAYS[0],)].content_hash


def test_tables_whose_files_do_not_tell_all_are_refused(lake, layout, make_rows):
    """A table with deletion vectors is refused, because its files hold rows that were deleted."""
    lake.replace("m", layout, keys(DAYS[0]), make_rows(DAYS[0]), commit=COMMIT)
    features = ["deletionVectors"]
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": features,
        "writerFeatures": features,
    }
    log = lake_files(lake, "_delta_log/*1.json")[0]
    log.with_name("00000000000000000002.json").write_text(json.dumps({"protocol": protocol}) + "\n")
    with pytest.raises(LakeError, match="uses deletionVectors"):
        lake.files("m", "scores")


def test_storage_options_are_not_printed():
    """Credentials of an object store do not show in a representation."""
    assert "hunter2" not in repr(Lake("s3://bucket/lake", {"aws_secret_access_key": "hunter2"}))
