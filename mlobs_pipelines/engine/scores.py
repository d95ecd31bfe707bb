"""Counting what a model said against what came true: one accumulator per task.

Which rows are counted is `scan`'s business; what the parts add up to is `core.summaries`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.buckets import SCORE_CELLS, Grid, bucket_codes, score_codes
from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints
from mlobs_pipelines.engine.arrow import numbers_in
from mlobs_pipelines.engine.features import NumberPart, floats
from mlobs_pipelines.engine.groups import Assigned, Rows, dictionary, positions
from mlobs_pipelines.engine.parts import FlagPart, Part

RELIABILITY_BINS = 15
MOST_CLASS_CELLS, LEAST_CLASS_CELLS, MOST_PAIR_CELLS = 256, 8, 16_384
LOG_FLOOR = np.finfo(np.float64).eps
CONFUSION_CODES = {"tp": 0, "fp": 1, "tn": 2, "fn": 3}
_OF_ERRORS = "error absolute squared label label_squared label_cubed cross squared_cross relative zero"
ERROR_CODES = {name: code for code, name in enumerate(_OF_ERRORS.split())}
LOSSES = ("absolute_by_score", "squared_by_score")  # |e| and e² by the number that was predicted
CLASS_LOSSES = "class_losses"  # by class, predicted class and cell of the first one's score: -ln of that
LOSS_GRAIN = 4  # buckets of the predicted number per cell of these


@dataclass(frozen=True, slots=True)
class ScorePlan:
    """What a model's scores are.

    Attributes
    ----------
    thresholds
        Decision threshold per model version of a binary model.
    classes
        Score column of each class of a multiclass model; empty for another one.
    values
        Cells of the numbers that a regression model predicts, and of its labels; None for another one.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    values: Grid | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a row needs to be a scored one."""
        return tuple(self.classes.values()) or ("score",)

    @property
    def binary(self) -> bool:
        """Whether the score is the probability of one of two outcomes."""
        return not self.classes and self.values is None


def scores_of(cuts: int, plan: ScorePlan) -> "BinaryScores | ClassScores | ValueScores":
    """Whatever counts the planned scores."""
    if plan.classes:
        return ClassScores(cuts, plan.classes)
    return BinaryScores(cuts, plan.thresholds) if plan.values is None else ValueScores(cuts, plan.values)


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
    found: Floats = known.take(numbers_in(encoded.indices))
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


class ClassScores:
    """A multiclass model's scores of all classes by the class that came true.

    Parameters
    ----------
    cuts
        Number of segmentations.
    classes
        Score column of each class, in the order declared.
    """

    def __init__(self, cuts: int, classes: Mapping[str, str]) -> None:
        self._classes = classes
        self._top, self._predicted, self._confusion, self._waiting = (
            Part(cuts, "score", name) for name in ("cells", "predicted", "confusion", "waiting")
        )
        self._own, self._others = (Part(cuts, "score", name) for name in ("class_positive", "class_negative"))
        self._exact = [Part(cuts, "score", name, valued=True) for name in ("log_loss", "squared_error")]
        self._reliability = [
            Part(cuts, "score", f"reliability_{name}", valued=True) for name in ("right", "wrong")
        ]
        self._losses = Part(cuts, "score", CLASS_LOSSES, valued=True)
        counts = [self._top, self._predicted, self._confusion, self._waiting, self._own, self._others]
        counts.append(self._losses)
        self.parts = [*counts, *self._exact, *self._reliability]

    def add(self, rows: Assigned, scored: Rows) -> None:
        """Count rows that have a score for every class."""
        scores = np.column_stack([floats(scored.column(name)) for name in self._classes.values()])
        predicted, top = top_class(scores)
        label = class_index(scored.column("label"), tuple(self._classes))
        labelled = label >= 0
        self._top.add(rows, score_codes(top))
        self._predicted.add(rows, predicted)
        self._waiting.add(rows, np.where(labelled, -1, 0))
        self._confusion.add(rows, np.where(labelled, label * len(self._classes) + predicted, -1))
        self._by_class(rows, scores, label, predicted)
        for part, value in zip(self._exact, class_losses(scores, label), strict=True):
            part.add(rows, np.where(labelled, 0, -1), value)
        bins = np.minimum((top * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
        for part, mask in zip(self._reliability, (predicted == label, predicted != label), strict=True):
            part.add(rows, np.where(labelled & mask, bins, -1), top)

    def _by_class(self, rows: Assigned, scores: Floats, label: Ints, predicted: Ints) -> None:
        """Every class against the others: the cell of its score, of rows that are of it and that are not."""
        size, cells = scores.shape[1], class_cells(scores.shape[1])
        for index in range(size):
            cell = score_codes(scores[:, index]).astype(np.int64)
            place = (index * size + predicted) * cells + cell // (SCORE_CELLS // cells)
            self._losses.add(rows, place, -np.log(np.clip(scores[:, index], LOG_FLOOR, 1 - LOG_FLOOR)))
            codes = index * SCORE_CELLS + cell
            self._own.add(rows, np.where(label == index, codes, -1))
            self._others.add(rows, np.where((label >= 0) & (label != index), codes, -1))


def class_cells(size: int) -> int:
    """Cells of each class's score that are told apart by predicted class: by the number of classes alone.

    Examples
    --------
    >>> [class_cells(size) for size in (2, 10, 30, 200)]
    [256, 128, 16, 8]
    """
    cells = MOST_CLASS_CELLS
    while cells > LEAST_CLASS_CELLS and size * size * cells > MOST_PAIR_CELLS:
        cells //= 2
    return cells


def class_losses(scores: Floats, label: Ints) -> tuple[Floats, Floats]:
    """-ln(score of the true class), and Σ over classes of (score - [label is the class])², of each row.

    Parameters
    ----------
    scores : (n, K) float64
    label : (n,) int64
        Position of the true class; what is told of rows without one, -1, means nothing.
    """
    of_label = np.maximum(label, 0)[:, np.newaxis]
    true = np.take_along_axis(scores, of_label, axis=1)[:, 0]
    loss: Floats = -np.log(np.clip(true, LOG_FLOOR, 1 - LOG_FLOOR))
    return loss, ((scores - (np.arange(scores.shape[1]) == of_label)) ** 2).sum(axis=1)


def top_class(scores: Floats) -> tuple[Ints, Floats]:
    """Class of the largest score of each row, and that score; ties go to the class declared first.

    Parameters
    ----------
    scores : (n, K) float64

    Returns
    -------
    (n,) int64, (n,) float64
    """
    index = np.argmax(scores, axis=1)
    return index, np.take_along_axis(scores, index[:, np.newaxis], axis=1)[:, 0]


def class_index(labels: pa.ChunkedArray | pa.Array, classes: tuple[str, ...]) -> Ints:
    """Position of each label among the classes; -1 where there is none."""
    encoded = dictionary(labels)
    place = {name: index for index, name in enumerate(classes)}
    table = np.array([*(place.get(word, -1) for word in encoded.dictionary.to_pylist()), -1], dtype=np.int64)
    found: Ints = table.take(positions(encoded, table.size - 1))
    return found


class ValueScores:
    """The numbers that a regression model predicts, by how far they are from those that came true.

    Parameters
    ----------
    cuts
        Number of segmentations.
    grid
        Cells of predicted numbers and of labels; its location is the centre of the labels' moments.
    """

    def __init__(self, cuts: int, grid: Grid) -> None:
        self._grid, self._centre = grid, grid.location
        self._values = NumberPart(cuts, grid, "score")
        self._labels = NumberPart(cuts, grid, "score", "label_cells", states=None)
        self._sizes = NumberPart(cuts, Grid(), "score", "error_cells", states=None)
        self._errors = FlagPart(cuts, "score", "errors", valued=True)
        self._waiting = Part(cuts, "score", "waiting")
        self._losses = [Part(cuts, "score", name, valued=True) for name in LOSSES]
        counts: list[NumberPart | Part] = [self._values, self._labels, self._sizes]
        self.parts = [*counts, self._errors, self._waiting, *self._losses]

    def add(self, rows: Assigned, scored: Rows) -> None:
        """Count rows that have a predicted number."""
        predicted, label = floats(scored.column("score")), floats(scored.column("label"))
        known = np.isfinite(label) & np.isfinite(predicted)
        actual = np.where(known, label, 0.0)
        error = np.where(known, predicted, 0.0) - actual
        self._values.add(rows, predicted, None)
        self._labels.add(rows, actual, known)
        self._sizes.add(rows, np.abs(error), known)
        self._waiting.add(rows, np.where(np.isfinite(label), -1, 0))
        self._by_value(rows, np.where(known, predicted, self._centre), error, known)
        zero = known & (actual == 0)
        flags = {**dict.fromkeys(ERROR_CODES, known), "relative": known & ~zero, "zero": zero}
        values = dict(_error_values(error, actual, self._centre))
        self._errors.add_flags(
            rows, [flags[name] for name in ERROR_CODES], [values.get(name) for name in ERROR_CODES]
        )

    def _by_value(self, rows: Assigned, predicted: Floats, error: Floats, known: Flags) -> None:
        """Losses by what was predicted: what rows without a label are expected to lose."""
        cells = bucket_codes(predicted, self._grid.location, self._grid.scale) // LOSS_GRAIN
        with np.errstate(over="ignore"):
            losses = np.abs(error), error * error
        for part, loss in zip(self._losses, losses, strict=True):
            part.add(rows, np.where(known, cells, -1), loss)


def _error_values(error: Floats, actual: Floats, centre: float) -> Iterator[tuple[str, Floats]]:
    """What is added up, with its square, under each of ``ERROR_CODES``."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        away = actual - centre
        yield "error", error
        yield "absolute", np.abs(error)
        yield "squared", error * error
        yield "label", away
        yield "label_squared", away * away
        yield "label_cubed", away * away * away
        yield "cross", away * error
        yield "squared_cross", error * error * away
        yield "relative", np.abs(error / actual)
