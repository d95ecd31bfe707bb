"""Label metrics that need no curve: what arrived labels are like, how many have come by when, how fast.

Times until labels arrive, backlog and what is overdue are `label_lag`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics.estimates import MIN_PROPORTION, effective, enough, proportion
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import LabelSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate


def _among_arrived(summary: LabelSummary, rows: Callable[[LabelSummary], Amounts]) -> Estimate:
    return proportion(summary, lambda s: (rows(s), s.arrived.sum(axis=-1)))


@metric("void_share", LabelSummary, family="label_lag")
def void_share(summary: LabelSummary) -> Estimate:
    """Arrived labels that say there is no outcome ÷ arrived labels; a void label is neither 1 nor 0."""
    return _among_arrived(summary, lambda s: s.void)


@metric("early_label_share", LabelSummary, family="label_lag", direction=-1)
def early_label_share(summary: LabelSummary) -> Estimate:
    """Arrived labels that were known before their prediction ÷ arrived labels."""
    return _among_arrived(summary, lambda s: s.early)


@metric("revised_label_share", LabelSummary, family="label_lag", direction=-1)
def revised_label_share(summary: LabelSummary) -> Estimate:
    """Arrived labels that came more than once ÷ arrived labels."""
    return _among_arrived(summary, lambda s: s.revised)


@metric("conflicting_label_share", LabelSummary, family="label_lag", direction=-1)
def conflicting_label_share(summary: LabelSummary) -> Estimate:
    """Arrived labels that came with different values ÷ arrived labels; the latest value counts."""
    return _among_arrived(summary, lambda s: s.conflicting)


def _horizon_names(summary: LabelSummary) -> list[str]:
    return [f"{horizon:g}h" for horizon in summary.horizons_h]


@metric("label_coverage_at", LabelSummary, family="label_lag", direction=1, labels=_horizon_names)
def label_coverage_at(summary: LabelSummary) -> Estimate:
    """Labelled within each declared horizon ÷ predictions at least that old; NaN while none is."""
    return proportion(summary, lambda s: (s.mature_labelled, s.mature))


@metric("label_arrival_rate", LabelSummary, family="label_lag", unit="1/h", direction=1)
def label_arrival_rate(summary: LabelSummary) -> Estimate:
    """Labels that arrive per hour and waiting prediction, from the prediction up to the label horizon.

    Arrivals ÷ lag units that predictions began while they waited (occurrence ÷ exposure, the mean
    discrete-time hazard), per hour; the interval is Wilson's over those units (Allison 1982).
    """
    units = int(np.rint(summary.horizons_h[-1] / summary.unit_h))

    def sums(s: LabelSummary) -> tuple[Any, Any]:
        rows = s.arrived + s.pending
        begun = np.minimum(np.arange(rows.shape[-1]), units)
        return s.arrived[..., 1 : units + 1].sum(axis=-1), (rows * begun).sum(axis=-1)

    found = proportion(summary, sums)
    size = effective(summary.predictions, summary.squared.predictions)
    per_hour = {name: getattr(found, name) / summary.unit_h for name in ("value", "lower", "upper")}
    n = np.asarray(summary.seen.predictions)
    return replace(found, **per_hour, n=n, **enough(size, MIN_PROPORTION))
