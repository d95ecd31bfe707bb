"""Arrived and awaited labels of random rows, in the plain way."""

import numpy as np

from mlobs_pipelines.core.summaries import LabelSummary

LAG_CELLS = 24 * 15
HORIZONS_H = np.array([24.0, 72.0, 168.0])


def draw_label(rng, n):
    """Lags and ages in hours; a few labels never come, some come early or more than once."""
    lag = rng.lognormal(2.2, 1, n)
    lag[rng.random(n) < 0.03] = np.inf
    flags = {name: rng.random(n) < share for name, share in (("void", 0.02), ("early", 0.01), ("again", 0.1))}
    return {"lag": lag, "age": rng.uniform(0, 24 * 20, n), **flags, "other": rng.random(n) < 0.3}


def summarise_label(rows):
    """Arrived and awaited labels by whole hours."""
    lag, age = rows["lag"], rows["age"]
    here, none = lag <= age, np.zeros(lag.size, bool)
    arrived, pending = _hours(np.ceil(lag[here])), _hours(np.floor(age[~here]))
    mature = np.array([(age >= h).sum() for h in HORIZONS_H], np.int64)
    within = np.array([((age >= h) & (lag <= h)).sum() for h in HORIZONS_H], np.int64)
    old = age > HORIZONS_H[-1]
    void, early, again, other = (rows.get(name, none) for name in ("void", "early", "again", "other"))
    flags = (here & void, old & ~here, old, here & early, here & again, here & again & other)
    states = [np.int64(flag.sum()) for flag in flags]
    return LabelSummary(
        np.int64(lag.size), arrived, pending, states[0], mature, within, *states[1:], 1.0, HORIZONS_H
    )


def _hours(values):
    cells = np.minimum(values, LAG_CELLS - 1).astype(np.int64)
    return np.bincount(cells, minlength=LAG_CELLS).astype(np.int64)
