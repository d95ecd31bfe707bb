"""The table of outages: `python -m tests.installed` kills and starves an installation, and compares tables.

Every fault strikes in the middle of a backfill of 60 days that was launched as the UI launches it. A reader
looks at one table all the while. Takes minutes per fault; needs PostgreSQL, root for what fills a disk, and
libfaketime for a wrong clock.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mlobs_pipelines.store.lake import Lake
from tests.installed.installation import FAKETIME, MODEL, Installation
from tests.installed.lakes import contents, land, restore, undisturbed

FIRST = date(2013, 5, 1)
MIDDLE = "statistics"


class Reader(threading.Thread):
    """Reads predictions by day, again and again: a day is there whole or not at all."""

    def __init__(self, home, whole):
        super().__init__(daemon=True)
        self.lake, self.whole = Lake(str(home / "lake")), whole
        self.reads = self.torn = 0
        self.done = threading.Event()

    def run(self):
        """Read until told to stop."""
        while not self.done.wait(0.2):
            found = rows_by_day(self.lake)
            self.reads += 1
            self.torn += any(self.whole[day] != rows for day, rows in found.items())


def rows_by_day(lake):
    """Count the rows of each day of the predictions that the newest version has."""
    if "predictions" not in lake.tables(MODEL):
        return {}
    return Counter(lake.read(MODEL, "predictions", columns=["day"])["day"].to_pylist())


@dataclass
class Case:
    """One fault: what is made ready for it, what strikes, and what starts again."""

    fault: str
    strike: object
    mend: object = None
    launches: int = 1
    ready: object = None
    needs: str = ""


def killed(*names):
    """A kill -9 of processes, which are started again two seconds later."""

    def strike(plant):
        for name in names:
            plant.kill(name)
        time.sleep(2)
        plant.start(*(name for name in names if name != "worker"))

    return Case(f"kill -9: {', '.join(names)}", strike)


def second_daemon():
    """A second daemon beside the first, started by mistake, for the rest of the backfill."""

    def strike(plant):
        first = plant.processes.pop("daemon")
        plant.start("daemon")
        plant.processes["second daemon"] = first

    def mend(plant):
        extra = plant.processes.pop("second daemon")
        extra.terminate()
        extra.wait(30)

    return Case("two daemons at once", strike, mend)


def clock_behind(hours):
    """The clock of what works is behind the others until its run has ended; then right, for a new run."""

    def ready(plant):
        plant.restart("code-server", {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"-{hours}h"})

    def mend(plant):
        plant.restart("code-server")

    return Case(f"worker's clock {hours} h behind", lambda _: None, mend, 2, ready, "libfaketime")


def mounted(fault, options, relief):
    """A disk that is full, or can only be read, until the run has failed; then relief, and a new run."""

    def strike(plant):
        _remount(plant, options(plant))

    def mend(plant):
        _remount(plant, relief)

    return Case(fault, strike, mend, launches=2, needs="root")


def _remount(plant, options):
    subprocess.run(["mount", "-o", f"remount,{options}", plant.home / "lake"], check=True)  # noqa: S607 - root's own


def _used_kb(plant):
    return shutil.disk_usage(plant.home / "lake").used // 1024 + 64


CASES = (
    killed("worker"),
    killed("postgres"),
    mounted("disk full", lambda plant: f"size={_used_kb(plant)}k", "size=2g"),
    killed("code-server"),
    killed("daemon"),
    mounted("lake read-only", lambda _: "ro", "rw"),
    Case("the same backfill twice", lambda plant: plant.told.append(plant.backfill(plant.days))),
    second_daemon(),
    clock_behind(1),
    killed("worker", "postgres", "code-server", "webserver", "daemon"),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one fault."""

    fault: str
    runs: str
    seconds: float
    after: float
    reads: int
    torn: int
    differing: tuple[str, ...]


def endure(plant, reference, whole, case):
    """Walk the days once more, with a fault in the middle."""
    restore(plant.home, reference)
    plant.told.clear()
    if case.ready:
        case.ready(plant)
    reader = Reader(plant.home, whole)
    reader.start()
    started = time.monotonic()
    filled = [plant.backfill(plant.days)]
    table = plant.home / "lake" / MODEL / MIDDLE / "_delta_log"
    plant.wait(table.exists, "the middle of the walk", 900)
    struck = time.monotonic()
    case.strike(plant)
    plant.filled(filled[0])
    if case.mend:
        case.mend(plant)
    if case.launches > 1:
        filled.append(plant.backfill(plant.days))
    filled += plant.told
    for backfill in filled:
        plant.filled(backfill)
    ended = time.monotonic()
    reader.done.set()
    reader.join()
    runs = ", ".join(status.lower() for backfill in filled for status in plant.runs_of(backfill))
    found, wanted = contents(plant.home), contents(reference)
    differing = tuple(sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)))
    return Outcome(case.fault, runs, ended - started, ended - struck, reader.reads, reader.torn, differing)


def show(outcomes, console):
    """Print the table of faults; the first row is the undisturbed backfill in the same installation."""
    usual = outcomes[0].seconds
    table = Table(title=f"faults struck when {MIDDLE} was being written")
    for name in ("fault", "its runs", "seconds in all", "more than undisturbed", "reads, torn", "tables"):
        table.add_column(name)
    for one in outcomes:
        same = "equal" if not one.differing else f"DIFFER: {', '.join(one.differing)}"
        more = f"{one.seconds - usual:+.0f} s"
        table.add_row(one.fault, one.runs, f"{one.seconds:.0f}", more, f"{one.reads}, {one.torn}", same)
    console.print(table)


def main():
    """Run every fault that this machine can have, and print what became of it; exit 1 if a table differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--share", type=float, default=0.05, help="share of the flights that is served")
    parser.add_argument(
        "--only", action="append", default=[], help="faults with this in their name, repeatable"
    )
    asked = parser.parse_args()
    console = Console(width=140)
    last = FIRST + timedelta(days=asked.days - 1)
    with tempfile.TemporaryDirectory(prefix="mlobs-outages-") as name:
        outcomes = list(suffer(Path(name), last, asked, console))
    show(outcomes, console)
    sys.exit(any(one.differing or one.torn for one in outcomes))


def suffer(folder, last, asked, console):
    """Build the installation, and let one fault after the other strike it."""
    from mlobs_pipelines.demo.history import build_history  # noqa: PLC0415 - takes seconds

    landing = land(build_history(20130101, lambda *_: None), folder / "landing", (FIRST, last), asked.share)
    reference = undisturbed(folder / "reference", landing, FIRST, last)
    whole = rows_by_day(Lake(str(reference / "lake")))
    plant = Installation(folder / "plant", landing)
    plant.days = [(FIRST + timedelta(days=day)).isoformat() for day in range(asked.days)]
    plant.told = []
    disk = plant.home / "lake"
    with plant.running("code-server", "webserver", "daemon"), mounted_disk(disk) as limited:
        has = {"": True, "root": limited, "libfaketime": FAKETIME}
        for case in (Case("none", lambda _: None), *CASES):
            if not has[case.needs]:
                console.print(f"not here: {case.fault} (needs {case.needs})")
                continue
            if case.fault == "none" or not asked.only or any(part in case.fault for part in asked.only):
                outcome = endure(plant, reference, whole, case)
                console.print(outcome)
                yield outcome


@contextmanager
def mounted_disk(place):
    """Put the lake on a disk of its own, where root can make one; say whether it is."""
    place.mkdir(parents=True, exist_ok=True)
    limited = os.geteuid() == 0
    if limited:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "lake", place], check=True)  # noqa: S607 - root's own
    try:
        yield limited
    finally:
        if limited:
            subprocess.run(["umount", "--lazy", place], check=True)  # noqa: S607 - as above


if __name__ == "__main__":
    main()
