"""Random labels by class and lag, and labels that stand for others to come, for the metric properties."""

import numpy as np

from mlobs_pipelines.core.summaries import ClassCorrectedSummary, ClassLagSummary, CorrectedSummary

UNITS = 169
WEIGHTS = {0: (1.2, (0.02, 0.0, -0.01)), 1: (1.8, (0.0, 0.05, 0.01))}


def draw_class_lags(rng, n):
    """Lags in hours of labels that all have arrived, the later the class."""
    label = rng.integers(0, 3, n)
    return {"label": label, "lag": rng.lognormal(2 + 0.3 * label, 1, n).clip(0, UNITS - 1)}


def summarise_class_lags(rows):
    """Lags by class and whole hour."""
    code = (rows["label"] * UNITS + np.ceil(rows["lag"])).astype(np.int64)
    arrived = np.bincount(code, minlength=3 * UNITS).reshape(3, UNITS)
    return ClassLagSummary(arrived, ("a", "b", "c"), 1.0)


def summarise_corrected(rows, summarise_score):
    """Labels of which each stands for more of its class, the more where it is positive."""
    parts = []
    for label, (weight, moves) in WEIGHTS.items():
        mine = ~(rows["label"] == 1 - label)
        parts.append(_standing_for(summarise_score({k: v[mine] for k, v in rows.items()}), weight, moves))
    beside = parts[0].select(lambda rows: np.asarray(rows)[np.newaxis])
    return _added(beside, parts[1])


def _standing_for(known, weight, moves):
    """Rows that stand for `weight` each, and for more by `moves` in each direction."""
    shifts = known.select(lambda rows: np.stack([np.asarray(rows) * by for by in moves]))
    return CorrectedSummary(known, *(known.select(lambda r, w=weight**k: r * w) for k in (1, 2)), shifts)


def _added(one, other):
    """The sum of two summaries, of which the first has a leading axis."""
    rest = []
    other.select(lambda rows: rest.append(np.asarray(rows)) or rows)
    place = iter(rest)
    return one.select(lambda rows: np.concatenate([rows, next(place)[np.newaxis]])).total()


def summarise_class_corrected(confusion, classes):
    """Labels of which each stands for more of its class, the more the later the class stands."""
    by_class = 1 + 0.2 * np.arange(len(classes))
    moves = np.array([[0.02, 0.0, 0.01, 0.0], [0.0, 0.03, 0.0, -0.02]])
    stood, spread = (confusion * (by_class**power)[:, np.newaxis] for power in (1, 2))
    shifts = moves[:, : len(classes), np.newaxis] * confusion
    return ClassCorrectedSummary(confusion, stood, spread, shifts, classes)
