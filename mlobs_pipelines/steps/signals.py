"""What failed and what did not, day by day, as signals: verdicts of metrics and burning error budgets.

Which of them are one incident is `core.incidents`; what deliveries say is `faults`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.incidents import Signal
from mlobs_pipelines.core.vocabulary import Verdict, Window
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.latest import latest
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.tables import SLO_STATUS

Dated = tuple[date, Signal]
FAILED = {str(Verdict.FAIL): True, str(Verdict.PASS): False}
LENGTHS = {str(Window.DAY): 1, str(Window.WEEK): 7, str(Window.FOUR_WEEKS): 28, str(Window.MONTH): 31}
QUICK_DAYS = 7  # a longer window moves slowly: its failure is a ticket
SHOWN = ("value", "lower", "upper", "n", "threshold", "reason")
BUDGET = ("budget_left", "burn_1d", "burn_7d", "bad", "events", "target", "reason")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a failure stands between deliveries and decisions.

    Attributes
    ----------
    cause, tier, subject, follows
        As of a `Signal`.
    """

    cause: str
    tier: int
    subject: str
    follows: frozenset[str]


def place(spec: ModelSpec, metric: str, feature: str, version: str) -> Place:
    """What a metric's failure has in common with others, and what may have caused it.

    Deliveries (tier 0) and rules about them (1) lead to requests (2), features served otherwise than known
    and labels that are late (3), features that drift (4), scores that do (5), and worse decisions (6).
    """
    family = spec.metrics[metric].family
    if family in {"operations", "volume"} and not feature:
        return Place(family, 2, "requests", frozenset({"predictions"}))
    if family == "label_lag":
        return Place("labels come late", 3, "labels", frozenset({"labels"}))
    if feature in spec.monitor.feature_names:
        subject = _served_from(spec, feature)
        tier, word = (3, "skew") if family == "skew" else (4, "drift")
        return Place(
            f"{word} of {subject.partition(':')[2]}", tier, subject, frozenset({"predictions", subject})
        )
    if family == "drift":
        return Place(f"drift of {version}", 5, "scores", frozenset({"predictions", "view", "feature"}))
    upstream = frozenset({"predictions", "labels", "view", "feature", "scores"})
    return Place(f"quality of {version}", 6, "quality", upstream)


def _served_from(spec: ModelSpec, feature: str) -> str:
    view = next(one.view for one in spec.monitor.features if one.name == feature)
    return f"view:{view}" if view else f"feature:{feature}"


def metric_signals(walk: Walk, first: date, last: date) -> Iterator[Dated]:
    """Every judged metric row of some days."""
    names = {objective.metric for objective in walk.spec.monitor.objectives}
    if not names:
        return
    rows = MetricStore(walk.lake).query(walk.model, metrics=names, first=first, last=last, as_of=walk.as_of)
    judged = rows.filter(pc.not_equal(rows.column("verdict"), str(Verdict.NONE)))
    for row in judged.to_pylist():
        yield date.fromisoformat(row["day"]), judged_signal(walk.spec, row)


def judged_signal(spec: ModelSpec, row: Mapping[str, Any]) -> Signal:
    """What a judged row of the metric store says."""
    metric, family = row["metric"], spec.metrics[row["metric"]].family
    found = place(spec, metric, row["feature"], row["model_version"])
    days = LENGTHS[row["window"]]
    critical = row["severity"] == "error" and row["role"] == "champion" and days <= QUICK_DAYS
    return Signal(
        key="|".join(["metrics", *(row[name] for name in _NAMED)]),
        cause=found.cause,
        tier=found.tier,
        subject=found.subject,
        check=f"metrics/{family}",
        failed=FAILED.get(row["verdict"]),
        follows=found.follows,
        version=row["model_version"],
        days=days,
        critical=critical,
        told=_told(row, SHOWN),
    )


_NAMED = ("model_version", "metric", "feature", "window", "segment", "segment_value")


def slo_signals(walk: Walk, first: date, last: date) -> Iterator[Dated]:
    """Every status of an SLO of some days; it fails while its budget burns too fast."""
    if not walk.spec.monitor.slos:
        return
    rows = latest(walk.lake, walk.model, SLO_STATUS, first, last, walk.as_of)
    for row in _plain(rows):
        yield date.fromisoformat(row["day"]), _burning(walk.spec, row)


def _burning(spec: ModelSpec, row: Mapping[str, Any]) -> Signal:
    found = place(spec, row["metric"], row["feature"], row["model_version"])
    key = ("slo_status", row["slo"], row["model_version"], row["segment"], row["segment_value"])
    return Signal(
        key="|".join(key),
        cause=found.cause,
        tier=found.tier,
        subject=found.subject,
        check="slo_status/burn_rate",
        failed={"page": True, "ticket": True, "none": False}.get(row["alert"]),
        follows=found.follows,
        version=row["model_version"],
        days=LENGTHS[row["window"]],
        critical=row["alert"] == "page",
        told={"slo": row["slo"], **_told(row, BUDGET)},
    )


def _told(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, object]:
    """Evidence of a row: which metric of what, and its numbers."""
    about = {name: row[name] for name in _NAMED if row[name]}
    return {**about, **{name: row[name] for name in names if row[name] is not None}}


def _plain(rows: pa.Table) -> Iterable[dict[str, Any]]:
    found: list[dict[str, Any]] = rows.to_pylist()
    return found
