"""Counting labels by the source that brought them and what they say.

Rows without a source or a label are not counted, nor those of a regression model: its labels are no classes.
"""

from collections.abc import Iterator

import numpy as np

from mlobs_pipelines.core.coding import NULL
from mlobs_pipelines.core.vocabulary import Floats, Ints
from mlobs_pipelines.engine.arrow import of_texts
from mlobs_pipelines.engine.features import NamePart, floats
from mlobs_pipelines.engine.groups import Assigned, Groups, Moved, Rows, dictionary, positions
from mlobs_pipelines.engine.parts import Counted
from mlobs_pipelines.engine.scores import ScorePlan, class_index

SOURCE, LABEL_SOURCE = "source", "label_source"
_BETWEEN = "|"


class LabelSources:
    """Labels by class and source, as categories of the subject ``label_source``.

    Parameters
    ----------
    cuts
        Number of segmentations.
    plan
        What the scores are, and so the labels.
    """

    def __init__(self, cuts: int, plan: ScorePlan) -> None:
        self._plan, self._names = plan, NamePart(cuts, LABEL_SOURCE)
        self._classes = 2 if plan.binary else len(plan.classes)
        self._seen = False

    def add(self, rows: Assigned, scored: Rows) -> None:
        """Count rows, if they tell where their labels came from."""
        if not self._classes or SOURCE not in scored.schema.names:
            return
        self._seen = True
        encoded, label = dictionary(scored.column(SOURCE)), self._label(scored)
        source = positions(encoded, -1)
        texts = encoded.dictionary.to_pylist()
        words = of_texts([named(code, text) for text in texts for code in range(self._classes)])
        slots = np.append(self._names.slots(words), NULL)
        absent = (source < 0) | (label < 0)
        self._names.add(rows, slots.take(np.where(absent, len(words), source * self._classes + label)))

    def _label(self, scored: Rows) -> Ints:
        """Position of each label among the classes; -1 without one."""
        if not self._plan.binary:
            return class_index(scored.column("label"), tuple(self._plan.classes))
        label: Floats = floats(scored.column("label"))
        return np.where(np.isfinite(label), label == 1.0, -1).astype(np.int64)

    def merge(self, other: "LabelSources", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        self._names.merge(other._names, moved)
        self._seen |= other._seen

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """Every part; nothing where no row told its source."""
        yield from self._names.counted(groups) if self._seen else ()


def named(label: int, source: str) -> str:
    """The category of a class, by its position, and a source."""
    return f"{label}{_BETWEEN}{source}"


def parted(name: str) -> tuple[int, str]:
    """Class and source of a category; -1 for one that stands for several.

    Examples
    --------
    >>> parted(named(1, "nightly"))
    (1, 'nightly')
    """
    label, found, source = name.partition(_BETWEEN)
    return (int(label), source) if found and label.isdigit() else (-1, name)
