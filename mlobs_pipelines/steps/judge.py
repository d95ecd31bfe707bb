"""Judge: the error budgets of a model's SLOs, day by day, from the metric store alone.

What a budget is, is `core.budgets`; which windows fail is said by `metrics` already.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.slos import Slo
from mlobs_pipelines.core.budgets import Spending, alerts, kept, spend
from mlobs_pipelines.core.verdicts import in_digits
from mlobs_pipelines.core.vocabulary import Verdict
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk, report
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.tables import SLO_STATUS, as_of_key

STEP = "slo_status"
DAY = timedelta(days=1)
SHOWN_DAYS = 7  # a version that nothing was counted of for longer has no budget to speak of
Series = tuple[str, str, str]  # version, segment, segment value


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The days that are looked at, the metric rows of them, and when each day's newest was known."""

    first: date
    days: int
    rows: pa.Table
    known: Mapping[int, datetime]

    def day(self, at: int) -> date:
        return self.first + at * DAY


def judge_slos(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Compute the budgets of every day whose period holds one of `days`.

    A status is known as of the newest metric it was computed from, so it does not depend on the order in
    which days were run; a later look at a day adds rows under a later ``as_of``.

    Returns
    -------
    dict of date to Outcome
        For `days`, and for every later day with metrics whose period holds one of them.
    """
    slos = walk.spec.monitor.slos
    longest = max((slo.objective.period_days for slo in slos), default=1)
    stretch = _stretch(walk, slos, min(days) - (longest - 1) * DAY, max(days) + (longest - 1) * DAY)
    wanted = [at for at in stretch.known if stretch.day(at) >= min(days)]
    moments = {stretch.day(at): _moment(stretch, at, longest) for at in wanted}
    moments = {**dict.fromkeys(days, walk.as_of), **moments}
    rows = [row for slo in slos for row in _rows(walk, slo, stretch, moments)]
    partitions = [(day.isoformat(), as_of_key(moment)) for day, moment in sorted(moments.items())]
    table = pa.Table.from_pylist(rows, schema=SLO_STATUS.schema)
    report(STEP, 0, len(partitions))
    versions = walk.lake.replace(walk.model, SLO_STATUS, partitions, table, commit=walk.commit)
    report(STEP, len(partitions), len(partitions))
    return {
        date.fromisoformat(day): Outcome(0, version.rows, 0, version, {}, {"as_of": key})
        for (day, key), version in sorted(versions.items())
    }


def _stretch(walk: Walk, slos: Sequence[Slo], first: date, last: date) -> _Stretch:
    rows = MetricStore(walk.lake).query(
        walk.model,
        metrics={slo.sli.metric for slo in slos},
        windows={str(slo.sli.window) for slo in slos},
        segments={slo.sli.segment or "" for slo in slos},
        first=first,
        last=last,
        as_of=walk.as_of,
    )
    newest: dict[int, datetime] = {}
    for day, moment in zip(rows.column("day").to_pylist(), rows.column("as_of").to_pylist(), strict=True):
        at = (date.fromisoformat(day) - first).days
        newest[at] = max(newest.get(at, moment), moment)
    return _Stretch(first, (last - first).days + 1, rows, newest)


def _moment(stretch: _Stretch, at: int, longest: int) -> datetime:
    return max(moment for there, moment in stretch.known.items() if at - longest < there <= at)


def _rows(
    walk: Walk, slo: Slo, stretch: _Stretch, moments: Mapping[date, datetime]
) -> Iterator[dict[str, Any]]:
    """Every status of one SLO on the days that have a moment."""
    for series, (bad, events, present) in sorted(_counted(walk, slo, stretch).items()):
        spending = spend(bad, events, slo.objective)
        told, verdicts = alerts(spending, slo.objective), kept(spending, slo.objective)
        for at in range(stretch.days):
            if stretch.day(at) in moments and present[max(0, at - SHOWN_DAYS + 1) : at + 1].any():
                day = stretch.day(at)
                figures = _figures(slo, spending, at, (str(told[at]), str(verdicts[at])))
                yield _identity(walk, slo, series, day, moments[day]) | figures


def _counted(walk: Walk, slo: Slo, stretch: _Stretch) -> dict[Series, tuple[np.ndarray, ...]]:
    """Bad events, events, and whether there is any row, by day, of each version and segment value."""
    sli, found = slo.sli, dict[Series, tuple[np.ndarray, ...]]()
    sign = walk.spec.metrics[sli.metric].direction
    for row in _mine(slo, stretch.rows).to_pylist():
        series = (row["model_version"], row["segment"], row["segment_value"])
        empty = (np.zeros(stretch.days), np.zeros(stretch.days), np.zeros(stretch.days, dtype=bool))
        bad, events, present = found.setdefault(series, empty)
        at = (date.fromisoformat(row["day"]) - stretch.first).days
        present[at] = True
        bad[at], events[at] = _events(slo, row, sign)
    return found


def _mine(slo: Slo, rows: pa.Table) -> pa.Table:
    sli = slo.sli
    wanted = {
        "metric": sli.metric,
        "window": str(sli.window),
        "segment": sli.segment or "",
        "feature": sli.feature,
    }
    keep = pc.is_in(rows.column("role"), pa.array(list(sli.roles)))
    for name, value in wanted.items():
        keep = pc.and_(keep, pc.equal(rows.column(name), value))
    if sli.versions is not None:
        keep = pc.and_(keep, pc.is_in(rows.column("model_version"), pa.array(list(sli.versions))))
    return rows.filter(keep)


def _events(slo: Slo, row: Mapping[str, Any], direction: int) -> tuple[float, float]:
    """Bad events of one metric row, and all of them."""
    if slo.budgeting == "timeslices":
        judged = row["verdict"] in {str(Verdict.PASS), str(Verdict.FAIL)}
        return float(row["verdict"] == str(Verdict.FAIL)), float(judged)
    if row["value"] is None:
        return 0.0, 0.0
    share = 1 - row["value"] if direction > 0 else row["value"]
    return share * row["n"], float(row["n"])


def _identity(walk: Walk, slo: Slo, series: Series, day: date, moment: datetime) -> dict[str, Any]:
    monitor, length = walk.spec.monitor, slo.objective.period_days
    version, segment, value = series
    return {
        "model": monitor.model,
        "slo": slo.name,
        "model_version": version,
        "segment": segment,
        "segment_value": value,
        "feature": slo.sli.feature,
        "metric": slo.sli.metric,
        "window": str(slo.sli.window),
        "period_start": day - (length - 1) * DAY,
        "period_end": day + DAY,
        "as_of": moment,
        "target": slo.target,
        "owners": list(slo.owners or monitor.owners),
        "runbook": slo.runbook or monitor.runbook,
        "run_id": walk.commit.get("run_id", ""),
        "day": day.isoformat(),
        "as_of_key": as_of_key(moment),
    }


def _figures(slo: Slo, spent: Spending, at: int, said: tuple[str, str]) -> dict[str, Any]:
    objective = slo.objective
    numbers = {
        "events": spent.events[at],
        "bad": spent.bad[at],
        "budget": spent.budget[at],
        "budget_left": spent.left[at],
        "burn_1d": spent.day_burn[at],
        "burn_7d": spent.week_burn[at],
        "page_limit": objective.page_limit,
        "ticket_limit": objective.ticket_limit,
    }
    figures = {name: float(value) if np.isfinite(value) else None for name, value in numbers.items()}
    inputs = {
        "budgeting": slo.budgeting,
        "events_1d": float(spent.day_events[at]),
        "events_7d": float(spent.week_events[at]),
        "min_events": objective.min_events,
        "period_days": objective.period_days,
        "page": objective.page_share,
        "ticket": objective.ticket_share,
    }
    told = {"alert": said[0], "verdict": said[1], "inputs": json.dumps(inputs, sort_keys=True)}
    return figures | told | {"reason": _reason(slo, figures, inputs, *said)}


def _reason(slo: Slo, figures: Mapping[str, Any], inputs: Mapping[str, Any], alert: str, verdict: str) -> str:
    """One sentence on the alert, one on the budget."""
    noun = "windows" if slo.budgeting == "timeslices" else "events"
    seen = f"{in_digits(figures['bad'], 4)} of {in_digits(figures['events'], 4)} {noun} bad in the period"
    left = (
        "" if figures["budget_left"] is None else f", {100 * figures['budget_left']:.0f} % of the budget left"
    )
    if verdict == str(Verdict.UNDECIDED):
        left = f": {inputs['min_events']} {noun} are needed"
    burns = [
        f"{name} burns {in_digits(figures[key], 3)} times the budget"
        for name, key in (("the day", "burn_1d"), ("the week", "burn_7d"))
        if figures[key] is not None
    ]
    limit = {"page": figures["page_limit"], "ticket": figures["ticket_limit"]}.get(alert)
    over = f" (limit {in_digits(limit, 3)})" if limit is not None else ""
    return f"{seen}{left}; {', '.join(burns) or 'nothing was counted lately'}{over}"
