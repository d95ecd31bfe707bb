"""Counting pairs: what a version said of a prediction beside what the champion said of the same one.

The champion's score comes with the row (`champions`); what the parts add up to is `core.summaries.paired`.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.buckets import score_codes
from mlobs_pipelines.core.pairing import pair_codes
from mlobs_pipelines.core.vocabulary import Flags, Floats
from mlobs_pipelines.engine.champions import BESIDE
from mlobs_pipelines.engine.features import floats
from mlobs_pipelines.engine.groups import WEIGHT, Groups, Rows
from mlobs_pipelines.engine.parts import Part
from mlobs_pipelines.engine.scores import log_loss_of, thresholds_of

PAIR = "pair"
AGREEMENT_CODES = {"neither": 0, "champion_only": 1, "own_only": 2, "both": 3}


class BinaryPairs:
    """Pairs of probabilities by the label that came true.

    Parameters
    ----------
    groups
        Who is counted with whom: a pair counts where the row that is not the champion's does.
    thresholds
        Decision threshold per model version.
    """

    def __init__(self, groups: Groups, thresholds: Mapping[str, float]) -> None:
        self._groups, self._thresholds, cuts = groups, thresholds, groups.cuts
        self._cells = {
            (name, side): Part(cuts, PAIR, f"{name}_{side}")
            for name in ("own", "champion", "joint")
            for side in ("positive", "negative")
        }
        self._unlabelled, self._agreement = (Part(cuts, PAIR, name) for name in ("unlabelled", "agreement"))
        self._exact = [Part(cuts, PAIR, name, valued=True) for name in ("log_loss", "squared_error")]
        self.parts = [*self._cells.values(), self._unlabelled, self._agreement, *self._exact]

    def add(self, batch: Rows) -> None:
        """Count the rows that have a champion's score beside their own."""
        if BESIDE + "score" not in batch.schema.names:
            return
        beside = batch.column(BESIDE + "score").is_valid()
        if beside.true_count:
            self._add(batch.filter(beside))

    def _add(self, pairs: Rows) -> None:
        rows = self._groups.assign(_reweighed(pairs))
        own, champion = floats(pairs.column("score")), floats(pairs.column(BESIDE + "score"))
        label = floats(pairs.column("label"))
        labelled, positive = np.isfinite(label), label == 1.0
        cells = {"own": score_codes(own), "champion": score_codes(champion)}
        cells["joint"] = pair_codes(cells["own"], cells["champion"])
        sides = {"positive": positive, "negative": labelled & ~positive}
        for (name, side), part in self._cells.items():
            part.add(rows, np.where(sides[side], cells[name], -1))
        self._unlabelled.add(rows, np.where(labelled, -1, 0))
        right = [
            self._right(pairs, prefix, score, positive) for prefix, score in (("", own), (BESIDE, champion))
        ]
        self._agreement.add(rows, np.where(labelled, 2 * right[0] + right[1], -1))
        target = np.where(labelled, label, 0.0)
        losses = log_loss_of(own, target) - log_loss_of(champion, target)
        errors = (own - target) ** 2 - (champion - target) ** 2
        for part, value in zip(self._exact, (losses, errors), strict=True):
            part.add(rows, np.where(labelled, 0, -1), value)

    def _right(self, pairs: Rows, prefix: str, score: Floats, positive: Flags) -> Flags:
        """Whether the decision was right, by the threshold of the version that made it."""
        said = score >= thresholds_of(pairs.column(prefix + "model_version"), self._thresholds)
        return np.asarray(said == positive)


def _reweighed(pairs: Rows) -> Rows:
    """Give a pair the larger of its two weights: both rows were kept by the smaller of their two chances."""
    if WEIGHT not in pairs.schema.names:
        return pairs
    both = [pc.fill_null(pairs.column(name).cast(pa.float64()), 1.0) for name in (WEIGHT, BESIDE + WEIGHT)]
    return pairs.set_column(pairs.schema.names.index(WEIGHT), WEIGHT, pc.max_element_wise(*both))
