"""What is known now as OpenMetrics: values with bounds, rows, limits and verdicts, error budgets, incidents.

Every family is a gauge without timestamps, so that Prometheus, its node exporter's textfile collector and any
OpenMetrics reader take the text. Which rows are current is the caller's to say.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest

from mlobs_pipelines.destinations import report_words as words

Row = Mapping[str, Any]
# By the unit of a metric: the unit it is told in, and what one of its own is in that.
UNITS = {
    "ms": ("seconds", 1e-3),
    "h": ("seconds", 3600.0),
    "1/h": ("per_second", 1 / 3600),
    "rows": ("rows", 1.0),
}
SERIES = ("model", "model_version", "role", "window", "segment", "segment_value", "feature")
LABELS = ("model", "version", "role", "window", "segment", "segment_value", "feature")
OF_SLO = ("model", "slo", "model_version", "segment", "segment_value")
SLO_LABELS = ("model", "slo", "version", "segment", "segment_value")
VERDICTS = ("pass", "fail", "undecided")
ALERTS = ("none", "ticket", "page", "undecided")
STATES = ("open", "acknowledged", "muted")
SEVERITIES = ("critical", "ticket")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one model now.

    Attributes
    ----------
    metrics, budgets
        Rows of the metric store and of ``slo_status``, each of the newest day.
    incidents
        Rows of incidents as they stood last.
    """

    model: str
    metrics: Sequence[Row] = ()
    budgets: Sequence[Row] = ()
    incidents: Sequence[Row] = ()


def exposition(known: Iterable[Known]) -> str:
    """The text of a scrape, or of a file, of one or several models."""
    models = list(known)
    registry = CollectorRegistry()
    registry.register(_Fixed(models))
    written: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library's own
    return written.decode("utf-8")


class _Fixed:
    def __init__(self, models: Sequence[Known]) -> None:
        self.models = models

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        yield from families(self.models)


def families(models: Sequence[Known]) -> Iterator[Metric]:
    """Every family of these models, each once."""
    rows = [row for one in models for row in one.metrics]
    yield from _values(rows)
    yield from _verdicts(rows)
    yield from _budgets([row for one in models for row in one.budgets])
    yield from _incidents(models)
    yield from _freshness(models)


def _values(rows: Sequence[Row]) -> Iterator[Metric]:
    by_metric: dict[str, list[Row]] = {}
    for row in rows:
        by_metric.setdefault(row["metric"], []).append(row)
    for name in sorted(by_metric):
        found = by_metric[name]
        unit, factor = _unit(name, found[0]["unit"])
        title = words.title(name)
        for column, suffix, about in (
            ("value", "", title),
            ("lower", "_lower", f"{title}: lower end of the 95 % interval"),
            ("upper", "_upper", f"{title}: upper end of the 95 % interval"),
            ("threshold", "_limit", f"{title}: limit of its objective"),
        ):
            yield from _gauge(f"mlobs_{name}{suffix}", about, unit, _numbers(found, column, factor))
        about = f"{title}: rows seen that it rests on"
        yield from _gauge(f"mlobs_{name}_seen", about, "rows", _numbers(found, "n", 1.0))


def _unit(metric: str, unit: str) -> tuple[str, float]:
    return UNITS.get(unit) or ("ratio" if words.is_share(metric) else "", 1.0)


def _numbers(rows: Sequence[Row], column: str, factor: float) -> list[tuple[Sequence[str], float]]:
    return [(_labels(row, SERIES), row[column] * factor) for row in rows if row[column] is not None]


def _labels(row: Row, names: Sequence[str]) -> list[str]:
    return [str(row[name] or "") for name in names]


def _gauge(
    name: str,
    about: str,
    unit: str,
    points: Sequence[tuple[Sequence[str], float]],
    labels: Sequence[str] = LABELS,
) -> Iterator[Metric]:
    """One family, or none where it has no value."""
    if points:
        family = GaugeMetricFamily(name, about, labels=labels, unit=unit)
        for values, number in points:
            family.add_metric(values, number)
        yield family


def _verdicts(rows: Sequence[Row]) -> Iterator[Metric]:
    """A value of 1 for the verdict that each judged value has, 0 for the others."""
    judged = [row for row in rows if row["verdict"] in VERDICTS]
    about = "Verdict of an objective: 1 for the one it is"
    points = [
        ([*_labels(row, SERIES), row["metric"], verdict], float(row["verdict"] == verdict))
        for row in judged
        for verdict in VERDICTS
    ]
    yield from _gauge("mlobs_verdict", about, "", points, (*LABELS, "metric", "verdict"))


def _budgets(rows: Sequence[Row]) -> Iterator[Metric]:
    named: tuple[tuple[str, str, str, Callable[[Row], Any]], ...] = (
        ("target", "Share of good events that is promised", "ratio", lambda row: row["target"]),
        ("budget_left", "Share of the error budget that is left", "ratio", lambda row: row["budget_left"]),
        ("events", "Events of the period", "", lambda row: row["events"]),
        ("bad_events", "Bad events of the period", "", lambda row: row["bad"]),
    )
    for name, about, unit, read in named:
        points = [(_labels(row, OF_SLO), read(row)) for row in rows if read(row) is not None]
        yield from _gauge(f"mlobs_slo_{name}", about, unit, points, SLO_LABELS)
    burns = [
        ([*_labels(row, OF_SLO), window], row[f"burn_{window}"])
        for row in rows
        for window in ("1d", "7d")
        if row[f"burn_{window}"] is not None
    ]
    about = "Burn rate: 1 spends the budget exactly in a period"
    yield from _gauge("mlobs_slo_burn_rate", about, "", burns, (*SLO_LABELS, "window"))
    for column, states in (("alert", ALERTS), ("verdict", VERDICTS)):
        points = [([*_labels(row, OF_SLO), one], float(row[column] == one)) for row in rows for one in states]
        about = f"The {column} of an SLO: 1 for the one it is"
        yield from _gauge(f"mlobs_slo_{column}", about, "", points, (*SLO_LABELS, column))


def _incidents(models: Sequence[Known]) -> Iterator[Metric]:
    """How many are not over, by severity and state; zeros are told too, so that an alert can end."""
    points = []
    for known in models:
        counted = Counter((row["severity"], row["state"]) for row in known.incidents)
        points += [
            ([known.model, severity, state], float(counted[severity, state]))
            for severity in SEVERITIES
            for state in STATES
        ]
    yield from _gauge(
        "mlobs_incidents", "Incidents that are not over", "", points, ("model", "severity", "state")
    )


def _freshness(models: Sequence[Known]) -> Iterator[Metric]:
    ends = [
        ([one.model], _seconds(max(row["window_end"] for row in one.metrics)))
        for one in models
        if one.metrics
    ]
    known = [
        ([one.model], max(row["as_of"] for row in one.metrics).timestamp()) for one in models if one.metrics
    ]
    yield from _gauge(
        "mlobs_measured_until", "End of the newest day that is measured", "seconds", ends, ("model",)
    )
    yield from _gauge("mlobs_known_as_of", "Moment whose knowledge counts", "seconds", known, ("model",))


def _seconds(day: date) -> float:
    return (datetime(day.year, day.month, day.day) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - a day of UTC
