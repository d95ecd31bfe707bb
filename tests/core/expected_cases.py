"""Scores of all classes beside those of a fixed cohort, as summaries of rows."""

import numpy as np

from mlobs_pipelines.core.summaries import ClassExpectedSummary


def counted(code, width, weights=None):
    """Rows per code, or what they add up to."""
    return np.bincount(code, weights, minlength=width)


def class_expected(scores, cohort, realised, cells=64):
    """Summary of scores (n, K) beside a cohort's (scores, label), over equal cells."""
    classes, said = scores.shape[1], scores.argmax(axis=1)
    cell = np.minimum((scores * cells).astype(int), cells - 1)
    loss = -np.log(np.clip(scores, 1e-15, 1))
    scored = [
        counted(said * cells + cell[:, k], classes * cells).reshape(classes, cells) for k in range(classes)
    ]
    losses = [[counted(cell[:, k], cells, loss[:, k] ** power) for k in range(classes)] for power in (1, 2)]
    before, label = cohort
    place = np.minimum((before * cells).astype(int), cells - 1)
    sides = [[counted(place[(label == k) == own, k], cells) for k in range(classes)] for own in (True, False)]
    edges = np.arange(cells + 1) / cells
    return ClassExpectedSummary(
        np.array(scored), *map(np.array, losses), *map(np.array, sides), edges[:-1], edges[1:], realised
    )


def summarise_class_expected(rows, names, before, summarise):
    """Random rows beside a cohort whose labels are known."""
    known = ~np.isnan(before["label"])
    scores, earlier = (np.stack([some[name] for name in names], axis=1) for some in (rows, before))
    cohort = earlier[known], before["label"][known].astype(int)
    return class_expected(scores, cohort, summarise(rows))
