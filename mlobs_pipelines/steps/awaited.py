"""By when labels are expected: for one prediction, or counted by day with those that are late.

A label is expected by the moment at which 95 % of its version's labels have come, by the lag measured over
the longest window before the prediction's day. How the lag is measured is `core.metrics.label_lag`.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.steps.layouts import labelled_layout
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Between
from mlobs_pipelines.store.metric_store import MetricStore

LAG = "label_lag_p95"
_LONGEST = (Window.FOUR_WEEKS, Window.MONTH, Window.WEEK, Window.DAY)
_COLUMNS = ("day", "prediction_id", "model_version", "predicted_at", "state", "first_arrived_at")
Lags = Mapping[str, Sequence[tuple[date, timedelta]]]  # by version: end of the window, and its lag


def expected_by_day(walk: Walk, first: date | None, last: date | None) -> list[dict[str, Any]]:
    """Labels awaited of each version and prediction day, and by when all of the day's are expected.

    Returns
    -------
    list of dict
        ``model_version``, ``day``, ``predictions``, ``pending``, ``late`` (pending although expected by now)
        and ``expected_by``; None where no lag has been measured.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    ends = (None if day is None else day.isoformat() for day in (first, last))
    for row in _predictions(walk, where={"day": Between(*ends)}):
        groups[row["model_version"], row["day"]].append(row)
    return [_counted(walk, key, rows) for key, rows in sorted(groups.items())]


def _counted(walk: Walk, key: tuple[str, str], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    pending = [row for row in rows if row["state"] == "pending"]
    due = [row["expected_by"] for row in rows if row["expected_by"] is not None]
    return {
        "model_version": key[0],
        "day": key[1],
        "predictions": len(rows),
        "pending": len(pending),
        "late": sum(row["expected_by"] is not None and row["expected_by"] < walk.as_of for row in pending),
        "expected_by": max(due, default=None),
    }


def expected_of(walk: Walk, prediction_id: str) -> list[dict[str, Any]]:
    """What is known of one prediction's label, and by when it was expected; an entry per version."""
    found = list(_predictions(walk, prediction_id))
    names = ("model_version", "predicted_at", "state", "arrived_at", "expected_by")
    return [{name: row[name] for name in names} for row in found]


def _predictions(
    walk: Walk, prediction_id: str | None = None, where: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Joined predictions with the moment by which their label is expected."""
    rows = _rows(walk, prediction_id, where or {})
    lags = _lags(walk)
    for row in rows.to_pylist():
        arrived = row["first_arrived_at"]
        if row["predicted_at"] > walk.as_of:
            continue
        if arrived is None or arrived > walk.as_of:
            row |= {"state": "pending", "first_arrived_at": None}
        lag = _before(lags.get(row["model_version"], ()), date.fromisoformat(row["day"]))
        due = None if lag is None else row["predicted_at"] + lag
        yield {**row, "arrived_at": row["first_arrived_at"], "expected_by": due}


def _rows(walk: Walk, prediction_id: str | None, where: Mapping[str, Any]) -> pa.Table:
    layout = labelled_layout(walk.spec)
    if not walk.lake.exists(walk.model, layout.name):
        return layout.schema.empty_table().select(_COLUMNS)
    rows = walk.lake.dataset(walk.model, layout, where=where)
    one = None if prediction_id is None else pc.field("prediction_id") == prediction_id
    return rows.to_table(columns=list(_COLUMNS), filter=one).sort_by("model_version")


def _lags(walk: Walk) -> Lags:
    window = next(window for window in _LONGEST if window in walk.spec.monitor.windows)
    rows = MetricStore(walk.lake).query(
        walk.model, metrics=[LAG], windows=[str(window)], segments=[""], as_of=walk.as_of
    )
    found: dict[str, list[tuple[date, timedelta]]] = defaultdict(list)
    for row in rows.to_pylist():
        if row["value"] is not None:
            found[row["model_version"]].append(
                (row["window_end"], timedelta(seconds=round(3600 * row["value"])))
            )
    return {version: sorted(lags) for version, lags in found.items()}


def _before(lags: Sequence[tuple[date, timedelta]], day: date) -> timedelta | None:
    """The lag of the newest window that had ended by a day; of the first one where none had."""
    at = bisect_right([end for end, _ in lags], day)
    return lags[max(at - 1, 0)][1] if lags else None
