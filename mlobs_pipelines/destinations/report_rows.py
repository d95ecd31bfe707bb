"""Choosing metric rows for the report, out of the long table that the metric store returns.

Rows become plain dictionaries with None where a number is undefined. Nothing here judges, folds or draws.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Maturity

Row = dict[str, Any]
NUMBERS = ("value", "lower", "upper", "threshold")
COLUMNS = (
    "model_version",
    "role",
    "segment",
    "segment_value",
    "feature",
    "metric",
    "window",
    "window_start",
    "window_end",
    "value",
    "lower",
    "upper",
    "n",
    "unit",
    "verdict",
    "threshold",
    "reason",
    "maturity",
    "severity",
)
ORDER = ("model_version", "metric", "window", "segment", "segment_value", "feature", "window_end", "maturity")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MetricRows:
    """The latest metric rows of one model.

    Attributes
    ----------
    table
        Rows with the columns of the metric store, one per check key and window.
    """

    table: pa.Table
    _parts: dict[str, pa.Table] = field(default_factory=dict, repr=False, compare=False)

    @property
    def empty(self) -> bool:
        """Whether there is no row at all."""
        return bool(self.table.num_rows == 0)

    def select(
        self, metrics: Sequence[str], window: str | None = None, *, feature: str | None = ""
    ) -> list[Row]:
        """Rows over all segments of the named metrics, in a fixed order.

        `feature` is one feature, "" for metrics without one, None for all.
        """
        return as_rows(self.part(metrics, window, feature=feature))

    def part(
        self, metrics: Sequence[str], window: str | None = None, *, feature: str | None = ""
    ) -> pa.Table:
        """What `select` makes rows of."""
        found = pa.concat_tables([self.of_metric(name) for name in metrics] or [self.table.slice(0, 0)])
        mask = _among(found, "segment", [""])
        for column, wanted in (("window", window), ("feature", feature)):
            if wanted is not None:
                mask = pc.and_(mask, _among(found, column, [wanted]))
        return found.filter(mask)

    def of_metric(self, metric: str) -> pa.Table:
        """Rows of one metric, of every segment; looked for once."""
        if metric not in self._parts:
            self._parts[metric] = self.table.filter(_among(self.table, "metric", [metric]))
        return self._parts[metric]

    def slices(self, metrics: Sequence[str], window: str) -> list[Row]:
        """Rows of segments, without those over all rows."""
        found = pa.concat_tables([self.of_metric(name) for name in metrics])
        whole = _among(found, "segment", [""])
        mask = pc.and_(_among(found, "window", [window]), _among(found, "feature", [""]))
        return as_rows(found.filter(pc.and_(mask, pc.invert(whole))))

    def weekly(self, metric: str, window: str) -> list[Row]:
        """Every seventh day of a metric over all segments and features, counted back from its newest."""
        found = self.part([metric], window, feature=None)
        days = found["window_end"].cast(pa.int32()).to_numpy()
        return as_rows(found.filter(pa.array((days.max(initial=0) - days) % 7 == 0, pa.bool_())))

    def judged(self) -> list[Row]:
        """Rows that were held against an objective, over every segment and feature."""
        mask = _among(self.table, "verdict", ["pass", "fail", "undecided"])
        return as_rows(self.table.filter(mask))

    def own(self) -> list[str]:
        """Metrics that the model brought along, by name."""
        return sorted(set(pc.unique(self.table["metric"]).to_pylist()) - set(METRICS))

    def windows(self, metric: str) -> dict[str, bool]:
        """Windows in which the store has the metric, and whether an objective judges it there."""
        groups = self.of_metric(metric).group_by("window").aggregate([("threshold", "count")]).to_pylist()
        return {group["window"]: group["threshold_count"] > 0 for group in groups}

    def window_for(self, metric: str, preferred: str) -> str:
        """The window to show a metric in: the judged one, else the preferred one, else any."""
        found = self.windows(metric)
        ranked = sorted(found, key=lambda window: (not found[window], window != preferred, window))
        return next((window for window in ranked if window != "1mo"), preferred)


def split(table: pa.Table) -> tuple[MetricRows, MetricRows]:
    """Rows with the labels known now, and those with the labels known at a fixed age."""
    now = pc.or_kleene(
        pc.is_null(table["maturity"]), _among(table, "maturity", [str(one) for one in Maturity])
    )
    return MetricRows(table.filter(now)), MetricRows(table.filter(pc.invert(now)))


def _among(table: pa.Table, column: str, wanted: Sequence[str]) -> pa.ChunkedArray:
    return pc.is_in(table[column], value_set=pa.array(list(wanted), pa.string()))


def as_rows(table: pa.Table) -> list[Row]:
    """The table as dictionaries in a fixed order, every undefined number as None."""
    ordered = table.select(COLUMNS).sort_by([(column, "ascending") for column in ORDER])
    return [_clean(row) for row in ordered.to_pylist()]


def _clean(row: Row) -> Row:
    for column in NUMBERS:
        value = row[column]
        row[column] = value if value is not None and math.isfinite(value) else None
    row["last_day"] = row["window_end"] - DAY
    return row


def versions_of(rows: Iterable[Row]) -> list[str]:
    """Model versions that the rows speak of, sorted."""
    return sorted({row["model_version"] for row in rows})


def of_version(rows: Iterable[Row], version: str) -> list[Row]:
    """The rows of one model version."""
    return [row for row in rows if row["model_version"] == version]


def weekly(rows: Sequence[Row]) -> list[Row]:
    """Every seventh day of a seven-day metric, counted back from its newest day, so weeks do not overlap."""
    newest = max((row["last_day"] for row in rows), default=date.min)
    return [row for row in rows if (newest - row["last_day"]).days % 7 == 0]


def newest_of_each(rows: Sequence[Row], *names: str) -> list[Row]:
    """Of rows that have the same values under some names, the one of the newest window."""
    ordered = sorted(rows, key=lambda row: row["window_end"])
    return list({tuple(row[name] for name in names): row for row in ordered}.values())


def newest(rows: Sequence[Row]) -> list[Row]:
    """The rows of the newest window."""
    last = max((row["window_end"] for row in rows), default=None)
    return [row for row in rows if row["window_end"] == last]
