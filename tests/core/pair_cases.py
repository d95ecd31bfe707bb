"""Random pairs of two versions on the same predictions, and the plain way to summarise them."""

from dataclasses import fields

import numpy as np

from mlobs_pipelines.core.summaries import ClassPairSummary, PairSummary, ValuePairSummary

CELLS = 64


def draw_pair(rng, n):
    """Scores of two versions that are much alike, with labels that are late or void for a tenth."""
    score = rng.beta(1, 2, n)
    label = (rng.random(n) < score**1.3).astype(float)
    label[rng.random(n) < 0.1] = np.nan
    odds = score / (1 - score) * np.exp(rng.normal(0, 0.5, n))
    return {"score": score, "champion": odds / (1 + odds), "label": label}


def _count(codes, width):
    return np.bincount(codes, minlength=width).astype(np.int64)


def summarise_pair(rows):
    """Both scores by label over 64 cells, alone and together."""
    label, known = rows["label"], ~np.isnan(rows["label"])
    both = np.stack([rows["score"], rows["champion"]])[:, known]
    cells, label = np.minimum((both * CELLS).astype(int), CELLS - 1), label[known]
    sides = (label == 1, label == 0)
    fine = [_count(cell[side], CELLS) for cell in cells for side in sides]
    joint = [_count(cells[0][side] * CELLS + cells[1][side], CELLS**2) for side in sides]
    right = (both >= 0.5) == (label == 1)
    outcomes = [right[0] & right[1], right[0] & ~right[1], ~right[0] & right[1], ~right[0] & ~right[1]]
    losses = -np.log(np.clip(np.where(label == 1, both, 1 - both), 1e-15, 1))
    sums = [(array[0] - array[1]) ** power for array in (losses, (both - label) ** 2) for power in (1, 2)]
    first = np.arange(CELLS)
    placed = (first.repeat(CELLS), np.tile(first, CELLS))
    ranges = [np.stack([cell, cell + 1], axis=-1) for cell in placed]
    return PairSummary(
        np.int64((~known).sum()), *(np.int64(one.sum()) for one in outcomes), *(one.sum() for one in sums),
        *fine, *joint, *ranges,
    )  # fmt: skip


def summarise_class_pair(rows):
    """The same without the scores: what a model of more classes has."""
    pair = summarise_pair(rows)
    return ClassPairSummary(**{item.name: getattr(pair, item.name) for item in fields(ClassPairSummary)})


def draw_value_pair(rng, n):
    """Numbers that two versions predicted, and what came true of nine tenths of them."""
    label = rng.normal(10, 3, n)
    return {
        "own": label + rng.normal(size=n),
        "champion": label + rng.normal(0, 1.1, n),
        "label": np.where(rng.random(n) < 0.1, np.nan, label),
    }


def summarise_value_pair(rows):
    """Differences of absolute and of squared errors."""
    known = ~np.isnan(rows["label"])
    own, champion = (np.abs(rows[name] - rows["label"])[known] for name in ("own", "champion"))
    moved = (own - champion, own**2 - champion**2)
    sums = (power.sum() for one in moved for power in (one, one**2))
    return ValuePairSummary(np.int64(known.sum()), np.int64((~known).sum()), *sums)
