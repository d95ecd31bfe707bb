"""A candidate by itself: what it is served against what it learned from, and limits that hold in any case.

Being held against the champion is `rivals`; papers instead of numbers are `suitability`.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.contracts.release_rules import LIMITS
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.verdicts import Rule, in_digits, judge
from mlobs_pipelines.core.vocabulary import Estimate, Verdict
from mlobs_pipelines.steps.against import feature_summary, score_drift_summary
from mlobs_pipelines.steps.arranged import EVERYONE
from mlobs_pipelines.steps.binning import SCORE, Baseline
from mlobs_pipelines.steps.findings import Finding, finite
from mlobs_pipelines.steps.measured import layered
from mlobs_pipelines.steps.readings import Readings, placed_at
from mlobs_pipelines.steps.traffic import Side
from mlobs_pipelines.steps.windows import Counts, skew_summary

SKEW = ("skew_smape", "skew_mismatch_share")
DRIFT = "psi"


def limit_of(monitor: Monitor, metric: str) -> float | None:
    """The value that a metric must not exceed: of the guard, else of an objective, else the default."""
    if metric in monitor.guard.limits:
        return monitor.guard.limits[metric]
    objectives = [one for one in monitor.objectives if one.metric == metric and one.features is None]
    constant = [one.fail_above for one in objectives if one.fail_above is not None]
    return min(constant, default=LIMITS.get(metric))


def limited(monitor: Monitor, read: Readings) -> Iterator[Finding]:
    """Hold metrics of all rows that have a limit against it, whatever the champion does."""
    for metric, found in read.candidate.items():
        limit = limit_of(monitor, metric) if metric in METRICS and METRICS[metric].direction < 0 else None
        if limit is not None:
            yield _limit(METRICS[metric].family, metric, "", found, limit)


def _limit(check: str, metric: str, feature: str, found: Estimate, limit: float) -> Finding:
    """Hold the value of all rows, the first, against a limit."""
    verdicts, reasons = judge(found, Rule(fail_above=limit), unit=METRICS[metric].unit)
    value, lower, upper = (finite(array[0]) for array in (found.value, found.lower, found.upper))
    return Finding(
        check,
        metric,
        Verdict(str(verdicts[0])),
        str(reasons[0]),
        feature,
        candidate=value,
        lower=lower,
        upper=upper,
        limit=limit,
        n=int(found.n[0]),
        test="limit",
    )


def fit(spec: ModelSpec, own: Side, baseline: Baseline, training: Counts) -> Iterator[Finding]:
    """Skew and drift of the candidate: what it is served against recomputed values and its training set.

    Parameters
    ----------
    training
        Statistics of its training set.
    """
    for metric in SKEW:
        yield from _shortly(list(_skew(spec, metric, own.counts, baseline)))
    yield from _shortly(list(_drift(spec, own.counts, baseline, training)))


def _skew(spec: ModelSpec, metric: str, counts: Counts, baseline: Baseline) -> Iterator[Finding]:
    limit = limit_of(spec.monitor, metric)
    for feature in spec.monitor.features if limit is not None else ():
        numeric = baseline.features[feature.name].grid is not None
        if feature.view is not None and METRICS[metric].suits(numeric=numeric):
            summary = layered(counts, partial(skew_summary, name=feature.name, numeric=numeric))
            found = _whole(METRICS[metric].function(summary), counts)
            if found.n[0]:  # no row had a value on either side
                yield _limit("skew", metric, feature.name, found, limit or 0.0)


def _drift(spec: ModelSpec, counts: Counts, baseline: Baseline, training: Counts) -> Iterator[Finding]:
    limit = limit_of(spec.monitor, DRIFT)
    for name in important(spec.monitor, baseline) if limit is not None else ():
        summary = feature_summary(counts, training, name, baseline.features[name])
        yield _limit("drift", DRIFT, name, _whole(METRICS[DRIFT].function(summary), counts), limit or 0.0)
    if limit is not None:
        scores = score_drift_summary(counts, training, baseline.features[SCORE])
        yield _limit("drift", DRIFT, SCORE, _whole(METRICS[DRIFT].function(scores), counts), limit)


def important(monitor: Monitor, baseline: Baseline) -> list[str]:
    """Features that carry the model; all of them where importances are not known."""
    sizes = np.array([max(baseline.features[name].importance, 0) for name in monitor.feature_names])
    total = np.nansum(sizes)
    # An unknown importance may be any: the feature is judged.
    carried = np.isnan(sizes) | (sizes >= monitor.guard.min_importance * total) | (total == 0)
    return [name for name, kept in zip(monitor.feature_names, carried, strict=True) if kept]


def _whole(found: Estimate, counts: Counts) -> Estimate:
    return placed_at(found, counts.groups, [EVERYONE])


def _shortly(found: list[Finding]) -> Iterator[Finding]:
    """What passed in one line, with the largest of it; what did not, feature by feature."""
    yield from (one for one in found if one.verdict is not Verdict.PASS)
    passed = [one for one in found if one.verdict is Verdict.PASS]
    if passed:
        worst = max(passed, key=lambda one: one.candidate or 0.0)
        value, limit = (in_digits(one or 0.0, 4) for one in (worst.candidate, worst.limit))
        among = f"{worst.feature}, the largest of {len(passed)}" if worst.candidate else f"all {len(passed)}"
        yield replace(worst, feature="", reason=f"{value} is not above {limit}: {among}")
