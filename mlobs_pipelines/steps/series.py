"""Daily values of many metrics side by side, as arrays: from the metric store, for looking for changes.

What a change of one of them means is `suspects`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Floats, Ints, Maturity, Window
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.metric_store import MetricStore

DAY = timedelta(days=1)
_Z = 2 * 1.959963984540054  # width of a 95 % interval in standard deviations
_RIPENING = ("quality", "calibration")  # families whose values move until the labels are in


class Key(NamedTuple):
    """Which series: "" where it is about no feature, or about all rows."""

    version: str
    metric: str
    feature: str = ""
    segment: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """Series over the same consecutive days, by day from `first`.

    Attributes
    ----------
    at
        Row of each series.
    values, rows : (S, D)
        NaN where a day has no value; the rows that it rests on.
    spread : (S,)
        Standard deviation by sampling, as the intervals tell it; 0 where there are none.
    roles
        Role of each version on each day, "" where it got no request.
    runs
        Run that computed a version's values of a day.
    """

    first: date
    at: Mapping[Key, int]
    values: Floats
    rows: Floats
    spread: Floats
    roles: Mapping[str, list[str]]
    runs: Mapping[tuple[str, int], str]

    @property
    def days(self) -> int:
        """How many days there are."""
        return int(self.values.shape[1])

    def position(self, day: date) -> int:
        """Where a day is; it may lie outside."""
        return (day - self.first).days

    def day(self, position: int) -> date:
        """The day at a position."""
        return self.first + position * DAY

    def keys(self, metrics: Iterable[str], versions: Iterable[str]) -> Iterator[Key]:
        """Series of some metrics and versions."""
        wanted, mine = set(metrics), set(versions)
        return (key for key in self.at if key.metric in wanted and key.version in mine)

    def until(self, first: date, last: date) -> "Panel":
        """The same, of the days between two."""
        start = max(0, self.position(first))
        end = max(start, self.position(last) + 1)
        return Panel(
            self.day(start),
            self.at,
            self.values[:, start:end],
            self.rows[:, start:end],
            self.spread,
            {version: roles[start:end] for version, roles in self.roles.items()},
            {(version, at - start): run for (version, at), run in self.runs.items() if start <= at < end},
        )


def daily(walk: Walk, metrics: Iterable[str], first: date, last: date) -> Panel:
    """Read the daily values of some metrics, of every version, feature and segment value."""
    names = sorted({*metrics, "request_count"} & walk.spec.metrics.keys())
    rows = MetricStore(walk.lake).query(
        walk.model, metrics=names, windows=[str(Window.DAY)], first=first, last=last, as_of=walk.as_of
    )
    ripening = [name for name in names if walk.spec.metrics[name].family in _RIPENING]
    rows = rows.filter(pc.invert(_young(rows, ripening)))
    parts = [rows.column(name) for name in ("model_version", "metric", "feature", "segment", "segment_value")]
    named = pc.binary_join_element_wise(*parts, "\x1f")
    coded = (
        named.combine_chunks().dictionary_encode() if rows.num_rows else pa.array([""]).dictionary_encode()
    )
    keys = [Key(*text.split("\x1f")) for text in coded.dictionary.to_pylist()] if rows.num_rows else []
    series = _numbers(coded.indices)[: rows.num_rows].astype(np.int64)
    days = _days(rows, first)
    values, counts, lengths = (np.full((len(keys), (last - first).days + 1), np.nan) for _ in range(3))
    values[series, days] = _numbers(rows.column("value"))
    counts[series, days] = _numbers(rows.column("n"))
    lengths[series, days] = (_numbers(rows.column("upper")) - _numbers(rows.column("lower"))) / _Z
    at = {key: position for position, key in enumerate(keys)}
    return Panel(
        first, at, values, np.nan_to_num(counts), _middle(lengths), *_served(rows, days, last, first)
    )


def _young(rows: pa.Table, ripening: list[str]) -> pa.ChunkedArray:
    provisional = pc.equal(rows.column("maturity"), str(Maturity.PROVISIONAL))
    mine = pc.is_in(rows.column("metric"), pa.array(ripening, pa.string()))
    return pc.fill_null(pc.and_(mine, provisional), False)  # noqa: FBT003 - pyarrow's own


def _days(rows: pa.Table, first: date) -> Ints:
    starts = _numbers(rows.column("window_start").cast(pa.int32()))
    return (starts - (first - date(1970, 1, 1)).days).astype(np.int64)


def _numbers(column: pa.ChunkedArray | pa.Array) -> Floats:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _middle(lengths: Floats) -> Floats:
    """Median over the days that have an interval."""
    ordered = np.sort(np.where(np.isfinite(lengths), lengths, np.inf), axis=1)
    known = np.isfinite(lengths).sum(axis=1)
    rows = np.arange(len(lengths))
    return np.where(known > 0, ordered[rows, np.maximum(known - 1, 0) // 2], 0.0)


def _served(
    rows: pa.Table, days: Ints, last: date, first: date
) -> tuple[dict[str, list[str]], dict[tuple[str, int], str]]:
    """Roles and runs by version and day, as the rows about all requests say."""
    mine = pc.and_(pc.equal(rows.column("metric"), "request_count"), pc.equal(rows.column("segment"), ""))
    picked = rows.filter(mine).select(["model_version", "role", "run_id"]).to_pylist()
    where = days[np.asarray(mine.to_numpy(), dtype=bool)].tolist()
    roles: dict[str, list[str]] = {}
    runs: dict[tuple[str, int], str] = {}
    for row, at in zip(picked, where, strict=True):
        empty = [""] * ((last - first).days + 1)
        roles.setdefault(row["model_version"], empty)[at] = row["role"] or ""
        runs[row["model_version"], at] = row["run_id"]
    return roles, runs
