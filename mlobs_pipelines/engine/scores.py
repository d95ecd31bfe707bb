"""Counting what a model said against what came true: one accumulator per task.

Which rows are counted is `scan`'s business; what the parts add up to is `core.summaries`.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.buckets import score_codes
from mlobs_pipelines.core.vocabulary import Flags, Floats
from mlobs_pipelines.engine.features import floats
from mlobs_pipelines.engine.groups import Assigned, Rows, dictionary
from mlobs_pipelines.engine.parts import Part

RELIABILITY_BINS = 15
LOG_FLOOR = np.finfo(np.float64).eps
CONFUSION_CODES = {"tp": 0, "fp": 1, "tn": 2, "fn": 3}


class BinaryScores:
    """A binary model's probabilities by the label that came true.

    Parameters
    ----------
    cuts
        Number of segmentations.
    thresholds
        Decision threshold per model version.
    """

    def __init__(self, cuts: int, thresholds: Mapping[str, float]) -> None:
        self._thresholds = thresholds
        self._by_label = [Part(cuts, "score", name) for name in ("positive", "negative", "unlabelled")]
        self._confusion = Part(cuts, "score", "confusion")
        self._exact = [Part(cuts, "score", name, valued=True) for name in ("log_loss", "squared_error")]
        self._reliability = [
            Part(cuts, "score", f"reliability_{name}", valued=True) for name in ("positive", "negative")
        ]
        self.parts = [*self._by_label, self._confusion, *self._exact, *self._reliability]

    def add(self, rows: Assigned, scored: Rows) -> None:
        """Count rows that have a score."""
        score, label = floats(scored.column("score")), floats(scored.column("label"))
        codes, labelled, positive = score_codes(score), np.isfinite(label), label == 1.0
        masks = [positive, labelled & ~positive, ~labelled]
        for part, mask in zip(self._by_label, masks, strict=True):
            part.add(rows, np.where(mask, codes, -1))
        predicted = score >= thresholds_of(scored.column("model_version"), self._thresholds)
        self._confusion.add(rows, np.where(labelled, _confusion(predicted, positive), -1))
        target = np.where(labelled, label, 0.0)
        for part, value in zip(self._exact, (log_loss_of(score, target), (score - target) ** 2), strict=True):
            part.add(rows, np.where(labelled, 0, -1), value)
        bins = np.minimum((score * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
        for part, mask in zip(self._reliability, masks[:2], strict=True):
            part.add(rows, np.where(mask, bins, -1), score)


def thresholds_of(versions: pa.Array, thresholds: Mapping[str, float]) -> Floats:
    """The decision threshold of each row's model version."""
    encoded = dictionary(versions)
    known = np.array([thresholds[name] for name in encoded.dictionary.to_pylist()], dtype=np.float64)
    found: Floats = known.take(encoded.indices.to_numpy(zero_copy_only=False))
    return found


def _confusion(predicted: Flags, positive: Flags) -> np.ndarray:
    code = CONFUSION_CODES
    hit = np.where(predicted, code["tp"], code["fn"])
    return np.where(positive, hit, np.where(predicted, code["fp"], code["tn"]))


def log_loss_of(score: Floats, target: Floats) -> Floats:
    """-ln(score given to the label), of each row."""
    clipped = np.clip(score, LOG_FLOOR, 1 - LOG_FLOOR)
    loss: Floats = -np.where(target == 1.0, np.log(clipped), np.log1p(-clipped))
    return loss
