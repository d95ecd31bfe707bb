"""The lake on an object store: a real server that speaks S3, real processes that write and die."""

import multiprocessing
import os
import signal
from datetime import date, timedelta

import pytest
from deltalake import DeltaTable

from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.retention import Rule, expire, tidy
from tests.objects import BUCKET, SECRET, client, object_store
from tests.store.conftest import LAYOUT, rows_of

ROOT = "s3://lake/a folder"
WRITERS, TURNS = 2, 4


@pytest.fixture(scope="module")
def store():
    """Start a store for all tests of this file."""
    with object_store() as options:
        yield options


@pytest.fixture
def remote(store):
    """Give a lake on the store."""
    return Lake(ROOT, store)


def _write_day(options, model, writer):
    """Write one day again and again, each time with another score."""
    lake = Lake(ROOT, options)
    for turn in range(TURNS):
        rows = rows_of("2013-01-01", score=float(10 * writer + turn))
        lake.replace(model, LAYOUT, [("2013-01-01",)], rows, commit={"writer": f"{writer}-{turn}"})


def _die_before_the_commit(options, model):
    """Stream a day and be killed when its file is there and its commit is not."""
    DeltaTable.create_write_transaction = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    rows = rows_of("2013-01-01", score=0.9)
    Lake(ROOT, options).stream(model, LAYOUT, ("2013-01-01",), lambda: iter([rows]), commit={})


def _run(target, *arguments):
    context = multiprocessing.get_context("spawn")
    made = [context.Process(target=target, args=one) for one in arguments]
    for process in made:
        process.start()
    for process in made:
        process.join(timeout=120)
    return [process.exitcode for process in made]


def _objects(options, model):
    listed = client(options).list_objects_v2(Bucket=BUCKET, Prefix=f"a folder/{model}/scores/day=")
    return [found["Key"] for found in listed.get("Contents", ()) if found["Key"].endswith(".parquet")]


def test_a_table_reads_back_as_it_does_from_a_disk(remote, lake, make_rows):
    """The same writes give the same rows, partitions and content hashes, streamed or not."""
    for one in (remote, lake):
        one.replace("same", LAYOUT, [("d1",), ("d2",)], make_rows("d1", "d2"), commit={"run_id": "r1"})
        one.stream("same", LAYOUT, ("d3",), lambda: iter([make_rows("d3")]), commit={})
        one.replace("same", LAYOUT, [("d2",)], make_rows("d2", count=2), commit={})
    assert remote.read("same", "scores").equals(lake.read("same", "scores"))
    assert remote.partitions("same", "scores") == lake.partitions("same", "scores")
    assert [one.content_hash for one in remote.summary("same")] == [
        one.content_hash for one in lake.summary("same")
    ]
    assert remote.tables("same") == ["scores"]
    assert not remote.exists("same", "other")


def test_writers_of_one_day_neither_mix_nor_lose_a_commit(store, remote):
    """Processes that rewrite the same day at once all get their turn; the day is one writer's whole."""
    jobs = [(store, "raced", writer) for writer in range(WRITERS)]
    assert _run(_write_day, *jobs) == [0] * WRITERS
    commits = [one["writer"] for one in remote.history("raced", "scores") if "writer" in one]
    assert sorted(commits) == [f"{writer}-{turn}" for writer in range(WRITERS) for turn in range(TURNS)]
    assert len(set(remote.read("raced", "scores").column("score").to_pylist())) == 1


def test_a_run_killed_before_its_commit_leaves_the_rows_of_before(store, remote, make_rows):
    """Its file lies in the bucket and in no version; the next run publishes, and the file can be removed."""
    remote.replace("killed", LAYOUT, [("2013-01-01",)], make_rows("2013-01-01", score=0.1), commit={})
    assert _run(_die_before_the_commit, (store, "killed")) == [-signal.SIGKILL]
    assert len(_objects(store, "killed")) == 2
    assert set(remote.read("killed", "scores").column("score").to_pylist()) == {0.1}
    done = remote.replace("killed", LAYOUT, [("2013-01-01",)], make_rows("2013-01-01", score=0.9), commit={})
    assert done[("2013-01-01",)].changed
    table = DeltaTable(remote.place.table("killed", "scores"), storage_options=store)
    left = table.vacuum(0, dry_run=True, enforce_retention_duration=False, full=True)
    assert sum("stream-" in path for path in left) == 1


def test_retention_works_on_an_object_store(remote, store, make_rows):
    """Expired days go, small files become one, and files of the last days stay for readers by version."""
    days = ("2013-01-01", "2013-01-02")
    remote.replace("kept", LAYOUT, [(day,) for day in days], make_rows(*days), commit={})
    done = expire(remote, "kept", Rule("scores", date(2013, 1, 2), "old"), lambda _: None, {})
    assert (done.gone.partitions, done.gone.rows) == (1, 5)
    assert remote.partitions("kept", "scores") == {("2013-01-02",): 5}
    found = tidy(remote, "kept", "scores", timedelta(days=7), {}, dry_run=False)
    assert (found.files, found.merged) == (0, 0)
    assert len(_objects(store, "kept")) == 2
    assert remote.read("kept", "scores", version=done.version).num_rows == 10


def test_what_is_wrong_with_the_store_is_said_without_its_secret(store):
    """A bucket that is not there is an error that does not hold the key it was asked with."""
    lake = Lake("s3://not-there/lake", store)
    with pytest.raises(Exception, match="not-there") as caught:
        lake.replace("m", LAYOUT, [("d1",)], rows_of("d1"), commit={})
    assert SECRET not in f"{caught.value!r} {lake!r}"
