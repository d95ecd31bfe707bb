"""From stored statistics to windows of a multiclass model whose known labels stand for those still to come.

A label goes by how long labels of its class took on the matured days of `cohorts`. The same of binary models
is `corrected`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlobs_pipelines.core.summaries import ClassCorrectedSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts
from mlobs_pipelines.engine.class_lags import AGES
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.standing import Standings, by_age, by_day, by_stratum, of_groups
from mlobs_pipelines.steps.windows import Counts


@dataclass(frozen=True, slots=True)
class _Days:
    """Labels of the days of all groups, or of one, at one power of the rows' weights.

    Attributes
    ----------
    confusion : (..., D, K, K)
        Labelled rows by true class, then by predicted class.
    known, waiting
        See `standing.Waiting`; strata are classes.
    """

    confusion: Amounts
    known: Amounts
    waiting: Amounts

    @staticmethod
    def of(daily: Counts, size: int, width: int) -> "_Days":
        """Of every day of every group."""
        confusion = daily.counts(SCORE, "confusion", size * size)
        confusion = confusion.reshape(*confusion.shape[:-1], size, size)
        known = by_stratum(daily, AGES, size, width)
        return _Days(confusion, *by_age(daily, known, confusion.sum(axis=-1)))

    def of_group(self, group: int) -> "_Days":
        """The days of one group."""
        return _Days(self.confusion[group], self.known[group], self.waiting[group])


def class_corrected_summaries(
    counts: Counts, matured: Cohorts, units: int, classes: tuple[str, ...]
) -> Iterator[tuple[ClassCorrectedSummary, list[Any]]]:
    """The windows of each group, whose labels stand for those to come, and what was corrected with what.

    Parameters
    ----------
    matured
        Days that tell how long the labels of each window take.
    units
        Whole lag units up to the label horizon.
    """
    width, size = units + 1, len(classes)
    layers = [_Days.of(layer, size, width) for layer in by_day(counts).layers()]
    for days, found, told in of_groups(counts, matured, units, (size, 1), layers):
        yield weighted(*(_summary(layer, found, classes) for layer in days)), told


def _summary(days: _Days, found: Standings, classes: tuple[str, ...]) -> ClassCorrectedSummary:
    """Labels as they are, and what those of each class stand for."""
    parts = []
    for within, stands in found:
        rows = days.confusion[within]
        by_class = np.concatenate([stands.weight[np.newaxis], stands.squared[np.newaxis], stands.shifts])
        used = rows[stands.used].sum(axis=0)
        parts.append((used, (by_class[..., np.newaxis] * rows).sum(axis=1)))
    known = np.stack([used for used, _ in parts])
    stood = np.stack([moved for _, moved in parts])
    return ClassCorrectedSummary(known, stood[:, 0], stood[:, 1], stood[:, 2:], classes)
