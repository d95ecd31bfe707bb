"""Counting labels by what they say: how long each class takes, and how old rows with a label are.

Lags are counted for rows at least as old as the label horizon alone: among younger ones, classes whose labels
come late are still missing. Labels without regard to what they say are `scan`'s business.
"""

import math
from collections.abc import Sequence

import numpy as np

from mlobs_pipelines.core.vocabulary import Floats, Ints
from mlobs_pipelines.engine.features import floats
from mlobs_pipelines.engine.groups import Assigned, Rows
from mlobs_pipelines.engine.parts import Part
from mlobs_pipelines.engine.scores import ScorePlan, class_index

BINARY = ("0", "1")
LAGS, AGES = "class_lags", "class_ages"


class ClassLags:
    """Labels by class and whole unit of lag, and by class and whole unit of age.

    Nothing is counted of a regression model, whose labels are no classes.

    Parameters
    ----------
    cuts
        Number of segmentations.
    plan
        What the scores are.
    unit_s, horizon_s
        Width of a lag bucket, and the label horizon, in seconds.
    """

    def __init__(self, cuts: int, plan: ScorePlan, unit_s: float, horizon_s: float) -> None:
        self._classes = tuple(plan.classes) or (BINARY if plan.binary else ())
        self._named, self._unit_s, self._horizon_s = bool(plan.classes), unit_s, horizon_s
        self._lags, self._ages = Part(cuts, "label", LAGS), Part(cuts, "label", AGES)
        self.parts = [self._lags, self._ages] if self._classes else []

    def add(self, rows: Assigned, scored: Rows) -> None:
        """Count rows that have a score."""
        if not self._classes:
            return
        size, label = len(self._classes), self._label(scored)
        lag, age = floats(scored.column("lag_s")), floats(scored.column("age_s"))
        old, known = age >= self._horizon_s, (label >= 0) & np.isfinite(lag)
        waited = np.ceil(np.where(known, lag, 0.0).clip(0) / self._unit_s).astype(np.int64)
        in_time = known & old & (lag <= self._horizon_s)
        self._lags.add(rows, np.where(in_time, waited * size + label, -1))
        last = units_of(self._horizon_s, self._unit_s)
        units = np.where(old, last, np.minimum(np.floor(age / self._unit_s), last - 1)).astype(np.int64)
        self._ages.add(rows, np.where(known, units * size + label, -1))

    def _label(self, scored: Rows) -> Ints:
        if self._named:
            return class_index(scored.column("label"), self._classes)
        label: Floats = floats(scored.column("label"))
        return np.where(np.isfinite(label), label == 1.0, -1).astype(np.int64)


def units_of(horizon: float, unit: float) -> int:
    """Whole units of lag up to the label horizon; the unit of age that stands for all from there on."""
    return math.ceil(horizon / unit)


def codes_of(codes: Sequence[int] | np.ndarray, classes: int) -> tuple[Ints, Ints]:
    """Unit and class of stored codes."""
    units, label = np.divmod(np.asarray(codes, dtype=np.int64), classes)
    return units, label
