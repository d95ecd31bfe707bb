"""Rows that stand for more rows than themselves: the values of those rows, without their certainty."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.drift import psi_noise, weighted_psi_noise
from mlobs_pipelines.core.metrics.estimates import effective, share_size
from mlobs_pipelines.core.metrics.label_lag import kaplan_meier
from mlobs_pipelines.core.summaries import OperationSummary
from mlobs_pipelines.core.verdicts import Rule, judge
from tests.core.cases import CASES, stack, summarise_weighted
from tests.core.test_all_metrics import (
    FIELDS,
    FORMS,
    every_form,
    every_metric,
    limits_of,
    over_rows,
    take,
    whole,
)

COUNTED = ("row_count", "request_count", "label_backlog", "paired_count")
POINT = ("value", "bound")
# Their value says how sure one may be, so weights take something off: it is not that of the rows repeated.
SURENESS = (
    "chi_square_p",
    "cramers_v",
    "drift_q",
    "drifted_share",
    "drifted_importance",
    "delong_p",
    "label_lag_gap_p",
    "label_source_gap_p",
    "mcnemar_p",
)
GAPS = (
    "demographic_parity_difference",
    "equalised_odds_difference",
    "label_source_gap",
)  # over groups with enough rows


@lru_cache(maxsize=1024)
def drawn(kind, seed, n):
    """A case, its rows, and whole weights of which a half are 1."""
    rng = np.random.default_rng(seed)
    case = CASES[kind]
    return case, case.draw(rng, n), rng.choice([1, 1, 1, 3, 3, 11], n)


@lru_cache(maxsize=1024)
def heavy(kind, seed, n):
    """The summary of weighted rows, made once for all metrics that take it."""
    return summarise_weighted(*drawn(kind, seed, n))


@lru_cache(maxsize=1024)
def even(kind, seed, n, weight):
    """The summary of the same rows, all of one weight."""
    case, rows, _ = drawn(kind, seed, n)
    return summarise_weighted(case, rows, np.full(n, weight))


@lru_cache(maxsize=64)
def repeated_rows(kind, seed, n):
    """The summary of the same rows, each as often as its weight says."""
    case, rows, weights = drawn(kind, seed, n)
    return case.summarise(take(rows, np.repeat(np.arange(n), weights)))


@lru_cache(maxsize=1024)
def parts_of(kind, seed, n):
    """Summaries of the weighted rows, split at random, and their sum."""
    case, rows, weights = drawn(kind, seed, n)
    part = np.random.default_rng(seed).integers(0, 3, n)
    return stack(
        [summarise_weighted(case, take(rows, part == i), weights[part == i]) for i in range(3)]
    ).total()


@lru_cache(maxsize=1024)
def beside(kind, seed, n):
    """A weighted window, one of the same rows without weights, and both together."""
    plain = whole(kind, seed, n)
    both = [heavy(kind, seed, n), replace(plain, once=plain, twice=plain)]
    return [stack([both[0]]), stack([plain])], stack(both)


@every_form([form for form in FORMS if form[0] not in {*SURENESS, *GAPS}])
def test_rows_count_as_often_as_their_weight_says(name, kind):
    """A value is that of the rows repeated, n that of the rows seen, and the interval is not narrower."""
    found = METRICS[name].function(heavy(kind, 1, 900))
    plain = METRICS[name].function(whole(kind, 1, 900))
    repeated = METRICS[name].function(repeated_rows(kind, 1, 900))
    for field in POINT:
        np.testing.assert_array_equal(getattr(found, field), getattr(repeated, field), err_msg=field)
    np.testing.assert_array_equal(found.n, plain.n)
    if METRICS[name].labels is None and name not in COUNTED:
        assert not found.upper - found.lower < repeated.upper - repeated.lower
        assert not found.noise < repeated.noise
        assert not found.effective > plain.n


@every_form([form for form in FORMS if form[0] in {*SURENESS, *GAPS}])
def test_equal_weights_make_nothing_surer(name, kind):
    """With every row of weight seven, a p-value and an effect less chance are those of the rows seen."""
    found = METRICS[name].function(even(kind, 1, 2_000, 7))
    plain = METRICS[name].function(whole(kind, 1, 2_000))
    # PSI's half a row per bin weighs less against weighted rows.
    away = 0.01 if name == "drift_q" else 1e-12
    np.testing.assert_allclose(found.value, plain.value, rtol=1e-9, atol=away)
    np.testing.assert_array_equal(found.sufficient, plain.sufficient)


@every_metric
@over_rows
def test_weights_of_one_change_no_bit(name, kind, seed, n):
    """Where every weight is 1 an estimate is to the bit what it is without weights."""
    plain = METRICS[name].function(whole(kind, seed, n))
    found = METRICS[name].function(even(kind, seed, n, 1))
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(found, field), getattr(plain, field), err_msg=field)


@every_metric
@over_rows
def test_a_window_does_not_feel_the_weights_beside_it(name, kind, seed, n):
    """A window's estimate is the same to the bit whether or not the windows beside it are weighted."""
    apart, both = beside(kind, seed, n)
    together = METRICS[name].function(both)
    for index, summary in enumerate(apart):
        alone = METRICS[name].function(summary)
        for field in FIELDS:
            found = getattr(together, field)[index]
            np.testing.assert_array_equal(found, getattr(alone, field)[0], err_msg=field)


@every_metric
@over_rows
def test_weighted_parts_merge_to_the_whole(name, kind, seed, n):
    """The sum of weighted summaries of any split of rows gives the metric of all rows."""
    merged = METRICS[name].function(parts_of(kind, seed, n))
    all_rows = METRICS[name].function(heavy(kind, seed, n))
    for field in FIELDS:
        one, other = getattr(merged, field), getattr(all_rows, field)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9, err_msg=field)


@every_metric
@over_rows
def test_weighted_values_stay_in_range_and_inside_their_interval(name, kind, seed, n):
    """A weighted value is NaN or within the metric's limits, and never outside its own interval."""
    found = METRICS[name].function(heavy(kind, seed, n))
    low, high = limits_of(name, kind)
    inside = np.isfinite(found.value) & (found.value >= low - 1e-12) & (found.value <= high + 1e-12)
    assert np.all(np.isnan(found.value) | inside)
    assert not np.any((found.lower > found.value) | (found.upper < found.value))
    assert not np.any(found.effective > found.n * (1 + 1e-12))


def test_equal_weights_are_worth_the_rows_seen():
    """A thousand rows of weight ten are worth a thousand rows, whatever is measured on them."""
    assert effective(10_000, 100_000) == 1_000
    assert share_size(np.array(0.3), 10_000, 30_000, 100_000) == pytest.approx(1_000)
    bins = np.array([400, 350, 250])
    found = weighted_psi_noise(bins * 10, bins * 100, np.array([4_000, 3_500, 2_500]))
    assert found == pytest.approx(psi_noise(np.int64(1_000), 10_000, 3))


def test_weighted_kaplan_meier_agrees_with_greenwood():
    """With equal weights the influence of the rows gives Greenwood's error of the rows seen."""
    rng = np.random.default_rng(3)
    arrived, pending = rng.integers(0, 40, 30), rng.integers(0, 15, 30)
    share, error = kaplan_meier(arrived * 4, pending * 4, (arrived * 16, pending * 16))
    plain, greenwood = kaplan_meier(arrived, pending)
    assert share == pytest.approx(plain)
    assert error == pytest.approx(greenwood, nan_ok=True)


def test_too_few_rows_are_said_with_what_they_are_worth():
    """Three hundred rows of which a few carry most of the weight are too few, and the sentence says why."""
    case, rows, _ = drawn(OperationSummary, 2, 300)
    weights = np.where(np.arange(300) < 20, 40, 1)
    found = METRICS["error_share"].function(summarise_weighted(case, rows, weights))
    (verdict,), (reason,) = (np.atleast_1d(said) for said in judge(found, Rule(fail_above=0.001)))
    assert verdict == "undecided"
    assert reason == "300 rows (worth 36 unweighted) are too few for a verdict: it takes at least 200 rows"


def test_estimated_totals_carry_the_sampling_error():
    """Where every tenth request was kept, their estimated number has an interval; where all were, none."""
    case, rows, _ = drawn(OperationSummary, 4, 1_000)
    found = METRICS["request_count"].function(summarise_weighted(case, rows, np.full(1_000, 10)))
    assert (found.value, found.n) == (10_000, 1_000)
    assert (found.lower, found.upper) == pytest.approx((10_000 - 588, 10_000 + 605), abs=1)
    assert np.isnan(METRICS["request_count"].function(case.summarise(rows)).lower)
