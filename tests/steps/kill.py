"""Ends a process that ingests, at many moments, runs again, and compares with a run that nobody disturbed.

`python -m tests.steps.kill --times 100` prints a line for each moment. A moment is just before or just after
a commit, or any time; half of them are in runs whose days are streamed because they do not fit into memory.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.settings import HashKey, HashKeys
from mlobs_pipelines.steps.ingest import evidence, ingest, publication, spool, step
from mlobs_pipelines.steps.ingest.spool import Room
from mlobs_pipelines.store import delta, stream
from tests.forks import FORKS
from tests.steps import loans, parcels
from tests.steps.parcels import Parcel, Row

DAYS = [parcels.day_of(number) for number in range(3)]
OLD_KEY = HashKey(b"the key that was used before", "01dc0de5")
KEYS = HashKeys(loans.KEYS.current, OLD_KEY, date(2024, 12, 31))
MODES = ("whole", "streamed")
Tables = dict[str, tuple[int, str]]


def before() -> list[Parcel]:
    """Files as they were when the days were ingested first."""
    rows = [Row(key, content=key % 2) for key in range(6)]
    again = tuple(replace(row, shift=-1) for row in rows)
    return [
        Parcel(0, "a", tuple(rows)),
        Parcel(1, "a", (*again, Row(9, bad=True))),
        Parcel(2, "a", (Row(1),)),
    ]


def after() -> list[Parcel]:
    """Files as they are when a process is ended: replaced, repeated, late, corrected, bad, unreadable."""
    some = [Row(key, content=key % 2) for key in range(3, 9)]
    late = [Row(key, shift=-2, content=1, version=key % 2) for key in range(8)]
    return [
        Parcel(0, "a", tuple(some)),
        Parcel(0, "b", (*some[:2], Row(11, bad=True), Row(12, content=1))),
        Parcel(1, "b", (Row(3, shift=-1, version=4), *(Row(key) for key in range(20, 24)))),
        Parcel(2, "a", (*late, Row(30, shift=1), Row(31, bad=True))),
        Parcel(2, "c", None),
    ]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a process is ended: a number of commits and the side of the last one, or seconds."""

    mode: str
    commit: int = 0
    late: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        """Say it as the table does."""
        side = "after" if self.late else "before"
        when = f"{side} commit {self.commit}" if self.commit else f"after {self.seconds:.3f} s"
        return f"{self.mode:<8} {when}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A declared model, its files, a lake of the files as they were, and what the tables must be."""

    root: Path
    expected: dict[str, Tables]
    commits: dict[str, int]
    seconds: dict[str, float]

    def end_at(self, moment: Moment, place: Path) -> tuple[bool, list[str]]:
        """End a run at a moment and run again; whether it was ended, and the tables that differ."""
        shutil.copytree(self.root / "base", place)
        ended = _ended(self.root, place, moment)
        with narrow(moment.mode):
            ingest(walk_of(self.root, place), "predictions", DAYS)
        found = contents(walk_of(self.root, place))
        wanted = self.expected[moment.mode]
        names = found.keys() | wanted.keys()
        return ended, sorted(name for name in names if found.get(name) != wanted.get(name))

    def moments(self, times: int, seed: int = 7) -> Iterator[Moment]:
        """Moments spread over the commits of both kinds of run, and as many at random times."""
        draw = random.Random(seed)  # noqa: S311 - guards nothing
        commits = [
            Moment(mode, commit, late)
            for mode in MODES
            for commit in range(1, self.commits[mode] + 1)
            for late in (False, True)
        ]
        draw.shuffle(commits)
        for number in range(times):
            mode = MODES[number // 2 % 2]
            timed = Moment(mode, seconds=draw.uniform(0, self.seconds[mode]))
            yield commits.pop() if number % 2 == 0 and commits else timed


def prepare(root: Path) -> Scene:
    """Make a scene in a new folder."""
    parcels.declare(root / "loan_risk", rate=0.8)
    parcels.deliver(before(), root / "landing")
    ingest(walk_of(root, root / "base"), "predictions", DAYS)
    parcels.deliver(after(), root / "landing")
    (root / "landing" / "predictions" / DAYS[1].isoformat() / "a.parquet").unlink()
    expected, commits, seconds = {}, {}, {}
    for mode in MODES:
        place = root / f"undisturbed-{mode}"
        shutil.copytree(root / "base", place)
        with narrow(mode), counted() as made:
            started = time.perf_counter()
            ingest(walk_of(root, place), "predictions", DAYS)
            seconds[mode] = time.perf_counter() - started
        expected[mode], commits[mode] = contents(walk_of(root, place)), len(made)
    return Scene(root, expected, commits, seconds)


def walk_of(root, place):
    """A walk of the scene's model over the lake of a place."""
    return parcels.walk_of(load_model(root / "loan_risk", METRICS), place, root / "landing", KEYS)


def contents(walk) -> Tables:
    """Rows and content hash of every table."""
    return {item.table: (item.rows, item.content_hash) for item in walk.lake.summary(walk.model) if item.rows}


@contextmanager
def narrow(mode: str):
    """With `streamed`, room for a few rows only."""
    with ExitStack() as stack:
        if mode == "streamed":
            for module in (publication, evidence, step):
                stack.enter_context(patch.object(module, "LARGE", 3))
            stack.enter_context(patch.object(publication, "BLOCK", 2))
            stack.enter_context(patch.object(evidence, "LARGE_ASIDE", 3))
            stack.enter_context(patch.object(spool, "Room", partial(Room, budget=0)))
        yield


@contextmanager
def counted(moment: Moment | None = None):
    """Count the commits of this process, and end it at the moment."""
    made = []

    def around(commit):
        def committed(*args, **options):
            made.append(commit.__name__)
            here = moment is not None and len(made) == moment.commit
            if here and not moment.late:
                signal.raise_signal(signal.SIGKILL)
            result = commit(*args, **options)
            if here:
                signal.raise_signal(signal.SIGKILL)
            return result

        return committed

    with (
        patch.object(delta, "overwrite", around(delta.overwrite)),
        patch.object(stream, "_commit", around(stream._commit)),
    ):
        yield made


def _ended(root: Path, place: Path, moment: Moment) -> bool:
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_victim, args=(root, place, moment, theirs))
    process.start()
    assert ours.recv() == "ready"
    if not moment.commit:
        time.sleep(moment.seconds)
        process.kill()
    process.join(timeout=120)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def _victim(root: Path, place: Path, moment: Moment, started: Connection) -> None:
    walk = walk_of(root, place)
    started.send("ready")
    with narrow(moment.mode), counted(moment):
        ingest(walk, "predictions", DAYS)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=25)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    failed = ends = 0
    with tempfile.TemporaryDirectory() as folder:
        scene = prepare(Path(folder) / "scene")
        for number, moment in enumerate(scene.moments(asked.times, asked.seed)):
            ended, different = scene.end_at(moment, Path(folder) / f"{number:04d}")
            failed, ends = failed + bool(different), ends + ended
            what = "ended" if ended else "had finished"
            _say(f"{number:>4} {moment} {what:<13} {', '.join(different) or 'equal'}")
            shutil.rmtree(Path(folder) / f"{number:04d}")
    tables = ", ".join(f"{name} {rows}" for name, (rows, _) in sorted(scene.expected["whole"].items()))
    _say(f"rows of an undisturbed run: {tables}")
    _say(f"{asked.times} runs, {ends} of them ended before their end, {failed} with another content")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(_main())
