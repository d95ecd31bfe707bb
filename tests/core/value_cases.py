"""Predicted numbers beside the losses of a fixed cohort, as summaries of rows."""

import numpy as np

from mlobs_pipelines.core.summaries import ValueEstimatedSummary

EDGES = np.linspace(-20, 80, 201)


def cells(predicted):
    """Cell of each predicted number."""
    return np.clip(np.searchsorted(EDGES, predicted, side="right") - 1, 0, EDGES.size - 2)


def losses(predicted, label):
    """Rows, Σ|e|, Σe² and Σe⁴ of labelled rows per cell."""
    e = np.abs(predicted - label)
    return [
        np.bincount(cells(predicted), weights=e**power, minlength=EDGES.size - 1) for power in (0, 1, 2, 4)
    ]


def value_estimated(predicted, cohort, realised):
    """Summary of predictions beside a cohort's (predicted, label)."""
    scored = np.bincount(cells(predicted), minlength=EDGES.size - 1)
    return ValueEstimatedSummary(scored, *losses(*cohort), EDGES[:-1], EDGES[1:], realised)


def summarise_value_estimated(rows, cohort, summarise):
    """Random rows beside a cohort whose labels are known."""
    known = ~np.isnan(cohort["label"])
    before = cohort["predicted"][known], cohort["label"][known]
    return value_estimated(rows["predicted"], before, summarise(rows))
