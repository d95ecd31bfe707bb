import os
import signal
import time

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from mlobs_pipelines.store.lake import Lake, LakeError, TableLayout
from tests.forks import FORKS

LAYOUT = TableLayout(
    "counts",
    pa.schema(
        [pa.field("day", pa.string()), ("id", pa.int64()), ("stamp", pa.string()), ("run_id", pa.string())]
    ),
    ("day",),
    ("id",),
    ("run_id",),
)
ROWS = 200


def rows_of(day, stamp):
    """Rows of a day that all carry one stamp."""
    columns = {
        "day": [day] * ROWS,
        "id": list(range(ROWS)),
        "stamp": [stamp] * ROWS,
        "run_id": [stamp] * ROWS,
    }
    return pa.table(columns, schema=LAYOUT.schema)


def write_days(root, barrier, days, stamp):
    """Write days one by one and check that each returned version is this writer's own commit."""
    lake = Lake(root)
    barrier.wait()
    for day in days:
        done = lake.replace("m", LAYOUT, [(day,)], rows_of(day, stamp), commit={"run_id": stamp})
        assert lake.history("m", "counts", limit=None)[-1 - done[(day,)].table_version]["run_id"] == stamp


def write_forever(root):
    """Write one day again and again, each time with another stamp."""
    lake = Lake(root)
    for turn in range(10_000):
        lake.replace("m", LAYOUT, [("d1",)], rows_of("d1", f"s{turn}"), commit={})


def run_writers(root, jobs):
    """Run writers in processes that start together."""
    barrier = FORKS.Barrier(len(jobs))
    processes = [FORKS.Process(target=write_days, args=(root, barrier, *job)) for job in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    return [process.exitcode for process in processes]


def stamps(lake, day):
    """Stamps of the rows of a day."""
    return lake.read("m", "counts", where={"day": day}).column("stamp").to_pylist()


def test_writers_of_different_days_do_not_disturb_each_other(tmp_path):
    """Four processes that create a table together and write different days all succeed."""
    jobs = [([f"{writer}-{turn}" for turn in range(5)], f"w{writer}") for writer in range(4)]
    assert run_writers(str(tmp_path), jobs) == [0] * 4
    lake = Lake(str(tmp_path))
    assert len(lake.partitions("m", "counts")) == 20
    assert lake.read("m", "counts").num_rows == 20 * ROWS


def test_writers_of_one_day_leave_one_whole_version(tmp_path):
    """Of two processes that write the same days, each day holds the rows of exactly one."""
    days = [f"d{turn}" for turn in range(5)]
    assert run_writers(str(tmp_path), [(days, "a"), (days, "b")]) == [0, 0]
    lake = Lake(str(tmp_path))
    for day in days:
        assert stamps(lake, day) in (["a"] * ROWS, ["b"] * ROWS)


def test_killed_writers_leave_a_readable_table(tmp_path):
    """A writer killed at any moment leaves the rows of one commit, and the next write succeeds."""
    lake = Lake(str(tmp_path))
    for _ in range(3):
        process = FORKS.Process(target=write_forever, args=(str(tmp_path),))
        process.start()
        wait_for_commits(lake, more=3)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        found = stamps(lake, "d1")
        assert (len(found), len(set(found))) == (ROWS, 1)
    assert lake.replace("m", LAYOUT, [("d1",)], rows_of("d1", "z"), commit={})[("d1",)].changed


def wait_for_commits(lake, more):
    """Return once another process has committed some times more."""
    start = lake.version("m", "counts") if lake.exists("m", "counts") else 0
    deadline = time.monotonic() + 60
    while not lake.exists("m", "counts") or lake.version("m", "counts") < start + more:
        assert time.monotonic() < deadline, "the writer committed nothing"
        time.sleep(0.01)


def test_a_loser_computes_again_from_what_the_winner_wrote(tmp_path):
    """When another commit to the same partition comes between, rows are computed a second time."""
    lake = Lake(str(tmp_path))
    lake.replace("m", LAYOUT, [("d1",)], rows_of("d1", "first"), commit={})
    seen = []

    def compute():
        seen.append(stamps(lake, "d1")[0])
        if len(seen) == 1:
            lake.replace("m", LAYOUT, [("d1",)], rows_of("d1", "winner"), commit={})
        return rows_of("d1", f"after {stamps(lake, 'd1')[0]}")

    lake.update("m", LAYOUT, [("d1",)], compute, commit={})
    assert seen == ["first", "winner"]
    assert set(stamps(lake, "d1")) == {"after winner"}


def test_an_emptied_partition_conflicts_too(tmp_path):
    """A writer notices that another one emptied the partition after it had looked."""
    lake = Lake(str(tmp_path))
    lake.replace("m", LAYOUT, [("d1",)], rows_of("d1", "first"), commit={})
    attempts = []

    def compute():
        attempts.append(lake.version("m", "counts"))
        if len(attempts) == 1:
            lake.replace("m", LAYOUT, [("d1",)], LAYOUT.empty(), commit={})
        return rows_of("d1", "second")

    lake.update("m", LAYOUT, [("d1",)], compute, commit={})
    assert len(attempts) == 2


def test_endless_conflicts_end_in_an_error(tmp_path):
    """After the last attempt the error says that other runs kept writing, and what to do."""
    lake = Lake(str(tmp_path), attempts=2)
    lake.replace("m", LAYOUT, [("d1",)], rows_of("d1", "first"), commit={})

    def compute():
        write_deltalake(lake.place.table("m", "counts"), rows_of("d1", "other"), mode="append")
        return rows_of("d1", "mine")

    with pytest.raises(LakeError, match="through 2 attempts; run again"):
        lake.update("m", LAYOUT, [("d1",)], compute, commit={})
