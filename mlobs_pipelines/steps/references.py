"""What a version's windows are compared with: its training set, fixed days, days before, or the champion.

Every kind is a sum of stored statistics, so that changing it reads no row. Bins of a feature stay those of
the version's training set, but for fixed days, on which they are fitted anew. Which kind a version has is
declared in the monitor.
"""

import hashlib
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.monitor import Comparison
from mlobs_pipelines.core.vocabulary import Flags
from mlobs_pipelines.core.windows import Span, earlier
from mlobs_pipelines.engine.cells import CELLS_SCHEMA, SORT_BY
from mlobs_pipelines.steps.arranged import arranged, single
from mlobs_pipelines.steps.binning import LABELLED, SCORE, Baseline
from mlobs_pipelines.steps.fitting import fitted
from mlobs_pipelines.steps.merging import merged, with_score_cells
from mlobs_pipelines.steps.windows import Counts, requests_of
from mlobs_pipelines.store.content import content_hash
from mlobs_pipelines.store.layout import TableLayout

ROLE = "baseline"
FIXED_LAYOUT = TableLayout("baseline_windows", CELLS_SCHEMA, ("model_version", "day"), SORT_BY)


@dataclass(frozen=True, slots=True)
class Reference:
    """What windows are compared with.

    Attributes
    ----------
    baseline
        How features are binned.
    counts
        Its statistics: of one window for all, or of one for each.
    ids : one per window
        What it is, and a hash of what it holds.
    """

    baseline: Baseline
    counts: Counts
    ids: tuple[str, ...]


def depends(comparison: Comparison, span: Span) -> Span | None:
    """The days before a window that it is compared with; None where the comparison does not move with it."""
    if comparison.kind == "previous":
        return earlier(span, 1)
    if comparison.kind == "rolling":
        start = span.start - timedelta(days=comparison.days or 0)
        return Span(span.window, start, span.start)
    return None


def training(baseline: Baseline, rows: pa.Table, windows: int) -> Reference:
    """The version's training set.

    Parameters
    ----------
    rows
        Its statistics.
    windows
        How many windows are compared with it.
    """
    return Reference(baseline, _weighed(single(rows)), (baseline.baseline_id,) * windows)


def _weighed(counts: Counts) -> Counts:
    """Counts by weight where rows have weights, adding up to as many rows of equal weight as say as much."""
    if len(counts.layers()) == 1:
        return counts
    once, twice = (requests_of(layer) for layer in counts.layers()[1:])
    return replace(counts, power=1, shrink=np.divide(once, twice, out=np.ones(once.shape), where=twice > 0))


def named_days(comparison: Comparison) -> str:
    """Fixed days as the partition their statistics are kept in."""
    return f"{comparison.start}..{comparison.end}"


def fixed_rows(comparison: Comparison, rows: pa.Table) -> pa.Table:
    """Add one version's statistics of the fixed days up.

    Parameters
    ----------
    rows
        The version's statistics of those days.
    """
    return merged(with_score_cells(rows), named_days(comparison), ROLE)


def fixed_id(rows: pa.Table) -> str:
    """Short hash of what fixed days hold of features and scores, which later labels do not change."""
    kept = rows.filter(pc.match_substring_regex(rows.column("part"), "^(rows|cells|categories|sample)"))
    ordered = kept.sort_by([(name, "ascending") for name in SORT_BY])
    return f"window:{hashlib.sha256(content_hash(ordered).encode()).hexdigest()[:16]}"


def fixed(baseline: Baseline, rows: pa.Table, windows: int) -> Reference:
    """Fixed days, with the drift bins fitted on them.

    Parameters
    ----------
    rows
        Their statistics, of `fixed_rows`.
    """
    name, counts = fixed_id(rows), _weighed(single(rows))
    features = {feature: fitted(counts, feature, bins) for feature, bins in baseline.features.items()}
    return Reference(Baseline(name, features), counts, (name,) * windows)


def moving(
    comparison: Comparison,
    baseline: Baseline,
    rows: pa.Table,
    spans: Sequence[Span],
    hashes: Mapping[date, str],
) -> Reference:
    """Days before each window, or the champion's in the same window.

    Parameters
    ----------
    rows
        Statistics of those days: the version's own, or the champion's.
    spans
        The windows that are compared.
    hashes
        Content of each day's statistics.
    """
    compared = [depends(comparison, span) or span for span in spans]
    counts = arranged(rows, compared)
    # What is measured must not depend on the windows compared at once: the part is there, be it empty.
    labelled = {(SCORE, part): rows.slice(0, 0) for part in LABELLED.values()}
    parts = ChainMap(counts.parts, labelled)  # type: ignore[arg-type] # only read, so that any mapping will do
    counts = _weighed(replace(counts, parts=parts))
    ids = tuple(moving_id(comparison, baseline, span, hashes) for span in compared)
    return Reference(baseline, counts, ids)


def moving_id(comparison: Comparison, baseline: Baseline, days: Span, hashes: Mapping[date, str]) -> str:
    """What a window is compared with: the kind, and a short hash of the days' statistics and of the bins."""
    told = [f"{day}={hashes[day]}" for day in days.days if day in hashes]
    text = "|".join([baseline.baseline_id, *told])
    return f"{kind(comparison)}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def kind(comparison: Comparison) -> str:
    """The word that the id of a comparison begins with."""
    return f"rolling_{comparison.days}d" if comparison.kind == "rolling" else comparison.kind


def champions(rows: pa.Table, version: str) -> pa.Table:
    """Statistics of every other version that were measured while it was the champion."""
    other = pc.not_equal(rows.column("model_version"), version)
    return rows.filter(pc.and_(other, pc.equal(rows.column("role"), "champion")))


def own(roles: np.ndarray) -> Flags:
    """Windows in which the version is the champion itself, and compared with its training set."""
    return np.asarray(roles == "champion")
