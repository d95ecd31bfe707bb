"""Statistics unnested all at once: the same summaries as one part after another gives."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.core.summaries import Additive
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.scan import scan_labels, scan_log
from mlobs_pipelines.steps import unnested
from mlobs_pipelines.steps.against import feature_summary, score_drift_summary
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.windows import label_summary, operation_summary, score_summary, skew_summary
from tests.engine import weighted_days as days

SPANS = [Span(Window.DAY, day, day + days.DAY) for day in days.calendar(4)]
SPANS += [Span(Window.WEEK, days.FIRST, days.FIRST + 4 * days.DAY)]
PLAN = dataclasses.replace(days.PLAN, segments=("c",))


@pytest.fixture(scope="module", params=["plain", "weighted"])
def rows(request):
    """Statistics of four days by segment."""
    table, kept, weights = days.requests(np.random.default_rng(4), 4, 200)
    if request.param == "weighted":
        table = table.append_column("sample_weight", pa.array(weights)).filter(pa.array(kept))
    return pa.concat_tables([scan_log(table, PLAN), scan_labels(table, PLAN)])


def summaries(counts, base, binned):
    """Every kind of summary that reads parts of its own."""
    yield from (feature_summary(counts, base, name, binned[name]) for name in ("x", "c"))
    yield score_drift_summary(counts, base, binned["score"])
    yield from (score_summary(counts), operation_summary(counts), skew_summary(counts, "x", numeric=True))
    yield label_summary(counts, 1.0, days.HORIZONS_H)


def same(one, other):
    """Hold every array of a summary, and of its layers, against another one's."""
    for item in dataclasses.fields(one):
        left, right = getattr(one, item.name), getattr(other, item.name)
        if isinstance(left, Additive):
            same(left, right)
        elif isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
        else:
            assert left == right


@pytest.mark.parametrize("most", [0, unnested.MOST_CELLS])
def test_summaries_are_those_of_parts_unnested_one_by_one(rows, most, monkeypatch):
    """Plain or weighted, and whether or not all subjects of a part fit side by side."""
    monkeypatch.setattr(unnested, "MOST_CELLS", most)
    base, binned = days.baseline_of(days.requests(np.random.default_rng(5), 1, 400)[0])
    counts = arranged(rows, SPANS)
    slow = dataclasses.replace(counts, parts=days.parts(rows), cells=None)
    for found, wanted in zip(summaries(counts, base, binned), summaries(slow, base, binned), strict=True):
        same(found, wanted)


def test_parts_are_read_as_stored_rows(rows):
    """Every part is there, with the rows that are stored under it, in their order."""
    wanted, found = days.parts(rows), arranged(rows, SPANS).parts
    assert {*found} == {*wanted}
    assert all(found[name].equals(wanted[name]) for name in wanted)
    assert ("x", "nothing") not in found


def test_days_without_statistics_have_empty_windows():
    """No stored row: one group, nothing counted, nothing raised."""
    empty = scan_log(days.requests(np.random.default_rng(6), 1, 5)[0], PLAN).slice(0, 0)
    counts = arranged(empty, SPANS)
    assert counts.groups == [("", "")]
    assert operation_summary(counts).requests.tolist() == [[0] * len(SPANS)]
