"""Statistics of the matured days that each window may use, added up by the window's own groups.

Which days these are is `cohorts`; what is estimated with them is `class_estimation`, `class_expectation` and
`value_estimation`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from mlobs_pipelines.core.summaries import ClassEstimatedSummary, ClassExpectedSummary, ValueEstimatedSummary
from mlobs_pipelines.core.vocabulary import Amounts, Flags, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.windows import Counts

Read = Callable[[Counts], Amounts]


@dataclass(frozen=True, slots=True)
class Estimable:
    """Windows whose quality can be estimated, and on what.

    Attributes
    ----------
    summary
        Of all groups and windows.
    matured : (groups, windows) bool
        Whether they rest on matured days, and not on the training set.
    rows : (groups, windows)
        Labelled rows that they rest on.
    """

    summary: ClassEstimatedSummary | ClassExpectedSummary | ValueEstimatedSummary
    matured: Flags
    rows: Amounts

    def told(self, days: Cohorts) -> np.ndarray:
        """What each window was calibrated on, in words that stand beside a judged value."""
        told, rows = (
            np.empty(self.matured.shape, dtype=object),
            np.broadcast_to(self.rows, self.matured.shape),
        )
        for group, window in np.ndindex(told.shape):
            about = days.origin(window if self.matured[group, window] else None)
            told[group, window] = {"calibrated_on": {**about, "rows": round(float(rows[group, window]), 6)}}
        return told


def matured_counts(counts: Counts, days: Cohorts, read: Read, rows: int) -> Amounts:
    """Read the matured days of each window, as many rows as they are worth where rows have weights.

    Parameters
    ----------
    days
        Matured days, of the same windows.
    read
        From statistics to (P, groups, windows, B).
    rows
        How many of the P, from the first on, are the rows that the others are sums over.

    Returns
    -------
    (P, groups, windows, B)
        In the groups and windows of `counts`.
    """
    before = arranged(days.rows, _one_by_one(days))
    layers = [_chosen(read(layer), before, counts, days.chosen) for layer in before.layers()]
    if len(layers) == 1:
        return layers[0]
    once, twice = (np.sum(layer[:rows], axis=(0, -1)) for layer in layers[1:])
    worth = np.divide(once, twice, out=np.ones(once.shape), where=twice > 0)
    return np.asarray(layers[1] * worth[..., np.newaxis])


def _one_by_one(days: Cohorts) -> list[Span]:
    start = days.stretch.start
    return [
        Span(Window.DAY, start + timedelta(at), start + timedelta(at + 1))
        for at in range(max(1, len(days.entries)))
    ]


def _chosen(daily: Amounts, before: Counts, counts: Counts, chosen: Flags) -> Amounts:
    """Add up the days that each window may use, in the order of the windows' groups."""
    place = {group: index for index, group in enumerate(before.groups)}
    at = np.array([place.get(group, -1) for group in counts.groups], dtype=np.int64)
    mine = np.where((at >= 0)[:, np.newaxis, np.newaxis], daily[:, at], 0)[:, :, : chosen.shape[1]]
    return np.stack([mine[:, :, some].sum(axis=2) for some in chosen], axis=2)
