"""Naming where two scores of one prediction lie: the cell of the one, and how far the other is from it.

Near scores are told apart finely and far ones coarsely, so a few thousand names hold what two models say of
one prediction, be they much alike or not. Nothing here counts rows, and scores are cells of `buckets`.
"""

import numpy as np

from mlobs_pipelines.core.buckets import SCORE_CELLS, Codes
from mlobs_pipelines.core.vocabulary import Ints

OWN_CELLS = 16  # score cells in one cell of the own score: 0.125 of a logit
_MIDDLE, _WIDTH = 64, 128  # 44 steps on either side of no difference
_EXACT = 8  # differences under so many cells have a step of their own, larger ones a quarter of their octave


def pair_codes(own: Codes, other: Codes) -> Codes:
    """Name the pair of cells that two scores lie in.

    Parameters
    ----------
    own, other : (n,) int32
        Score cells, as `score_codes` names them.

    Returns
    -------
    (n,) int32
        0 … 32767.
    """
    difference = other - own
    steps = _steps(np.abs(difference))
    return np.asarray(own // OWN_CELLS * _WIDTH + _MIDDLE + np.sign(difference) * steps, dtype=np.int32)


def _steps(sizes: Codes) -> Ints:
    octave = np.maximum(np.frexp(sizes)[1] - 3, 0)
    return np.asarray(4 * octave + (sizes >> octave), dtype=np.int64)


def pair_ranges(codes: Codes | Ints) -> tuple[Ints, Ints]:
    """Score cells that the two scores of each named pair may lie in.

    Returns
    -------
    (n, 2), (n, 2) int64
        First cell and the one after the last, of the own score and of the other. The other's range is the own
        one moved by the difference, so that equal scores have equal ranges.
    """
    cell, step = np.divmod(codes.astype(np.int64), _WIDTH)
    steps = step - _MIDDLE
    octave = np.maximum(np.abs(steps) // 4 - 1, 0)
    least = (np.abs(steps) - 4 * octave) << octave
    most = least + (1 << octave) - 1
    first, last = np.where(steps < 0, -most, least), np.where(steps < 0, -least, most)
    own = np.stack([cell * OWN_CELLS, (cell + 1) * OWN_CELLS], axis=-1)
    return own, np.clip(own + np.stack([first, last], axis=-1), 0, SCORE_CELLS)
