"""Verdicts over time: consecutive days of one check folded into an episode, and tallies per version.

Works on judged metric rows. Words and colours are chosen elsewhere.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

from mlobs_pipelines.destinations.report_rows import Row

KEY = ("model_version", "metric", "window", "segment", "segment_value", "feature")
WORST_FIRST = ("fail", "undecided", "pass")
LONGEST_MONTH = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Episode:
    """Consecutive windows in which one check had the same verdict.

    Attributes
    ----------
    rows
        The metric rows, oldest first.
    open
        True where the episode reaches the newest day of all checks.
    """

    rows: tuple[Row, ...]
    open: bool

    @property
    def verdict(self) -> str:
        """The verdict that all its windows share."""
        return str(self.rows[0]["verdict"])

    @property
    def first_day(self) -> date:
        """Last day of the first window; for calendar months the month's first day."""
        row = self.rows[0]
        day: date = row["window_start"] if row["window"] == "1mo" else row["last_day"]
        return day

    @property
    def last_day(self) -> date:
        """Last day of the last window."""
        day: date = self.rows[-1]["last_day"]
        return day

    @property
    def worst(self) -> Row:
        """The row farthest from its threshold; the newest one where none has a value."""
        return max(reversed(self.rows), key=_distance)


def _distance(row: Row) -> float:
    if row["value"] is None:
        return -1.0
    return float(abs(row["value"] - (row["threshold"] or 0.0)))


def check_key(row: Row) -> tuple[str, ...]:
    """What makes two rows the same check at different times."""
    return tuple(str(row[column]) for column in KEY)


def fold(rows: Iterable[Row]) -> list[Episode]:
    """Fold every check's consecutive windows of equal verdict into episodes.

    A missing day ends an episode, and so does a day with another verdict.
    """
    checks: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        checks[check_key(row)].append(row)
    newest = _newest([row for found in checks.values() for row in found])
    return [episode for key in sorted(checks) for episode in _fold_one(checks[key], newest)]


def _newest(rows: Sequence[Row]) -> date:
    """The newest day; a calendar month that has not ended yet lies ahead of it."""
    days = [row["last_day"] for row in rows if row["window"] != "1mo"] or [row["last_day"] for row in rows]
    return max(days, default=date.min)


def _fold_one(rows: Sequence[Row], newest: date) -> list[Episode]:
    ordered = sorted(rows, key=lambda row: row["window_end"])
    groups = [[ordered[0]]]
    for before, row in pairwise(ordered):
        if _continues(before, row):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [Episode(tuple(group), open=group[-1]["last_day"] >= newest) for group in groups]


def _continues(before: Row, row: Row) -> bool:
    step = LONGEST_MONTH if row["window"] == "1mo" else timedelta(days=1)
    gap: timedelta = row["window_end"] - before["window_end"]
    return bool(before["verdict"] == row["verdict"]) and gap <= step


@dataclass(frozen=True, slots=True)
class Concern:
    """One check with one verdict: its most urgent episode, and the other ones."""

    episode: Episode
    others: tuple[Episode, ...]


def attention(episodes: Sequence[Episode], verdict: str) -> list[Concern]:
    """Checks with a verdict in the order a reader needs: still open, errors, whole model, longest."""
    checks: dict[tuple[str, ...], list[Episode]] = {}
    for episode in sorted((found for found in episodes if found.verdict == verdict), key=_urgency):
        checks.setdefault(check_key(episode.rows[0]), []).append(episode)
    return [Concern(found[0], tuple(found[1:])) for found in checks.values()]


def _urgency(episode: Episode) -> tuple[object, ...]:
    row = episode.rows[-1]
    return (
        not episode.open,
        row["severity"] != "error",
        row["segment"] != "",
        -len(episode.rows),
        -episode.last_day.toordinal(),
        check_key(row),
    )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days in a row with the same worst verdict of one metric over its features and segments."""

    version: str
    metric: str
    window: str
    verdict: str
    start: date
    end: date
    worst: int
    checks: int


def stretches(rows: Iterable[Row]) -> list[Stretch]:
    """Per version, metric and window: the worst verdict of each day, folded over equal days."""
    days: dict[tuple[str, str, str], dict[tuple[date, date], Counter[str]]] = defaultdict(dict)
    for row in rows:
        start = row["window_start"] if row["window"] == "1mo" else row["last_day"]
        tally = days[row["model_version"], row["metric"], row["window"]]
        tally.setdefault((start, row["window_end"]), Counter())[row["verdict"]] += 1
    return [stretch for key in sorted(days) for stretch in _join(key, days[key])]


def _join(key: tuple[str, str, str], days: Mapping[tuple[date, date], Counter[str]]) -> list[Stretch]:
    joined: list[Stretch] = []
    for (start, end), tally in sorted(days.items()):
        verdict = next(verdict for verdict in WORST_FIRST if tally[verdict])
        last = joined[-1] if joined else None
        if last and (last.end, last.verdict) == (start, verdict):
            joined[-1] = replace(last, end=end, worst=max(last.worst, tally[verdict]))
        else:
            joined.append(Stretch(*key, verdict, start, end, tally[verdict], tally.total()))
    return joined


def roles(rows: Sequence[Row]) -> list[tuple[str, date, date]]:
    """The roles of one version in order: role, first day, last day."""
    spans: list[tuple[str, date, date]] = []
    for row in sorted(rows, key=lambda row: row["last_day"]):
        if spans and spans[-1][0] == row["role"]:
            spans[-1] = (row["role"], spans[-1][1], row["last_day"])
        else:
            spans.append((row["role"], row["last_day"], row["last_day"]))
    return spans
