"""Labels that stand for those still to come: by brute force over rows, and honest about what they know."""

import numpy as np
import pytest

from mlobs_pipelines.core.arrival import DIRECTIONS, LEAST_LABELS, arrived_share, standing
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import CorrectedSummary
from tests.core.cases import score_summary, stack

UNITS = 20


def cohort(rng, labels=400):
    """Lags by label, decision and unit, the later the greater both codes are."""
    lags = [[rng.gamma(2, 1 + label + 2 * said, labels) for said in (0, 1)] for label in (0, 1)]
    return np.array([[np.bincount(_units(lag), minlength=UNITS + 1) for lag in some] for some in lags])


def _units(lag):
    return np.minimum(np.ceil(lag), UNITS).astype(int)


def flat(array):
    """Label and decision as one stratum."""
    return array.reshape(4, *array.shape[2:])


def test_each_label_stands_for_one_over_its_chance():
    """The weights of a day are means of 1 ÷ p over its labels, looked up row by row."""
    rng = np.random.default_rng(1)
    lags = cohort(rng)
    share, labels = arrived_share(lags, lags)
    rows = [(rng.integers(0, 3), rng.integers(0, 4), rng.integers(6, UNITS + 1)) for _ in range(500)]
    known = np.zeros((3, 4, UNITS + 1), dtype=int)
    stands = np.zeros((2, 3, 4))
    for day, stratum, age in rows:
        known[day, stratum, age] += 1
        own = flat(lags)[stratum]
        ends = own[: age + 1].sum() / own.sum(), own[: age + 2].sum() / own.sum()
        chance = 1.0 if age == UNITS else sum(ends) / 2
        stands[:, day, stratum] += 1 / chance, 1 / chance**2
    found = standing(known, known, np.zeros((3, UNITS + 1)), flat(share), flat(labels))
    assert found.used.all()
    np.testing.assert_allclose(found.weight, stands[0] / known.sum(axis=-1), rtol=1e-6)
    np.testing.assert_allclose(found.squared, stands[1] / known.sum(axis=-1), rtol=1e-6)


def test_directions_tell_the_error_of_the_curve():
    """Over two days, what the directions move adds up to the covariance of an empirical distribution."""
    rng = np.random.default_rng(2)
    share, labels = (flat(array) for array in arrived_share(*[cohort(rng)] * 2))
    known = rng.integers(0, 9, (2, 4, UNITS + 1)) * (np.arange(UNITS + 1) > 7)
    found = standing(known, known, np.zeros((2, UNITS + 1)), share, labels)
    for stratum in range(4):
        p, n = share[stratum], labels[stratum]
        covariance = np.minimum.outer(p, p) * (1 - np.maximum.outer(p, p)) / n
        by_day = known[:, stratum] / p**2
        mine = slice(stratum * DIRECTIONS, (stratum + 1) * DIRECTIONS)
        moved = found.shifts[mine, :, stratum] * known[:, stratum].sum(axis=-1)
        np.testing.assert_allclose(moved.T @ moved, by_day @ covariance @ by_day.T, rtol=1e-3)
        others = np.delete(found.shifts[mine], stratum, axis=-1)
        assert not others.any()


def test_old_labels_stand_for_themselves_and_young_days_are_left_out():
    """From the horizon on a weight is 1 without any cohort; a day with a prediction too young is left out."""
    nothing = np.zeros((2, 2, UNITS + 1))
    share, labels = (flat(array) for array in arrived_share(nothing, nothing))
    known = np.zeros((3, 4, UNITS + 1), dtype=int)
    known[:2, :, -1], known[2, :, 10] = 5, 5
    waiting = np.zeros((3, UNITS + 1))
    waiting[1, 0] = 1
    found = standing(known, known, waiting, share, labels)
    assert found.used.tolist() == [True, False, False]
    assert found.weight.tolist() == [[1.0] * 4, [0.0] * 4, [0.0] * 4]
    assert not found.shifts.any()


def test_a_rare_decision_has_the_curve_of_its_label():
    """Too few labels of one decision share the curve of both; too few of a label leave no curve at all."""
    lags = cohort(np.random.default_rng(3), LEAST_LABELS)
    lags[1, 1] //= 2
    share, _ = arrived_share(lags, lags)
    both = np.cumsum(lags[1].sum(axis=0)) / lags[1].sum()
    np.testing.assert_allclose(share[1, 1, :-1], (both[1:] + both[:-1]) / 2)
    assert not np.array_equal(share[0, 0], share[0, 1])
    lags[1] //= 4
    assert (arrived_share(lags, lags)[0][..., :-1] == 0).all()


def corrected(rng, curve, rows):
    """A window of half positives, whose labels take as long as those of a cohort drawn like them."""
    share, labels = (flat(array) for array in arrived_share(*[curve] * 2))
    age = rng.integers(4, UNITS + 1, rows) + rng.random(rows)
    label = rng.random(rows) < 0.5
    lag = rng.gamma(2, 1 + 3 * label)
    here = np.minimum(lag, UNITS) <= age
    known = np.zeros((1, 4, UNITS + 1), dtype=int)
    np.add.at(known[0], (3 * label[here], np.minimum(age[here].astype(int), UNITS)), 1)
    stands = standing(known, known, np.zeros((1, UNITS + 1)), share, labels)
    parts = []
    for stratum in (0, 3):
        n = known[0, stratum].sum()
        one = score_summary(np.full(n, 0.1 + 0.8 * (stratum == 3)), np.full(n, float(stratum == 3)))
        shifts = one.select(
            lambda r, s=stratum: np.stack([np.asarray(r) * w for w in stands.shifts[:, 0, s]])
        )
        by = [stands.weight[0, stratum], stands.squared[0, stratum]]
        parts.append(CorrectedSummary(one, *(one.select(lambda r, w=w: r * w) for w in by), shifts))
    return METRICS["corrected_base_rate"].function(stack(parts).total())


@pytest.mark.parametrize("labels", [60, 2_000])
def test_the_interval_holds_the_truth(labels):
    """In 95 % of windows the true base rate is inside, with few labels behind the curve and with many."""
    rng, inside, windows = np.random.default_rng(5), 0, 200
    for _ in range(windows):
        found = corrected(rng, cohort(rng, labels), 400)
        inside += bool(found.lower <= 0.5 <= found.upper)
    assert 0.91 <= inside / windows <= 0.985
