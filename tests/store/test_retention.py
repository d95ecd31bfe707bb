"""What goes from a table with time, and what writers at work notice of it."""

import os
import re
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from mlobs_pipelines.store.lake import Lake, LakeError
from mlobs_pipelines.store.retention import SMALL, Rule, expire, look, tidy

DAYS = ["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04"]
RULE = Rule("scores", date(2013, 1, 3), "two days are enough", kept_days=2)
WEEK = timedelta(days=7)


@pytest.fixture
def filled(lake, layout, make_rows):
    """Give a lake with four days."""
    for day in DAYS:
        lake.replace("m", layout, [(day,)], make_rows(day), commit={"run_id": "r1"})
    return lake


def _days(lake):
    return [key[0] for key in lake.partitions("m", "scores")]


def _folder(lake) -> Path:
    return Path(lake.place.table("m", "scores"))


def _age(folder, days):
    """Let everything that was replaced or left in a table be so many days older."""
    for entry in (folder / "_delta_log").glob("*.json"):
        older = re.sub(
            r'"deletionTimestamp":(\d+)',
            lambda found: f'"deletionTimestamp":{int(found[1]) - days * 86_400_000}',
            entry.read_text(),
        )
        entry.write_text(older)
    then = time.time() - days * 86_400
    for file in folder.rglob("*.parquet"):
        os.utime(file, (then, then))


def test_what_is_older_goes_and_nothing_else(filled):
    """Days before the first kept one go in one commit that says why; the others keep their content."""
    before = filled.partition_versions("m", "scores")
    told = []
    done = expire(filled, "m", RULE, told.append, {"run_id": "r2"})
    assert told == [done]
    assert (done.first, done.last, done.gone.partitions, done.gone.rows) == (DAYS[0], DAYS[1], 2, 10)
    assert (done.kept.partitions, done.kept.rows) == (2, 10)
    after = filled.partition_versions("m", "scores")
    assert {key: one.content_hash for key, one in after.items()} == {
        (day,): before[(day,)].content_hash for day in DAYS[2:]
    }
    commit = filled.history("m", "scores", limit=1)[0]
    assert (commit["operation"], commit["run_id"], commit["why"]) == ("DELETE", "r2", RULE.why)


def test_looking_changes_nothing(filled):
    """A plan names what would go and leaves the table at its version."""
    version = filled.version("m", "scores")
    assert look(filled, "m", RULE).gone.partitions == 2
    assert tidy(filled, "m", "scores", WEEK, {}, dry_run=True).files == 0
    assert filled.version("m", "scores") == version


def test_a_second_time_nothing_is_left_to_do(filled):
    """Run again, it tells of nothing and commits nothing."""
    expire(filled, "m", RULE, lambda _: None, {})
    version, told = filled.version("m", "scores"), []
    assert expire(filled, "m", RULE, told.append, {}).gone.partitions == 0
    assert (told, filled.version("m", "scores")) == ([], version)


def test_a_writer_that_comes_between_is_seen(filled, layout, make_rows):
    """Where an expiring day is written before the deletion, the deletion starts again with the new rows."""
    told = []

    def tell(expiry):
        told.append(expiry.gone.rows)
        if len(told) == 1:
            filled.replace("m", layout, [(DAYS[0],)], make_rows(DAYS[0], count=7), commit={})

    assert expire(filled, "m", RULE, tell, {}).gone.rows == 12
    assert (told, _days(filled)) == ([10, 12], DAYS[2:])


def test_a_run_that_writes_meanwhile_ends_well(filled, layout, make_rows):
    """A run that rewrites an expiring day while it goes computes again and publishes."""
    calls = []

    def compute():
        calls.append(1)
        if len(calls) == 1:
            expire(filled, "m", RULE, lambda _: None, {})
        return make_rows(DAYS[1], DAYS[3], score=0.9)

    done = filled.update("m", layout, [(DAYS[1],), (DAYS[3],)], compute, commit={})
    assert len(calls) == 2
    assert all(one.changed for one in done.values())
    assert _days(filled) == DAYS[1:]


def test_a_table_that_never_rests_is_an_error_that_says_so(filled, layout, make_rows):
    """Where every attempt loses, the message names the table and says to run again."""
    busy, scores = Lake(filled.root, attempts=2), iter(range(10))

    def tell(_):
        filled.replace("m", layout, [(DAYS[0],)], make_rows(DAYS[0], score=next(scores)), commit={})

    with pytest.raises(LakeError, match=r"table scores of m: .* 2 attempts; run again"):
        expire(busy, "m", RULE, tell, {})


def test_files_outlive_their_partition_by_the_days_of_versions(filled):
    """Deleted rows can be read by version for a week, and are gone from the disk after it."""
    version = filled.version("m", "scores")
    expire(filled, "m", RULE, lambda _: None, {})
    assert tidy(filled, "m", "scores", WEEK, {}, dry_run=False).files == 0
    assert filled.read("m", "scores", version=version).num_rows == 20
    _age(_folder(filled), 8)
    found = tidy(filled, "m", "scores", WEEK, {}, dry_run=False)
    assert (found.files, found.bytes > 0) == (2, True)
    assert len(list(_folder(filled).glob("day=*/*.parquet"))) == 2
    assert _days(filled) == DAYS[2:]
    with pytest.raises(LakeError, match="its files have expired"):
        filled.read("m", "scores", version=version)


def test_what_a_killed_run_left_goes_and_what_a_run_writes_stays(filled):
    """A stray file of a week ago is removed; one of now may belong to a run that has not committed."""
    folder = _folder(filled) / f"day={DAYS[0]}"
    old, new = folder / "part-left-behind.parquet", folder / "stream-at-work.tmp"
    for file in (old, new):
        file.write_bytes(b"rows")
    then = time.time() - 8 * 86_400
    os.utime(old, (then, then))
    assert tidy(filled, "m", "scores", WEEK, {}, dry_run=False).files == 1
    assert (old.exists(), new.exists()) == (False, True)


def test_small_files_become_one_with_the_same_rows_in_order(filled, layout, make_rows):
    """A day that another tool appended to is one file again, sorted, with the same content."""
    address = filled.place.table("m", "scores")
    extra = make_rows(DAYS[0], count=9).slice(5)
    write_deltalake(DeltaTable(address), extra, mode="append")
    before = filled.partition_versions("m", "scores")[(DAYS[0],)]
    assert sum(file.stat().st_size for file in _folder(filled).rglob("*.parquet")) < SMALL
    assert tidy(filled, "m", "scores", WEEK, {}, dry_run=False).merged == 1
    assert len(filled.files("m", "scores", where={"day": DAYS[0]})) == 1
    assert filled.partition_versions("m", "scores")[(DAYS[0],)].content_hash == before.content_hash
    ids = filled.read("m", "scores", where={"day": DAYS[0]}, columns=["id"]).column("id").to_pylist()
    assert ids == [f"p{index}" for index in range(9)]
    assert tidy(filled, "m", "scores", WEEK, {}, dry_run=False).merged == 0
    assert layout.keys == ("day",)


def test_an_emptied_day_is_removed_and_stays_unchanged(filled, layout):
    """A streamed day without rows goes whatever its age, and streaming no rows again changes nothing."""
    for _ in range(2):
        filled.stream("m", layout, (DAYS[3],), lambda: iter([layout.empty()]), commit={})
    assert filled.partitions("m", "scores")[(DAYS[3],)] == 0
    assert expire(filled, "m", Rule("scores", None, "empty"), lambda _: None, {}).gone.partitions == 1
    assert _days(filled) == DAYS[:3]
    assert not filled.stream("m", layout, (DAYS[3],), lambda: iter([layout.empty()]), commit={}).changed
    assert _days(filled) == DAYS[:3]


def test_versions_are_kept_for_a_day_at_least(filled):
    """Less would take the files of a run that is writing."""
    with pytest.raises(ValueError, match="a day at least"):
        tidy(filled, "m", "scores", timedelta(hours=23), {}, dry_run=True)
