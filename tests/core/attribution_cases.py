"""Random attributions of features, and the plain way to summarise them."""

import numpy as np

from mlobs_pipelines.core.summaries import AttributionPanel, AttributionSummary

SIZE_EDGES = np.geomspace(1e-3, 10, 61)
BEFORE_SIZES = np.array([0.4, 0.1, 0.2, np.nan])


def draw_attribution(rng, n):
    """Attributions of four features, the second of which is sometimes missing."""
    sizes = np.clip(rng.lognormal(np.log([0.3, 0.2, 0.1, 0.1]), 1, (n, 4)), 1.001e-3, 9.99)
    sizes[:, 1] = np.where(rng.random(n) < 0.1, np.nan, sizes[:, 1])
    return {f"x{i}": np.where(rng.random(n) < 0.5, -sizes[:, i], sizes[:, i]) for i in range(4)}


def summarise_attribution(rows):
    """The second feature's attributions."""
    sizes = np.abs(rows["x1"][~np.isnan(rows["x1"])])
    whole = np.nansum(
        [np.abs(values).sum() if name != "x1" else sizes.sum() for name, values in rows.items()]
    )
    cells = np.bincount(np.searchsorted(SIZE_EDGES, sizes) - 1, minlength=SIZE_EDGES.size - 1)
    sums = sizes.sum(), (sizes**2).sum(), whole
    return AttributionSummary(np.int64(sizes.size), *sums, cells, SIZE_EDGES[:-1], SIZE_EDGES[1:])


def summarise_attributions(rows):
    """All features' attributions beside the baseline's weights, one of which is not known."""
    sizes = np.abs(np.stack(list(rows.values()), axis=-1)).reshape(-1, 4)
    n = (~np.isnan(sizes)).sum(axis=0)
    return AttributionPanel(
        n, np.nansum(sizes, axis=0), np.nansum(sizes**2, axis=0), BEFORE_SIZES, tuple(rows)
    )
