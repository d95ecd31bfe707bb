"""Is a candidate worse calibrated than the champion on the same predictions: a paired bootstrap of both ECEs.

Rows are drawn again by what both versions said of them at once, from stored counts; everything else that is
compared in pairs is `core.metrics.paired`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlobs_pipelines.core.metrics.estimates import effective, enough, ratio
from mlobs_pipelines.core.pairing import pair_ranges
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats, Ints
from mlobs_pipelines.engine.pairs import PAIR
from mlobs_pipelines.steps.pairing import SIDES, split_by_group, stacked
from mlobs_pipelines.steps.windows import Counts, score_edges

BINS, MIN_PER_BIN = 15, 10
_RESAMPLES, _BLOCK, _SEED = 1000, 100, 20130301


def ece_difference(counts: Counts) -> Estimate:
    """ECE of the version minus that of the champion on the same labelled predictions: (G, 1).

    Scores stand at the middle of their cells. The 95 % interval is a bootstrap of pairs (Efron 1979): in each
    of 1,000 resamples both errors are those of the same rows, so that what both share does not add to it.
    """
    return stacked([_of_group(one) for one in _groups(counts)])


def _groups(counts: Counts) -> Iterator[Counts]:
    names = {name: split_by_group(counts.parts[name]) for name in counts.parts if name[0] == PAIR}
    for group in counts.groups:
        mine = {name: found[group] for name, found in names.items() if group in found}
        yield counts.of_group(group, mine)


def _of_group(counts: Counts) -> Estimate:
    layers = counts.layers()
    seen, total, squares = layers if len(layers) > 1 else [*layers] * 3
    own, champion = (_cells(total, whose) for whose in ("own", "champion"))
    value = np.array([_error(*_middle(own), own.rows) - _error(*_middle(champion), champion.rows)])
    joint = _cells(total, "joint")
    again = joint if squares is total else _cells(squares, "joint")
    low, high = np.quantile(_moved(joint, again.rows), [0.025, 0.975])
    ends = np.minimum(value + low, value), np.maximum(value + high, value)
    size = effective(joint.rows.sum(), again.rows.sum())
    n = _cells(seen, "joint").rows.sum()
    return Estimate(value, np.array([n]), *ends, **enough(size, BINS * MIN_PER_BIN))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells that have rows, the label of each, and the rows."""

    codes: Ints
    label: Ints
    rows: Amounts


def _cells(counts: Counts, whose: str) -> _Cells:
    flats = [counts.flat(PAIR, f"{whose}_{side}")[0] for side in SIDES]
    found = [np.unique(flat.codes, return_inverse=True) for flat in flats]
    rows = [
        np.bincount(at, weights=flat.counts, minlength=codes.size)
        for flat, (codes, at) in zip(flats, found, strict=True)
    ]
    label = np.repeat([1, 0], [codes.size for codes, _ in found])
    return _Cells(np.concatenate([codes for codes, _ in found]).astype(np.int64), label, np.concatenate(rows))


def _middle(cells: _Cells) -> tuple[Floats, Ints]:
    low, high = score_edges(cells.codes)
    return (low + high) / 2, cells.label


def _error(middle: Floats, label: Ints, rows: Amounts) -> Floats:
    """Expected calibration error over 15 bins of equal width, of one sample of rows or of several."""
    place = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
    gaps = (middle - label) * rows
    by_bin = [gaps[..., place == index].sum(axis=-1) for index in range(BINS)]
    return ratio(np.abs(by_bin).sum(axis=0), rows.sum(axis=-1))


def _moved(joint: _Cells, squares: Amounts) -> Floats:
    """How much the difference of the two errors moves when the rows are drawn again."""
    if not joint.rows.size:
        return np.zeros(1)
    draw = np.random.default_rng(_SEED)
    blocks = (_again(draw, joint.rows, squares) for _ in range(_RESAMPLES // _BLOCK))
    found = [_difference(joint, rows) for rows in blocks]
    return np.asarray(np.concatenate(found) - _difference(joint, joint.rows))


def _again(draw: np.random.Generator, rows: Amounts, squares: Amounts) -> Amounts:
    """Rows of equal weight are drawn again; weighted ones vary as a Poisson sample of them does."""
    if np.array_equal(rows, squares):
        return draw.multinomial(int(rows.sum()), rows / rows.sum(), _BLOCK)
    return np.maximum(rows + np.sqrt(squares) * draw.standard_normal((_BLOCK, rows.size)), 0)


def _difference(joint: _Cells, rows: Amounts) -> Floats:
    """Difference of the two errors, both versions' scores standing in the middle of their joint cells."""
    errors = []
    for ends in pair_ranges(joint.codes):
        low, high = score_edges(ends.mean(axis=-1).astype(np.int64))
        errors.append(_error((low + high) / 2, joint.label, rows))
    return np.asarray(errors[0] - errors[1])
