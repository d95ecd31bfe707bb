"""A table that nobody has written to is not opened again, and whatever happens to it is seen."""

import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from mlobs_pipelines.store.lake import TableMissingError

DAY = "2013-03-01"
COMMIT = {"run_id": "r1"}


@pytest.fixture
def address(lake, layout, make_rows):
    """The folder of a table of two versions that this process has seen."""
    for score in (0.5, 0.6):
        lake.replace("m", layout, [(DAY,)], make_rows(DAY, score=score), commit=COMMIT)
    assert scores(lake) == {0.6}
    return Path(lake.place.table("m", "scores"))


def scores(lake):
    """The different scores that are read."""
    return set(lake.read("m", "scores").column("score").to_pylist())


def log_of(address, version):
    """The commit that made a version."""
    return address / "_delta_log" / f"{version:020}.json"


def test_a_table_without_new_commits_is_read_without_its_log(address, lake, layout, make_rows):
    """Readers, and writers who change nothing, need no more of the log than its last file."""
    for version in (0, 1):
        log_of(address, version).unlink()
    with pytest.raises(Exception, match="log"):
        DeltaTable(str(address))
    assert scores(lake) == {0.6}
    assert lake.version("m", "scores") == 2
    same = lake.replace("m", layout, [(DAY,)], make_rows(DAY, score=0.6), commit=COMMIT)
    assert not same[(DAY,)].changed


def test_what_another_writer_commits_is_read(address, lake, make_rows):
    """A commit that did not go through this lake is seen at once."""
    write_deltalake(str(address), make_rows(DAY, score=0.7), mode="append")
    assert scores(lake) == {0.6, 0.7}
    assert lake.version("m", "scores") == 3


def test_a_table_that_was_removed_is_missing(address, lake):
    """Once its folder is gone, a table is neither there nor read from memory."""
    shutil.rmtree(address)
    assert not lake.exists("m", "scores")
    with pytest.raises(TableMissingError):
        lake.read("m", "scores")


def test_a_table_that_was_made_again_is_read_anew(address, lake, layout, make_rows):
    """Another table in the same place is that table, even at the same version."""
    shutil.rmtree(address)
    DeltaTable.create(str(address), layout.schema, partition_by=["day"])
    for score in (0.8, 0.9):
        write_deltalake(str(address), make_rows(DAY, score=score), mode="overwrite")
    assert lake.version("m", "scores") == 2
    assert scores(lake) == {0.9}
