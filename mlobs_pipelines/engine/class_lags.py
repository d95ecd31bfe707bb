"""Counting labels by what they say: how long each class takes, and how old rows with a label are.

Lags are counted for rows at least as old as the label horizon alone: among younger ones, classes whose labels
come late are still missing. Labels without regard to what they say are `lags`.
"""

import math
from collections.abc import Sequence

import numpy as np

from mlobs_pipelines.core.vocabulary import Floats, Ints
from mlobs_pipelines.engine.features import floats
from mlobs_pipelines.engine.groups import Assigned, Rows
from mlobs_pipelines.engine.parts import Part
from mlobs_pipelines.engine.scores import ScorePlan, class_index, thresholds_of

BINARY = ("0", "1")
STRATA = 2 * len(BINARY)  # of a binary model: 2 x label, plus 1 where the score reached the threshold
LAGS, AGES = "class_lags", "class_ages"


class ClassLags:
    """Labels by class and whole unit of lag, and by class and whole unit of age.

    Those of a binary model are counted by what was decided too: what it flags is often looked into first.
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
        self._plan, self._unit_s, self._horizon_s = plan, unit_s, horizon_s
        self._strata = STRATA if plan.binary else len(plan.classes)
        self._lags, self._ages = Part(cuts, "label", LAGS), Part(cuts, "label", AGES)
        self.parts = [self._lags, self._ages] if self._strata else []

    def add(self, rows: Assigned, scored: Rows) -> None:
        """Count rows that have a score."""
        if not self._strata:
            return
        size, label = self._strata, self._stratum(scored)
        lag, age = floats(scored.column("lag_s")), floats(scored.column("age_s"))
        old, known = age >= self._horizon_s, (label >= 0) & np.isfinite(lag)
        waited = np.ceil(np.where(known, lag, 0.0).clip(0) / self._unit_s).astype(np.int64)
        in_time = known & old & (lag <= self._horizon_s)
        self._lags.add(rows, np.where(in_time, waited * size + label, -1))
        last = units_of(self._horizon_s, self._unit_s)
        units = np.where(old, last, np.minimum(np.floor(age / self._unit_s), last - 1)).astype(np.int64)
        self._ages.add(rows, np.where(known, units * size + label, -1))

    def _stratum(self, scored: Rows) -> Ints:
        """Which labels a row's label comes as fast as; -1 for a row without one."""
        if not self._plan.binary:
            return class_index(scored.column("label"), tuple(self._plan.classes))
        label: Floats = floats(scored.column("label"))
        least = thresholds_of(scored.column("model_version"), self._plan.thresholds)
        flagged = floats(scored.column("score")) >= least
        return np.where(np.isfinite(label), 2 * (label == 1.0) + flagged, -1).astype(np.int64)


def units_of(horizon: float, unit: float) -> int:
    """Whole units of lag up to the label horizon; the unit of age that stands for all from there on."""
    return math.ceil(horizon / unit)


def codes_of(codes: Sequence[int] | np.ndarray, strata: int) -> tuple[Ints, Ints]:
    """Unit and stratum of stored codes."""
    units, stratum = np.divmod(np.asarray(codes, dtype=np.int64), strata)
    return units, stratum
