"""Drift between any stretches of days, of every feature in every group, from stored statistics alone.

The metric store keeps windows of fixed lengths beside the baseline that is declared; this answers what was
not asked before, a quarter against the one before it, say. Nothing is stored and nothing judged.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.metrics.drift import shift
from mlobs_pipelines.core.summaries import PanelSummary, weighted
from mlobs_pipelines.core.vocabulary import Estimate, Floats
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.steps.binned import Binned, Binning, binned
from mlobs_pipelines.steps.bins import load_baselines
from mlobs_pipelines.steps.stored import statistics_files
from mlobs_pipelines.steps.walk import Walk

SCHEMA = pa.schema(
    [
        ("model_version", pa.string()),
        ("segment", pa.string()),
        ("segment_value", pa.string()),
        ("feature", pa.string()),
        ("window_start", pa.date32()),
        ("window_end", pa.date32()),
        ("psi", pa.float64()),
        ("noise", pa.float64()),
        ("n", pa.int64()),
        ("effective", pa.float64()),
    ]
)


def drift_between(walk: Walk, before: Span, spans: Sequence[Span]) -> pa.Table:
    """PSI of stretches of days against another one, on the drift bins of each version's training set.

    Parameters
    ----------
    before
        The days that all are compared with.
    spans
        The days that are compared; any length, and they may overlap.

    Returns
    -------
    pyarrow.Table
        A row per version, segment value, feature and stretch, with the noise point of PSI and the rows it
        rests on; the score counts as a feature. PSI is null where a side has no rows.

    Raises
    ------
    BaselineError
        If a declared version's baseline has not been measured.
    """
    binning = Binning.of(load_baselines(walk), walk.spec.monitor.feature_names)
    stretches = (before, *spans)
    wanted = sorted({day for span in stretches for day in span.days})
    files = [
        (file, [at for at, span in enumerate(stretches) if span.start <= day < span.end])
        for day, file in statistics_files(walk, wanted)
    ]
    found = binned(files, len(stretches), binning, walk.duck.threads)
    return pa.concat_tables([SCHEMA.empty_table(), *_tables(binning, found, spans)])


def _tables(binning: Binning, found: Binned, spans: Sequence[Span]) -> Iterator[pa.Table]:
    order = sorted(range(len(found.groups)), key=lambda at: found.groups[at])
    for version, members in groupby(order, key=lambda at: found.groups[at][0]):
        at = list(members)
        if version not in binning.versions:
            continue
        for index, feature in enumerate(binning.features):
            width = int(binning.width[binning.versions.index(version), index])
            rows = found.rows[:, :, at, :, :width].swapaxes(1, 2)  # by layer, group, stretch, feature and bin
            yield _table(
                _estimate(rows[..., index, :], rows[..., -1, 0]),
                [found.groups[one] for one in at],
                feature,
                spans,
            )


def _estimate(rows: Floats, requests: Floats) -> Estimate:
    """PSI of every stretch but the first against the first: (3, G, S + 1, B) become (G, S)."""
    seen, total, squares = (
        PanelSummary(layer[:, 1:, np.newaxis], _before(rows, requests), np.array([]), np.array([]), ())
        for layer in rows
    )
    plain = np.array_equal(rows[0], rows[1])
    summary = seen if plain else weighted(seen, total, squares)
    return shift(summary, lambda s: s.bins[..., 0, :], summary.baseline_bins)


def _before(rows: Floats, requests: Floats) -> Floats:
    """The first stretch by weight, adding up to as many rows of equal weight as say as much."""
    once, twice = (layer[:, :1, np.newaxis] for layer in requests[1:])
    worth: Floats = np.divide(once, twice, out=np.ones(once.shape), where=twice > 0)
    return rows[1, :, :1] * worth


def _table(
    found: Estimate, groups: Sequence[tuple[str, str, str]], feature: str, spans: Sequence[Span]
) -> pa.Table:
    rows, each = len(groups) * len(spans), np.repeat(np.arange(len(groups)), len(spans))
    words = [pa.array(column, pa.string()).take(pa.array(each)) for column in zip(*groups, strict=True)]
    days = [
        pa.array([getattr(span, end) for span in spans] * len(groups), pa.date32())
        for end in ("start", "end")
    ]
    numbers = (getattr(found, name).ravel() for name in ("value", "noise", "effective"))
    psi, noise, effective = (pa.array(array, mask=~np.isfinite(array)) for array in numbers)
    n = pa.array(found.n.ravel().astype(np.int64))
    columns = [*words, pa.repeat(pa.scalar(feature), rows), *days, psi, noise, n, effective]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
