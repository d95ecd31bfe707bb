"""What labels of each source say: against scipy and by hand, with an honest noise point."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import LabelSourceSummary

GAP, P, SHARES = (METRICS[f"label_source_{name}"].function for name in ("gap", "gap_p", "class_share"))


def table(rows, classes=("0", "1")):
    """Labels by source and class of one window."""
    array = np.array(rows)
    names = tuple(f"s{index}" for index in range(array.shape[-2]))
    return LabelSourceSummary(array, names, tuple(classes))


def test_with_two_classes_it_is_the_difference_of_base_rates():
    """Of two sources the difference of their base rates; of three the one that differs most from the rest."""
    assert GAP(table([[800, 200], [700, 300]])).value == pytest.approx(0.1)
    found = GAP(table([[800, 200], [790, 210], [100, 300]]))
    assert found.value == pytest.approx(300 / 400 - 410 / 2000)
    assert found.n == 2400
    assert found.value > found.noise


def test_with_more_classes_it_is_half_the_sum_of_differences():
    """Total variation between a source and all others."""
    found = GAP(table([[500, 300, 200], [300, 300, 400]], "abc"))
    assert found.value == pytest.approx((0.2 + 0 + 0.2) / 2)


def test_a_source_with_few_labels_says_nothing():
    """A rare source that differs is passed over while others can be compared; without any, no verdict."""
    found = GAP(table([[800, 200], [780, 220], [0, 20]]))
    assert found.value == pytest.approx(240 / 1020 - 200 / 1000)
    assert found.sufficient
    assert not GAP(table([[80, 20], [900, 100]])).sufficient
    assert np.isnan(GAP(table([[800, 200], [0, 0]])).value)
    assert np.isnan(P(table([[800, 200], [0, 0]])).value)
    assert np.isnan(GAP(table(np.zeros((0, 2), dtype=int))).value)


def test_the_p_value_is_that_of_the_contingency_table():
    """Pearson's test, as scipy has it."""
    rows = np.array([[801, 199], [760, 240], [140, 61]])
    assert P(table(rows)).value == pytest.approx(chi2_contingency(rows, correction=False).pvalue)
    assert P(table([[50, 0], [70, 0]])).value == 1


@pytest.mark.parametrize("sources", [2, 4])
def test_sources_that_agree_stay_under_the_noise_point(sources):
    """In at most 1.5 of 100 windows whose sources do not differ does the gap pass its noise point."""
    rng = np.random.default_rng(3)
    rows = rng.multinomial(600, [0.6, 0.3, 0.1], size=(2_000, sources))
    found = GAP(table(rows, "abc"))
    assert np.mean(found.value > found.noise) <= 0.015
    assert 0.001 <= np.mean(P(table(rows, "abc")).value < 0.01) <= 0.02


def test_shares_are_told_by_source_and_class():
    """Each source's class shares, named, with the labels of the source."""
    rows = table([[75, 25], [30, 90]])
    found = SHARES(rows)
    assert METRICS["label_source_class_share"].labels(rows) == ["s0: 0", "s0: 1", "s1: 0", "s1: 1"]
    assert found.value.tolist() == [0.75, 0.25, 0.25, 0.75]
    assert found.n.tolist() == [100, 100, 120, 120]
