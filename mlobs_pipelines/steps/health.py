"""Health of what is kept: the lake, the metric store, and whether people could be told.

What Dagster knows of daemons, runs and assets is looked at where Dagster is known.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from mlobs_pipelines.store.lake import Between, Lake
from mlobs_pipelines.store.reach import reach
from mlobs_pipelines.store.tables import METRICS, NOTIFICATIONS, moment_of

TOLD_DAYS = 7
CLOCKS_DIFFER = timedelta(minutes=1)  # clocks that are kept in step differ by less


class State(StrEnum):
    """How something is: as it should be, worth a look, or broken."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Line:
    """What was found about one thing.

    Attributes
    ----------
    what
        The thing: ``lake``, ``daemon SENSOR``, ``flight_delays/metrics``.
    state
        How it is.
    since
        Since when, or when it was last well; None where that is not known.
    says
        What was found, in a sentence without values of rows or settings.
    do
        What to do about it; "" if nothing.
    """

    what: str
    state: State
    since: datetime | None
    says: str
    do: str = ""

    def row(self) -> dict[str, Any]:
        """As it is printed."""
        return asdict(self) | {
            "state": str(self.state),
            "since": self.since.isoformat(timespec="seconds") if self.since else None,
        }


def lake_line(lake: Lake, now: datetime) -> Line:
    """Whether the lake can be written to."""
    if reach(lake.place):
        return Line("lake", State.OK, now, "a file was written and deleted")
    return Line(
        "lake", State.WARN, None, "nothing has been written yet", "mlobs backfill MODEL --from … --to …"
    )


def metric_line(lake: Lake, model: str) -> Line:
    """Whether the metric store of a model can be read, and how far it is."""
    what = f"{model} metric store"
    if not lake.exists(model, METRICS.name):
        return Line(what, State.WARN, None, "no metric yet", f"mlobs backfill {model} --from … --to …")
    days = [key[0] for key in lake.partitions(model, METRICS.name)]
    rows = lake.read(model, METRICS, where={"day": max(days)}, columns=["metric"]).num_rows if days else 0
    return Line(
        what, State.OK, None, f"version {lake.version(model, METRICS.name)}, {rows:,} values of its last day"
    )


def clock_lines(lake: Lake, model: str, now: datetime) -> Iterator[Line]:
    """Whether values were stored by a clock ahead of this machine's: they count until this one is as far."""
    keys = (
        [key for _, key in lake.partitions(model, METRICS.name)] if lake.exists(model, METRICS.name) else []
    )
    newest = moment_of(max(keys)) if keys else now
    if newest - now > CLOCKS_DIFFER:
        minutes = (newest - now) / timedelta(minutes=1)
        says = f"values are as of {minutes:,.0f} min ahead of this machine's clock"
        do = "set the clocks of the machines that run it; newer labels wait until this one is as far"
        yield Line(f"{model} clock", State.WARN, newest, says, do)


def told_lines(lake: Lake, model: str, now: datetime) -> Iterator[Line]:
    """Whether channels got their messages, one line for each that did not, or one for all."""
    since = (now - timedelta(days=TOLD_DAYS)).date().isoformat()
    names = ["day", "channel", "state", "at"]
    rows = lake.read(model, NOTIFICATIONS, where={"day": Between(since, None)}, columns=names).to_pylist()
    last: dict[str, Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda one: one["at"]):
        last[row["channel"]] = row
    broken = {name: row for name, row in last.items() if row["state"] != "sent"}
    if not broken:
        says = (
            f"{len(rows)} in {TOLD_DAYS} days; each channel's last was sent"
            if rows
            else f"none in {TOLD_DAYS} days"
        )
        yield Line(f"{model} messages", State.OK, None, says)
    for name, row in sorted(broken.items()):
        given_up = row["state"] == "dead"
        says = (
            "the last message was given up" if given_up else "the last message could not be sent; tried again"
        )
        yield Line(
            f"{model} channel {name}",
            State.FAIL if given_up else State.WARN,
            row["at"],
            says,
            f"mlobs alerts list {model}; then mend the channel in MLOBS_CHANNELS",
        )
