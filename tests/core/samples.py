"""Bounded samples of random rows beside a fixed one, for the metric properties."""

import numpy as np

from mlobs_pipelines.core.summaries import SampleSummary

SAMPLED = 128


def draw_sample(rng, n):
    """Rows of two numbers, one with nulls, and a category; a hash tells them apart."""
    x, c = rng.normal(size=n), rng.integers(0, 5, n).astype(float)
    y = rng.normal(size=n) + x * rng.choice([0, 2])
    x[rng.random(n) < 0.05] = np.nan
    return {"hash": rng.permutation(1 << 20)[:n] << 40, "x": x, "y": y, "c": c}


def sampled(rows, size=SAMPLED):
    """Hashes, weights and values of the rows with the smallest hashes; a row weighs as often as it is in."""
    hashes, first, times = np.unique(rows["hash"], return_index=True, return_counts=True)
    first, times, fill = first[:size], times[:size], max(size - hashes.size, 0)
    values = np.stack([rows[name][first] for name in "xyc"], axis=1)
    return (
        np.pad(hashes[:size], (0, fill), constant_values=np.iinfo(np.int64).max),
        np.pad(times.astype(float), (0, fill)),
        np.pad(values, ((0, fill), (0, 0)), constant_values=np.nan),
    )


SAMPLE_BEFORE = sampled(draw_sample(np.random.default_rng(5), 600), 250)


def summarise_sample(rows):
    """A bounded sample beside that of fixed rows."""
    hashes, weights, values = sampled(rows)
    return SampleSummary(
        hashes=hashes, weights=weights, values=values,
        baseline_hashes=SAMPLE_BEFORE[0], baseline_weights=SAMPLE_BEFORE[1], baseline_values=SAMPLE_BEFORE[2],
        categorical=np.array([False, False, True]), names=("x", "y", "c"),
    )  # fmt: skip
