"""Random bins of several features, and their summary, for the metric properties."""

import numpy as np

from mlobs_pipelines.core.summaries import PanelSummary

WIDTH = np.array([5, 3, 4])
BEFORE = np.array([[900, 800, 1100, 700, 500], [2500, 1400, 100, 0, 0], [1000, 1000, 1000, 1000, 0]])


def draw_panel(rng, n):
    """Bins of three features, the first of which moves."""
    shares = BEFORE / BEFORE.sum(axis=1, keepdims=True)
    shares[0] = rng.dirichlet(20 * shares[0])
    return {f"x{i}": rng.choice(5, n, p=share) for i, share in enumerate(shares)}


def summarise_panel(rows):
    """Three features side by side."""
    bins = np.stack([np.bincount(rows[f"x{i}"], minlength=5) for i in range(3)])
    return PanelSummary(bins, BEFORE, WIDTH, np.array([0.5, np.nan, 0.1]), ("x0", "x1", "x2"))
