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
    flags = {
        "void": here & void,
        "overdue": old & ~here,
        "aged": old,
        "early": here & early,
        "revised": here & again,
        "conflicting": here & again & other,
    }
    return LabelSummary(
        predictions=np.int64(lag.size),
        arrived=arrived,
        pending=pending,
        mature=mature,
        mature_labelled=within,
        **{name: np.int64(flag.sum()) for name, flag in flags.items()},
        **_progress(lag, age),
        unit_h=1.0,
        horizons_h=HORIZONS_H,
    )


def _progress(lag, age):
    """Labels of old predictions by lag, of young ones by age, and news by how long ago it came."""
    units = int(HORIZONS_H[-1])
    here, old = lag <= age, age >= units
    since = np.floor(age - np.where(here, lag, 0))
    cells = {
        "settled": np.ceil(lag[here & old & (lag <= units)]),
        "young": np.floor(age[here & ~old]),
        "fresh": since[here & (since < units)],
    }
    return {
        name: np.bincount(found.astype(np.int64), minlength=units + (name == "settled"))
        for name, found in cells.items()
    }


def _hours(values):
    cells = np.minimum(values, LAG_CELLS - 1).astype(np.int64)
    return np.bincount(cells, minlength=LAG_CELLS).astype(np.int64)
