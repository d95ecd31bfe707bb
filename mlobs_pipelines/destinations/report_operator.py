"""The operator's view: error budgets and burn rates, incidents open and past, requests, awaited labels.

Decides what the view contains and puts rows into words; charts of budgets and incidents are budget_charts.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlobs_pipelines.core.verdicts import in_digits
from mlobs_pipelines.destinations import budget_charts
from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.report_facts import Figure, Operations, ReportFacts
from mlobs_pipelines.destinations.report_rows import MetricRows, newest_of_each
from mlobs_pipelines.destinations.report_tables import Cell, cell
from mlobs_pipelines.destinations.report_trends import span, trends

REQUESTS = (
    *(("availability", "1d"), ("error_share", "7d"), ("timeout_share", "7d")),
    *(("latency_p50", "7d"), ("latency_p95", "7d"), ("latency_p99", "7d"), ("request_count", "1d")),
)
LABELS = (
    *(("label_backlog", "1d"), ("overdue_share", "7d"), ("label_lag_p50", "1d"), ("label_lag_p95", "7d")),
    *(("label_silence", "1d"), ("oldest_overdue_age", "1d"), ("label_completeness", "28d")),
)
GLANCE = ("availability", "latency_p95", "label_backlog", "label_lag_p50")
LIVE = ("open", "acknowledged", "muted")
MOST_SIGNS, MOST_PAST, MOST_BARS = 8, 100, 40
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Budget:
    """One SLO of one version as of the last day, in words."""

    slo: str
    version: str
    segment: str
    about: str
    target: str
    bad: str
    left: str
    width: float
    day: str
    week: str
    alert: str
    verdict: str
    reason: str
    owners: str
    runbook: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A signal of an incident: what failed, how bad, since when, where Dagster shows it."""

    what: str
    where: str
    size: str
    since: str
    check: str


@dataclass(frozen=True, slots=True)
class Told:
    """An incident in words: what may have caused it, the likeliest first, and its signals, upstream first."""

    row: Row
    versions: tuple[str, ...]
    period: str
    state: str
    owners: str
    suspects: tuple[str, ...]
    signs: tuple[Sign, ...]
    more: int


def operator(
    facts: ReportFacts, metrics: MetricRows, operations: Operations, colours: Mapping[str, str]
) -> dict[str, Any]:
    """What the template prints of this view."""
    live = [row for row in operations.incidents if row["state"] in LIVE]
    past = [row for row in operations.incidents if row["state"] not in LIVE]
    budgets = [_budget(row) for row in _newest(operations.budgets)]
    return {
        "glance": [*_counts(live, budgets), *_figures(metrics)],
        "budgets": budgets,
        "budget_charts": _budget_charts(operations.budgets, colours, facts),
        "live": [told(row) for row in live],
        "past": [told(row) for row in past[:MOST_PAST]],
        "past_left_out": max(0, len(past) - MOST_PAST),
        "incident_chart": _incident_chart(operations.incidents, facts),
        "requests": trends(metrics, REQUESTS, colours, facts),
        "awaited": trends(metrics, LABELS, colours, facts),
    }


def _newest(rows: Sequence[Row]) -> list[Row]:
    last = max((row["day"] for row in rows), default="")
    order = ("slo", "model_version", "segment", "segment_value")
    found = [row for row in rows if row["day"] == last]
    return sorted(found, key=lambda row: (_rank(row), *(row[name] for name in order)))


def _rank(row: Row) -> int:
    """Budgets that people are told of first, then those that are spent."""
    return {"page": 0, "ticket": 1}.get(row["alert"], 2 if row["verdict"] == "fail" else 3)


def _budget(row: Row) -> Budget:
    left = row["budget_left"]
    return Budget(
        slo=row["slo"],
        version=row["model_version"],
        segment=words.segment(row),
        about=f"{words.title(row['metric'])}, {words.window(row['window'])}",
        target=f"{100 * row['target']:g} %",
        bad=f"{in_digits(row['bad'], 4)} of {in_digits(row['events'], 4)}",
        left=words.DASH if left is None else f"{100 * left:.0f} %",
        width=0.0 if left is None else 100 * max(0.0, min(1.0, left)),
        day=_rate(row["burn_1d"]),
        week=_rate(row["burn_7d"]),
        alert=row["alert"],
        verdict=row["verdict"],
        reason=row["reason"],
        owners=", ".join(row["owners"] or ()),
        runbook=row["runbook"] or "",
    )


def _rate(burn: float | None) -> str:
    return words.DASH if burn is None else f"{in_digits(burn, 3)} ×"  # noqa: RUF001 - times


def _counts(live: Sequence[Row], budgets: Sequence[Budget]) -> list[tuple[str, str, Cell]]:
    """What stands at the top: how many incidents are open, how many budgets burn or are spent."""
    critical = sum(row["severity"] == "critical" for row in live)
    muted = sum(row["state"] == "muted" for row in live)
    told_of = sum(one.alert in {"page", "ticket"} for one in budgets)
    spent = sum(one.verdict == "fail" for one in budgets)
    small = ", ".join(
        f"{count} {word}" for count, word in ((critical, "critical"), (muted, "muted")) if count
    )
    return [
        ("Open incidents", "", Cell(str(len(live)), small, "fail" if critical else "none")),
        ("Budgets that burn too fast", "", Cell(str(told_of), "", "fail" if told_of else "none")),
        ("SLOs that miss their target", "", Cell(str(spent), "", "fail" if spent else "none")),
    ]


def _figures(metrics: MetricRows) -> list[tuple[str, str, Cell]]:
    """Newest values of what an operator looks at, by version."""
    found = []
    for name in GLANCE:
        window = metrics.window_for(name, "1d")
        rows = [row for row in metrics.select([name], window) if row["value"] is not None]
        last = max((row["window_end"] for row in rows), default=None)
        for row in newest_of_each(rows, "model_version"):
            if row["window_end"] == last:
                title = f"{words.title(name)}, {words.window(window)}"
                found.append((title, row["model_version"], cell(row)))
    return found


def _budget_charts(rows: Sequence[Row], colours: Mapping[str, str], facts: ReportFacts) -> list[Figure]:
    """Of every SLO what is left and how fast it goes; of segments the value with the least left."""
    figures = []
    for name in sorted({row["slo"] for row in rows}):
        worst = _worst([row for row in rows if row["slo"] == name])
        title = f"{name}: budget left"
        figures.append(
            Figure(title, f"{title}, by day and version", budget_charts.left(worst, colours, span(facts)))
        )
        title = f"{name}: burn rate"
        about = f"{title} of a day and of seven days, by day and version"
        figures.append(Figure(title, about, budget_charts.burn(worst, colours, span(facts))))
    return figures


def _worst(rows: Sequence[Row]) -> list[Row]:
    """The status with the least budget left, by day and version."""
    ordered = sorted(rows, key=lambda row: -(1.0 if row["budget_left"] is None else row["budget_left"]))
    least = {(row["day"], row["model_version"]): row for row in ordered}
    return [least[key] for key in sorted(least)]


def _incident_chart(rows: Sequence[Row], facts: ReportFacts) -> list[Figure]:
    about = "A bar per incident from its first day until it was over, coloured by severity"
    return [Figure("", about, budget_charts.incidents(rows[:MOST_BARS], facts.last_day))] if rows else []


def told(row: Row) -> Told:
    """An incident in words."""
    stored = json.loads(row["signals"])
    ordered = sorted(stored, key=lambda one: (one["signal"]["tier"], one["first"], one["signal"]["key"]))
    until = f" {words.DASH} {row['resolved_on']}" if row["resolved_on"] else ", not over"
    again = f", came back {words.count(row['reopened'], 'time')}" if row["reopened"] else ""
    muted = f" until {row['muted_until']}" if row["state"] == "muted" else ""
    return Told(
        row=row,
        versions=tuple(row["versions"] or ()),
        period=f"{row['opened_on']}{until}{again}",
        state=f"{row['state']}{muted}",
        owners=", ".join(row["owners"] or ()),
        suspects=tuple(one["text"] for one in json.loads(row.get("suspects") or "[]")),
        signs=tuple(_sign(one) for one in ordered[:MOST_SIGNS]),
        more=max(0, len(ordered) - MOST_SIGNS),
    )


def _sign(stored: Mapping[str, Any]) -> Sign:
    facts = stored["signal"]["told"]
    subject = [
        f"SLO {facts['slo']}:" if facts.get("slo") else "",
        facts.get("dataset"),
        facts.get("table"),
        facts.get("kind"),
    ]
    metric = words.title(str(facts["metric"])) if facts.get("metric") else ""
    feature = f"of {facts['feature']}" if facts.get("feature") else ""
    what = " ".join(str(part) for part in (*subject, metric, feature) if part)
    where = ", ".join(
        str(part)
        for part in (
            facts.get("model_version"),
            f"{facts['segment']} = {facts['segment_value']}" if facts.get("segment") else "",
            words.window(str(facts["window"])) if facts.get("window") else "",
        )
        if part
    )
    count = facts.get("count")
    size = str(facts.get("reason") or ("" if count is None else f"{count:,}"))
    failed = words.count(stored["failures"], "day")
    return Sign(what, where, size, f"{stored['first']}, {failed}", stored["signal"]["check"])
