"""Random labels by source, and their summary, for the metric properties."""

import numpy as np

from mlobs_pipelines.core.summaries import LabelSourceSummary

SOURCES, CLASSES = ("live", "nightly", "hand"), ("0", "1")


def draw_sources(rng, n):
    """Labels of three sources, of which the last is rare and mostly positive."""
    source = rng.choice(3, n, p=[0.5, 0.35, 0.15])
    return {"source": source, "label": (rng.random(n) < np.array([0.2, 0.25, 0.7])[source]).astype(int)}


def summarise_sources(rows):
    """Labels by source and class."""
    code = rows["source"] * 2 + rows["label"]
    return LabelSourceSummary(np.bincount(code, minlength=6).reshape(3, 2), SOURCES, CLASSES)
