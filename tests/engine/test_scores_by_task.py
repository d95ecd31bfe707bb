"""Scores of multiclass and regression models counted by the scan, against plain sums over the same rows."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.core.buckets import SCORE_CELLS, Grid, score_codes
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.cells import GROUP_COLUMNS, WEIGHT
from mlobs_pipelines.engine.scan import LabelScan, ScanPlan, scan_labels
from mlobs_pipelines.engine.scores import top_class
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.measured import layered
from mlobs_pipelines.steps.outcomes import multiclass_summary, regression_summary
from mlobs_pipelines.store.content import content_hash

CLASSES = {"a": "p_a", "b": "p_b", "c": "p_c"}
GRID = Grid(5.0, 2.0, np.array([0.0, 5.0]))
PLANS = {
    "multiclass": ScanPlan((), ("site",), {}, classes=CLASSES),
    "regression": ScanPlan((), ("site",), {}, values=GRID),
}
FIRST = date(2024, 1, 1)
SPANS = [Span(Window.DAY, FIRST, FIRST + timedelta(days=1))]
ORDER = [(name, "ascending") for name in (*GROUP_COLUMNS, "subject", "part")]
SUMMARIES = {
    "multiclass": lambda counts: multiclass_summary(counts, tuple(CLASSES)),
    "regression": lambda counts: regression_summary(counts, GRID),
}


def drawn(task, n=900, seed=3):
    """Rows of one day: some without a score, some without a label, with ties and labels of zero."""
    rng = np.random.default_rng(seed)
    columns = {
        "day": [FIRST.isoformat()] * n,
        "model_version": ["v"] * n,
        "role": ["champion"] * n,
        "site": rng.choice(["north", "south"], n),
        "state": ["labelled"] * n,
        "lag_s": rng.uniform(0, 9_000, n),
        "age_s": np.full(n, 9_000.0),
    }
    absent, unknown = rng.random(n) < 0.05, rng.random(n) < 0.1
    if task == "multiclass":
        scores = np.round(rng.dirichlet([1.0, 1.0, 0.7], n), 1)
        columns |= {name: pa.array(scores[:, i], mask=absent) for i, name in enumerate(CLASSES.values())}
        columns["label"] = pa.array(rng.choice(list(CLASSES), n), mask=unknown)
    else:
        label = np.where(rng.random(n) < 0.1, 0.0, np.round(rng.normal(5, 2, n), 1))
        columns["score"] = pa.array(np.round(label + rng.normal(0, 1, n), 1), mask=absent)
        columns["label"] = pa.array(label, mask=unknown)
    return pa.table(columns)


def summary_of(task, table):
    """The statistics of a table as the summary of its day: all rows, then one entry per site."""
    return layered(arranged(scan_labels(table, PLANS[task]), SPANS), SUMMARIES[task]).select(
        lambda a: a[:, 0]
    )


def rows_of(table, names, site=None):
    """Columns of the rows with a score, NaN or None where a value is missing."""
    kept = [row for row in table.to_pylist() if all(row[name] is not None for name in names)]
    return [row for row in kept if site is None or row["site"] == site]


@pytest.mark.parametrize("group", [0, 1, 2])
def test_classes_are_counted_as_by_hand(group):
    """Confusion, losses, reliability and one-vs-rest cells are the plain sums over the scored rows."""
    table = drawn("multiclass")
    found = summary_of("multiclass", table).select(lambda array: array[group])
    rows = rows_of(table, CLASSES.values(), [None, "north", "south"][group])
    known = [row for row in rows if row["label"] is not None]
    scores = np.array([[row[name] for name in CLASSES.values()] for row in known])
    label = np.array([list(CLASSES).index(row["label"]) for row in known])
    said, top = scores.argmax(axis=1), scores.max(axis=1)
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (label, said), 1)
    np.testing.assert_array_equal(found.confusion, confusion)
    assert found.unlabelled == len(rows) - len(known)
    eps = np.finfo(float).eps
    loss = -np.log(np.clip(scores[np.arange(label.size), label], eps, 1 - eps))
    squared = ((scores - np.eye(3)[label]) ** 2).sum(axis=1)
    for name, value in (("log_loss", loss), ("squared_error", squared)):
        np.testing.assert_allclose(getattr(found, name), value.sum(), rtol=1e-12)
        np.testing.assert_allclose(getattr(found, f"{name}_sq"), (value**2).sum(), rtol=1e-12)
    bins = np.minimum((top * 15).astype(int), 14)
    np.testing.assert_array_equal(found.bin_n, np.bincount(bins, minlength=15))
    np.testing.assert_array_equal(found.bin_correct, np.bincount(bins[said == label], minlength=15))
    np.testing.assert_allclose(found.bin_score, np.bincount(bins, top, 15), rtol=1e-12)
    np.testing.assert_allclose(found.bin_score_sq, np.bincount(bins, top**2, 15), rtol=1e-12)
    right = np.bincount(bins[said == label], top[said == label], 15)
    np.testing.assert_allclose(found.bin_score_correct, right, rtol=1e-12)
    for index in range(3):
        mine, others = (np.sort(scores[mask, index]) for mask in (label == index, label != index))
        for counted, values in ((found.positives, mine), (found.negatives, others)):
            middle = np.repeat((found.low + found.high) / 2, counted[index])
            assert middle.size == values.size
            np.testing.assert_array_equal(score_codes(middle), score_codes(values))


@pytest.mark.parametrize("group", [0, 1, 2])
def test_errors_are_summed_as_by_hand(group):
    """Every sum is that over the rows with a score and a label; absolute errors lie in their cells."""
    table = drawn("regression")
    found = summary_of("regression", table).select(lambda array: array[group])
    rows = rows_of(table, ["score"], [None, "north", "south"][group])
    pairs = np.array([(row["score"], row["label"]) for row in rows if row["label"] is not None])
    label, error = pairs[:, 1], pairs[:, 0] - pairs[:, 1]
    away, there = label - GRID.location, label != 0
    expected = {
        "n": label.size, "unlabelled": len(rows) - label.size, "zero": (~there).sum(),
        "error": error.sum(), "error_sq": (error**2).sum(), "error_4": (error**4).sum(),
        "absolute": np.abs(error).sum(), "label": away.sum(), "label_sq": (away**2).sum(),
        "cross": (away * error).sum(), "relative": np.abs(error[there] / label[there]).sum(),
        "cross_sq": ((away * error) ** 2).sum(), "label_3": (away**3).sum(), "label_4": (away**4).sum(),
        "error_sq_label": (error**2 * away).sum(),
        "relative_sq": ((error[there] / label[there]) ** 2).sum(),
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-11, atol=1e-11, err_msg=name)
    sizes = np.sort(np.abs(error))
    low, high = (np.repeat(edge, found.errors) for edge in (found.low, found.high))
    assert np.all((sizes >= low * (1 - 1e-6)) & (sizes <= high * (1 + 1e-6)))


@pytest.mark.parametrize("task", list(PLANS))
@pytest.mark.parametrize("cuts", [[1], [17, 18, 400], [250, 500, 750]])
def test_batches_do_not_change_what_is_stored(task, cuts):
    """Any cut of the rows into batches stores the same counts and, to rounding, the same sums."""
    table = drawn(task)
    scan = LabelScan(PLANS[task])
    for start, end in zip([0, *cuts], [*cuts, table.num_rows], strict=True):
        scan.add(table.slice(start, end - start).combine_chunks())
    parts, whole = (rows.sort_by(ORDER) for rows in (scan.finish(), scan_labels(table, PLANS[task])))
    floats = ("sums", "squares")
    kept = [name for name in whole.schema.names if name not in floats]
    assert content_hash(parts.select(kept)) == content_hash(whole.select(kept))
    for name in floats:
        one, other = (rows.column(name).combine_chunks().flatten().to_numpy() for rows in (parts, whole))
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("task", list(PLANS))
def test_a_row_of_weight_k_counts_as_k_rows(task):
    """Weighted sums equal those of the repeated rows; the rows seen stay those that were seen."""
    table, rng = drawn(task), np.random.default_rng(8)
    weights = rng.choice([1, 2, 5], table.num_rows)
    heavy = summary_of(task, table.append_column(WEIGHT, pa.array(weights.astype(float))))
    once, again = (
        summary_of(task, table),
        summary_of(task, table.take(pa.array(np.repeat(np.arange(900), weights)))),
    )
    squared = summary_of(task, table.take(pa.array(np.repeat(np.arange(900), weights**2))))
    for found, expected in ((heavy, again), (heavy.seen, once), (heavy.squared, squared)):
        for name in type(found).__slots__:
            if name not in ("once", "twice", "FIXED", *found.FIXED):
                values = (getattr(summary, name) for summary in (found, expected))
                np.testing.assert_allclose(*values, rtol=1e-11, atol=1e-9, err_msg=name)


def test_ties_go_to_the_class_declared_first():
    """Of equal scores the first is the largest."""
    index, top = top_class(np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1.0, 0.0, 0.0]]))
    assert index.tolist() == [0, 1, 0]
    assert top.tolist() == [0.4, 0.4, 1.0]


def test_many_classes_share_coarser_cells():
    """With ten classes four cells make one, and every row is still in one."""
    names = [f"c{i}" for i in range(10)]
    rng = np.random.default_rng(4)
    scores = rng.dirichlet(np.ones(10), 300)
    table = drawn("multiclass", 300).drop_columns(["label", *CLASSES.values()])
    table = table.append_column("label", pa.array(rng.choice(names, 300)))
    for index, name in enumerate(names):
        table = table.append_column(f"p_{name}", pa.array(scores[:, index]))
    plan = ScanPlan((), (), {}, classes={name: f"p_{name}" for name in names})
    found = multiclass_summary(arranged(scan_labels(table, plan), SPANS), tuple(names))
    assert np.all(found.low < found.high)
    codes = np.unique(score_codes(scores.ravel()) // 4)
    assert found.low.size == codes.size < SCORE_CELLS / 4
    assert found.positives.sum() == 300
    assert found.negatives.sum() == 2_700
