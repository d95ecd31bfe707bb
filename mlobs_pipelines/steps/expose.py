"""Expose: what is known of models now, for a scrape or a file of metrics.

How it is written is `destinations.openmetrics`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, timedelta
from threading import Lock

import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.destinations.openmetrics import Known, exposition
from mlobs_pipelines.store.lake import Lake, TableLayout
from mlobs_pipelines.store.latest import latest
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.standing import current
from mlobs_pipelines.store.tables import METRICS, SLO_STATUS

ROLLING = [str(Window.DAY), str(Window.WEEK), str(Window.FOUR_WEEKS)]
MONTH_DAYS = timedelta(days=31)
COLUMNS = (
    *("model", "model_version", "role", "segment", "segment_value", "feature", "metric", "window"),
    *("window_end", "as_of", "value", "lower", "upper", "n", "unit", "verdict", "threshold"),
)


def known_now(
    lake: Lake,
    model: str,
    *,
    metrics: Collection[str] | None = None,
    versions: Collection[str] | None = None,
    windows: Collection[str] | None = None,
    segments: Collection[str] | None = ("",),
    features: Collection[str] | None = None,
) -> Known:
    """Metrics and budgets of the newest day, and incidents as they stand.

    Parameters
    ----------
    metrics, versions, windows, segments, features
        Names to keep; calendar months are never among them, because they end on other days.
    """
    found = MetricStore(lake).query(
        model,
        metrics=metrics,
        versions=versions,
        windows=sorted(set(windows or ROLLING) & set(ROLLING)),
        segments=segments,
        features=features,
        columns=COLUMNS,
        first=_newest(lake, model, METRICS, MONTH_DAYS),
    )
    rows = found.filter(pc.equal(found["window_end"], pc.max(found["window_end"]))).to_pylist()
    budgets = latest(lake, model, SLO_STATUS, first=_newest(lake, model, SLO_STATUS)).to_pylist()
    return Known(model, rows, budgets, current(lake, model))


def _newest(lake: Lake, model: str, layout: TableLayout, before: timedelta = timedelta()) -> date | None:
    """The newest day of a table less a stretch, since a month's day may lie ahead; None for no day."""
    if not lake.exists(model, layout.name):
        return None
    days = [key[0] for key in lake.partitions(model, layout.name)]
    return date.fromisoformat(max(days)) - before if days else None


@dataclass(slots=True)
class Cached:
    """A text that is made anew when it is asked for and older than `seconds`; nobody reads the lake else.

    Attributes
    ----------
    make
        Makes the text.
    clock
        Seconds that never go back.
    """

    make: Callable[[], str]
    seconds: float
    clock: Callable[[], float]
    _text: str = ""
    _made: float | None = None
    _lock: Lock = field(default_factory=Lock)

    def get(self) -> str:
        """The text; who asks while it is made waits for it."""
        with self._lock:
            if self._made is None or self.clock() - self._made >= self.seconds:
                self._text, self._made = self.make(), self.clock()
            return self._text


def text_of(lake: Lake, models: Collection[str]) -> str:
    """Everything over all rows of some models, as OpenMetrics."""
    return exposition(known_now(lake, model) for model in sorted(models))
