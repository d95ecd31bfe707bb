"""Frames that wait: in memory, in files, and what killed processes leave of them."""

import subprocess
import sys

import polars as pl

from mlobs_pipelines.steps.ingest.spool import Room, Spool, waiting_room

HOLD = """
import sys, time
from pathlib import Path
from mlobs_pipelines.steps.ingest.spool import waiting_room
with waiting_room(Path(sys.argv[1])) as room:
    (room.folder / "rows.arrow").write_bytes(b"rows")
    print("here", flush=True)
    time.sleep(60)
"""


def test_frames_beyond_the_budget_wait_in_files(tmp_path):
    """Frames come back in their order and with the columns asked for, wherever they wait."""
    spool = Spool(Room(tmp_path, budget=50))
    for start in (0, 10, 20):
        spool.append(pl.DataFrame({"a": range(start, start + 10), "b": ["x"] * 10}))
    assert len(list(tmp_path.glob("*.arrow"))) == 3
    assert pl.concat(spool.frames()).get_column("a").to_list() == list(range(30))
    assert [frame.columns for frame in spool.frames(["b"])] == [["b"]] * 3


def test_a_killed_process_leaves_its_folder_for_the_next_to_clear(tmp_path):
    """The folder of a running process stays; that of one that was killed is gone with the next run."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"here\n"
    with waiting_room(tmp_path):
        assert list(tmp_path.rglob("rows.arrow"))
    process.kill()
    process.wait()
    with waiting_room(tmp_path) as room:
        assert not list(tmp_path.rglob("rows.arrow"))
        assert room.folder.exists()
    assert not list(tmp_path.iterdir())
