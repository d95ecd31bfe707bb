"""What the model's mistakes cost the desk: a metric of this model's own.

It takes the merged counts of a window, never a row; `mlobs check` tries it out on made-up windows.
"""

from mlobs_pipelines.core.metrics.estimates import average
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import ScoreSummary
from mlobs_pipelines.core.vocabulary import Estimate

MISSED = 5.0  # a late flight that nobody foresaw: connections are rebooked at once
NEEDLESS = 1.0  # a standby crew for a flight that came on time


@metric("expected_cost", ScoreSummary, family="quality", direction=-1)
def expected_cost(summary: ScoreSummary) -> Estimate:
    """Mean cost of a labelled flight in standby crews: 5 if late and unforeseen, 1 if called for nothing."""
    return average(
        summary,
        lambda s: (
            MISSED * s.fn + NEEDLESS * s.fp,
            MISSED**2 * s.fn + NEEDLESS**2 * s.fp,
            s.tp + s.fp + s.tn + s.fn,
        ),
        ceiling=max(MISSED, NEEDLESS),
    )
