from functools import lru_cache

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import ClassPairSummary, LabelSummary, MulticlassSummary
from tests.core.cases import CASES, LATENCY_EDGES, stack
from tests.core.labels import HORIZONS_H

SHARE, POSITIVE, SIGNED, ANY = (0.0, 1.0), (0.0, np.inf), (-1.0, 1.0), (-np.inf, np.inf)
LATENCY, LAG = (LATENCY_EDGES[0], LATENCY_EDGES[-1]), (0.0, 24.0 * 15)
ESTIMATED = ("auc", "base_rate", "accuracy", "precision", "recall", "f1")
LIMITS = {
    "row_count": POSITIVE, "null_share": SHARE, "psi": POSITIVE, "ks": SHARE,
    "skew_mismatch_share": SHARE, "skew_missing_share": SHARE, "skew_extra_share": SHARE, "skew_smape": SHARE,
    "base_rate": SHARE, "mean_score": SHARE, "auc": SHARE, "accuracy": SHARE, "precision": SHARE,
    "recall": SHARE, "f1": SHARE, "log_loss": POSITIVE, "brier_score": SHARE,
    "ece": SHARE, "mce": SHARE, "brier_reliability": SHARE, "brier_resolution": SHARE,
    "brier_uncertainty": (0.0, 0.25), "brier_residual": SIGNED,
    "reliability_score": SHARE, "reliability_observed": SHARE,
    "label_coverage": SHARE, "label_backlog": POSITIVE, "overdue_share": SHARE, "label_lag_cdf": SHARE,
    "label_lag_p50": LAG, "label_lag_p90": LAG, "label_lag_p95": LAG, "label_lag_p99": LAG,
    **{f"corrected_{name}": SHARE for name in ("auc", "base_rate", "accuracy", "precision", "recall")},
    **{f"corrected_{name}": SHARE for name in ("brier_score", "f1_macro", "recall_macro", "class_share")},
    "label_lag_gap": SHARE, "label_lag_gap_p": SHARE, "class_label_lag_p50": LAG,
    **{f"label_source_{name}": SHARE for name in ("gap", "gap_p", "class_share")},
    "void_share": SHARE, "early_label_share": SHARE, "revised_label_share": SHARE,
    "conflicting_label_share": SHARE, "expected_coverage": SHARE,
    "label_completeness": POSITIVE, "label_silence": POSITIVE, "oldest_overdue_age": POSITIVE,
    "hours_to_maturity": POSITIVE, "label_coverage_at": SHARE, "label_arrival_rate": SHARE,
    "request_count": POSITIVE, "error_share": SHARE,
    "throughput": POSITIVE, "specificity": SHARE, "average_precision": SHARE, "ace": SHARE,
    "calibration_slope": ANY, "calibration_intercept": ANY, "selection_rate": SHARE,
    "prediction_psi": POSITIVE, "label_psi": POSITIVE, "base_rate_change": SIGNED, "ece_change": SIGNED,
    "demographic_parity_difference": SHARE, "equalised_odds_difference": SHARE,
    "paired_count": POSITIVE, "auc_difference": SIGNED, "delong_p": SHARE, "accuracy_difference": SIGNED,
    "mcnemar_p": SHARE, "brier_difference": SIGNED, "log_loss_difference": ANY,
    "mae_difference": ANY, "mse_difference": ANY,
    "reconstruction_error": POSITIVE, "domain_auc": SHARE,
    "drift_q": SHARE, "drifted_share": SHARE, "drifted_importance": SHARE,
    "js_distance": SHARE, "hellinger": SHARE, "linf": SHARE, "wasserstein": POSITIVE,
    "chi_square_p": SHARE, "cramers_v": SHARE, "unseen_share": SHARE, "out_of_range_share": SHARE,
    "cardinality": POSITIVE, "value_mean": ANY, "value_std": POSITIVE, "value_min": ANY, "value_max": ANY,
    **{f"value_p{level:02d}": ANY for level in (1, 5, 25, 50, 75, 95, 99)},
    "attribution_mean": POSITIVE, "attribution_share": SHARE, "attribution_p95": (1e-3, 10.0),
    "attribution_ndcg": SHARE,
    "timeout_share": SHARE, "availability": SHARE,
    **{f"queue_time_p{level}": LATENCY for level in (50, 95, 99)},
    **{f"estimated_{name}": SHARE for name in ESTIMATED},
    **{f"estimated_{name}_error": SIGNED for name in ESTIMATED},
    "estimated_f1_macro": SHARE, "estimated_auc_macro": SHARE, "estimated_log_loss": POSITIVE,
    "estimated_f1_macro_error": SIGNED, "estimated_auc_macro_error": SIGNED,
    "estimated_log_loss_error": ANY, "estimated_mae": POSITIVE, "estimated_rmse": POSITIVE,
    "estimated_mae_error": ANY, "estimated_rmse_error": ANY,
    "latency_p50": LATENCY, "latency_p95": LATENCY, "latency_p99": LATENCY,
    **{f"{name}_macro": SHARE for name in ("precision", "recall", "f1", "auc")},
    **{f"{name}_weighted": SHARE for name in ("precision", "recall", "f1", "auc")},
    **{f"class_{name}": SHARE for name in ("precision", "recall", "f1", "auc", "share", "predicted_share")},
    "confusion_share": SHARE, "mae": POSITIVE, "bias": ANY, "rmse": POSITIVE, "mape": POSITIVE,
    "mape_undefined_share": SHARE, "r2": (-np.inf, 1.0),
    **{f"absolute_error_p{level}": POSITIVE for level in (50, 90, 95)},
}  # fmt: skip
LIMITS_OF = {
    ("brier_score", MulticlassSummary): (0.0, 2.0),
    ("brier_difference", ClassPairSummary): (-2.0, 2.0),
}  # where another summary has other limits
FIELDS = ("value", "n", "lower", "upper", "bound", "noise", "sufficient")
COUNTS = ("row_count", "request_count", "label_backlog", "paired_count")
DRAWN = np.random.default_rng(7).integers(2, 600, 9).tolist()
ROWS = ((0, 0), (1, 1), (600, 600), *enumerate(DRAWN, 1000))  # seeds and how many rows

FORMS = sorted(
    ((name, kind) for name, metric in METRICS.items() for kind in metric.functions),
    key=lambda form: (form[0], form[1].__name__),
)


def every_form(forms):
    """Run a test on metrics, each with every class of summary that it takes."""
    names = [name if len(METRICS[name].functions) == 1 else f"{name}-{kind.__name__}" for name, kind in forms]
    return pytest.mark.parametrize(("name", "kind"), forms, ids=names)


every_metric = every_form(FORMS)


def over_rows(test):
    """Run a property on random rows, the empty window and a single row included.

    The same ones for every metric: those that take one class of summary share it.
    """
    decorated = given(seed=st.integers(), n=st.integers())(test)
    for seed, n in ROWS:
        decorated = example(seed=seed, n=n)(decorated)
    return settings(phases=[Phase.explicit], deadline=None)(decorated)


@lru_cache(maxsize=2048)
def rows_of(kind, seed, n):
    """The entry of a class of summary in the table, and random rows for it."""
    return CASES[kind], CASES[kind].draw(np.random.default_rng(seed), n)


@lru_cache(maxsize=2048)
def whole(kind, seed, n):
    """The summary of random rows, made once for all metrics that take it: examples are the same for each."""
    case, rows = rows_of(kind, seed, n)
    return case.summarise(rows)


@lru_cache(maxsize=1024)
def split(kind, seed, n, ways):
    """Summaries of the same rows, split at random."""
    case, rows = rows_of(kind, seed, n)
    part = np.random.default_rng(seed).integers(0, ways, n)
    return [case.summarise(take(rows, part == index)) for index in range(ways)]


@lru_cache(maxsize=1024)
def shuffled(kind, seed, n):
    """The summary of the same rows in another order."""
    case, rows = rows_of(kind, seed, n)
    return case.summarise(take(rows, np.random.default_rng(seed).permutation(n)))


def limits_of(name, kind):
    """The values that a metric can take."""
    return LIMITS_OF.get((name, kind), LIMITS[name])


def take(rows, index):
    """The rows at `index`."""
    return {column: values[index] for column, values in rows.items()}


def agree(one, other):
    """Two estimates are equal up to the order of float additions."""
    for field in FIELDS:
        np.testing.assert_allclose(
            getattr(one, field), getattr(other, field), rtol=1e-9, atol=1e-9, err_msg=field
        )


def test_the_table_lists_every_metric():
    """A metric cannot be registered without stating its limits, nor stay in the table once it is gone."""
    assert set(LIMITS) == set(METRICS)


def test_every_metric_says_what_it_is():
    """Each function of a metric has a definition that a person can read."""
    assert not [name for name, one in METRICS.items() if not all(f.__doc__ for f in one.functions.values())]


@every_metric
@over_rows
def test_merging_parts_equals_the_whole(name, kind, seed, n):
    """The sum of the summaries of any split of rows gives the metric of all rows."""
    parts = stack(split(kind, seed, n, 4))
    agree(METRICS[name].function(parts.total()), METRICS[name].function(whole(kind, seed, n)))


@every_metric
@over_rows
def test_the_order_of_rows_does_not_matter(name, kind, seed, n):
    """Shuffled rows give the same metric."""
    function = METRICS[name].function
    agree(function(shuffled(kind, seed, n)), function(whole(kind, seed, n)))


@every_metric
@over_rows
def test_many_windows_at_once_equal_one_by_one(name, kind, seed, n):
    """A window's estimate is the same to the bit whichever windows are computed beside it."""
    summaries = split(kind, seed, n, 3)
    together = METRICS[name].function(stack(summaries))
    for index, summary in enumerate(summaries):
        alone = METRICS[name].function(summary)
        for field in FIELDS:
            np.testing.assert_array_equal(
                getattr(together, field)[index], getattr(alone, field), err_msg=field
            )


@every_metric
@over_rows
def test_values_stay_in_range_and_inside_their_interval(name, kind, seed, n):
    """A value is NaN or within the metric's limits, and never outside its own interval."""
    estimate = METRICS[name].function(whole(kind, seed, n))
    low, high = limits_of(name, kind)
    value = estimate.value
    assert np.all(np.isnan(value) | (np.isfinite(value) & (value >= low - 1e-12) & (value <= high + 1e-12)))
    assert not np.any(estimate.lower > value)
    assert not np.any(estimate.upper < value)
    assert not np.any(np.isnan(value) & (np.isfinite(estimate.lower) | np.isfinite(estimate.upper)))
    assert not np.any(estimate.bound < 0)


@every_metric
def test_no_rows_give_no_number(name, kind):
    """An empty window is undefined (a count is 0), without a warning and without a made-up number."""
    value = METRICS[name].function(whole(kind, 0, 0)).value
    assert np.all(value == 0) if name in COUNTS else np.all(np.isnan(value))


@every_metric
def test_shapes_follow_the_windows(name, kind):
    """Two leading axes stay, and a curve adds one axis as long as its labels."""
    summary = whole(kind, 3, 500)
    grid = stack([stack([summary] * 3)] * 2)
    labels = METRICS[name].labels
    curve = () if labels is None else (len(labels(grid)),)
    assert METRICS[name].function(grid).value.shape == (2, 3, *curve)


@every_metric
def test_enough_rows_are_sufficient(name, kind):
    """Five thousand rows suffice for a verdict on every single number, and twelve do not pass for enough."""
    metric = METRICS[name]
    if metric.labels is None:
        assert metric.function(whole(kind, 5, 5_000)).sufficient.all()
    estimate = metric.function(whole(kind, 5, 12))
    assert estimate.need == "" or not estimate.sufficient.any()


def test_horizons_are_those_of_the_coverage_rule():
    """Label coverage is measured at the last declared horizon."""
    case, rows = rows_of(LabelSummary, 11, 3_000)
    old = rows["age"] >= HORIZONS_H[-1]
    expected = (rows["lag"][old] <= HORIZONS_H[-1]).mean()
    assert METRICS["label_coverage"].function(case.summarise(rows)).value == pytest.approx(expected)
