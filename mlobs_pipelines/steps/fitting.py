"""Drift bins fitted on statistics: a feature's edges and categories from counts, no row read again.

What is binned, and what windows are compared with, is `references`.
"""

from dataclasses import replace

import numpy as np

from mlobs_pipelines.core.buckets import bucket_of, quantile_edges
from mlobs_pipelines.engine.arrow import of_numbers
from mlobs_pipelines.steps.arranged import EVERYONE
from mlobs_pipelines.steps.binning import RARE, SCORE, FeatureBaseline
from mlobs_pipelines.steps.windows import Counts


def plain(counts: Counts) -> Counts:
    """The same statistics as those of windows that are measured, not compared with."""
    return replace(counts, power=0, shrink=None)


def fitted(counts: Counts, name: str, binned: FeatureBaseline) -> FeatureBaseline:
    """Fit the drift bins of a feature, or of the score, on all rows; they stay where there is none."""
    seen = plain(counts)
    if binned.grid is None and name != SCORE:
        return _categories(seen, name, binned)
    flat, group, _ = seen.flat(name, "cells")
    everyone = group == seen.groups.index(EVERYONE)
    codes = flat.codes[everyone]
    buckets = codes if binned.grid is None else bucket_of(codes, binned.grid)
    rows = np.zeros(int(buckets.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(rows, buckets, flat.counts[everyone])
    distinct = np.flatnonzero(rows).astype(np.int32)
    return replace(binned, edges=quantile_edges(distinct, rows[distinct])) if distinct.size else binned


def _categories(counts: Counts, name: str, binned: FeatureBaseline) -> FeatureBaseline:
    flat, group, _ = counts.flat(name, "categories")
    everyone = group == counts.groups.index(EVERYONE)
    total = counts.counts(name, "rows", 3)[counts.groups.index(EVERYONE)].sum()
    common = np.flatnonzero(everyone & (flat.counts >= RARE * total))
    names = [] if flat.names is None else flat.names.take(of_numbers(common)).to_pylist()
    return replace(binned, categories=tuple(sorted(names))) if total else binned
