"""Counting pairs: what a version said of a prediction beside what the champion said of the same one.

The champion's score comes with the row (`champions`); what the parts add up to is `core.summaries.paired`.
There is one accumulator per task, as for `scores`.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.buckets import score_codes
from mlobs_pipelines.core.pairing import pair_codes
from mlobs_pipelines.core.vocabulary import Flags, Floats
from mlobs_pipelines.engine.champions import BESIDE
from mlobs_pipelines.engine.features import floats
from mlobs_pipelines.engine.groups import WEIGHT, Assigned, Groups, Rows
from mlobs_pipelines.engine.parts import Part
from mlobs_pipelines.engine.scores import (
    ScorePlan,
    class_index,
    class_losses,
    log_loss_of,
    thresholds_of,
    top_class,
)

PAIR = "pair"
AGREEMENT_CODES = {"neither": 0, "champion_only": 1, "own_only": 2, "both": 3}


def pairs_of(groups: Groups, plan: ScorePlan) -> "Pairs":
    """Whatever counts pairs of the planned scores.

    Parameters
    ----------
    groups
        Who is counted with whom: a pair counts where the row that is not the champion's does.
    """
    kinds: Mapping[bool, type[Pairs]] = {True: BinaryPairs, False: ClassPairs if plan.classes else ValuePairs}
    return kinds[plan.binary](groups, plan)


class Pairs:
    """Rows that have a champion's score beside their own, and how many of them have no label."""

    def __init__(self, groups: Groups, plan: ScorePlan) -> None:
        self._groups, self._plan = groups, plan
        self._part = partial(Part, groups.cuts, PAIR)
        self._unlabelled = self._part("unlabelled")
        self.parts = [self._unlabelled]

    def add(self, batch: Rows) -> None:
        """Count the pairs among rows that have a score."""
        name = BESIDE + self._plan.columns[0]
        if name in batch.schema.names and batch.column(name).null_count < batch.num_rows:
            pairs = _reweighed(batch.filter(batch.column(name).is_valid()))
            self._add(self._groups.assign(pairs), pairs)

    def _add(self, rows: Assigned, pairs: Rows) -> None:
        raise NotImplementedError

    def _both(self, pairs: Rows) -> list[Floats]:
        """The version's own scores and the champion's."""
        return [floats(pairs.column(prefix + self._plan.columns[0])) for prefix in ("", BESIDE)]


def _reweighed(pairs: Rows) -> Rows:
    """Give a pair the larger of its two weights: both rows were kept by the smaller of their two chances."""
    if WEIGHT not in pairs.schema.names:
        return pairs
    both = [pc.fill_null(pairs.column(name).cast(pa.float64()), 1.0) for name in (WEIGHT, BESIDE + WEIGHT)]
    return pairs.set_column(pairs.schema.names.index(WEIGHT), WEIGHT, pc.max_element_wise(*both))


class _Decisions:
    """Which of two versions decided rightly, and how far their losses are apart."""

    def __init__(self, part: "partial[Part]") -> None:
        self._agreement = part("agreement")
        self._exact = [part(name, valued=True) for name in ("log_loss", "squared_error")]
        self.parts = [self._agreement, *self._exact]

    def add(
        self, rows: Assigned, labelled: Flags, right: Sequence[Flags], losses: Sequence[Sequence[Floats]]
    ) -> None:
        """Count pairs by who was right, and add up the difference of each kind of loss."""
        self._agreement.add(rows, np.where(labelled, 2 * right[0] + right[1], -1))
        for part, (own, champion) in zip(self._exact, losses, strict=True):
            part.add(rows, np.where(labelled, 0, -1), own - champion)


class BinaryPairs(Pairs):
    """Pairs of probabilities by the label that came true."""

    def __init__(self, groups: Groups, plan: ScorePlan) -> None:
        super().__init__(groups, plan)
        self._cells = {
            (name, side): self._part(f"{name}_{side}")
            for name in ("own", "champion", "joint")
            for side in ("positive", "negative")
        }
        self._decisions = _Decisions(self._part)
        self.parts += [*self._cells.values(), *self._decisions.parts]

    def _add(self, rows: Assigned, pairs: Rows) -> None:
        scores, label = self._both(pairs), floats(pairs.column("label"))
        labelled, positive = np.isfinite(label), label == 1.0
        cells = dict(zip(("own", "champion"), map(score_codes, scores), strict=True))
        cells["joint"] = pair_codes(cells["own"], cells["champion"])
        sides = {"positive": positive, "negative": labelled & ~positive}
        for (name, side), part in self._cells.items():
            part.add(rows, np.where(sides[side], cells[name], -1))
        self._unlabelled.add(rows, np.where(labelled, -1, 0))
        target = np.where(labelled, label, 0.0)
        losses = [[log_loss_of(score, target) for score in scores], [(s - target) ** 2 for s in scores]]
        said = [
            score >= thresholds_of(pairs.column(prefix + "model_version"), self._plan.thresholds)
            for prefix, score in zip(("", BESIDE), scores, strict=True)
        ]
        self._decisions.add(rows, labelled, [one == positive for one in said], losses)


class ClassPairs(Pairs):
    """Pairs of the scores of all classes by the class that came true."""

    def __init__(self, groups: Groups, plan: ScorePlan) -> None:
        super().__init__(groups, plan)
        self._decisions = _Decisions(self._part)
        self.parts += self._decisions.parts

    def _add(self, rows: Assigned, pairs: Rows) -> None:
        label = class_index(pairs.column("label"), tuple(self._plan.classes))
        scores = [
            np.column_stack([floats(pairs.column(prefix + name)) for name in self._plan.columns])
            for prefix in ("", BESIDE)
        ]
        self._unlabelled.add(rows, np.where(label >= 0, -1, 0))
        losses = list(zip(*(class_losses(one, label) for one in scores), strict=True))
        self._decisions.add(rows, label >= 0, [top_class(one)[0] == label for one in scores], losses)


class ValuePairs(Pairs):
    """Pairs of predicted numbers by how much nearer one of them is to what came true."""

    def __init__(self, groups: Groups, plan: ScorePlan) -> None:
        super().__init__(groups, plan)
        self._errors = [self._part(name, valued=True) for name in ("absolute_error", "squared_error")]
        self.parts += self._errors

    def _add(self, rows: Assigned, pairs: Rows) -> None:
        label = floats(pairs.column("label"))
        both = self._both(pairs)
        known = np.isfinite(label) & np.isfinite(both[0]) & np.isfinite(both[1])
        own, champion = (np.abs(np.where(known, score - label, 0.0)) for score in both)
        self._unlabelled.add(rows, np.where(np.isfinite(label), -1, 0))
        for part, moved in zip(self._errors, (own - champion, own**2 - champion**2), strict=True):
            part.add(rows, np.where(known, 0, -1), moved)
