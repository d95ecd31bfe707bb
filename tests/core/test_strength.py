"""How well a column ranks labels: against scikit-learn and scipy, and without knowing a row's own label."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from mlobs_pipelines.core.strength import class_strength, encoded, number_strength


def test_it_is_the_distance_of_the_auc_from_chance():
    """Twice the distance of the AUC from a half, on either side, ties included."""
    rng = np.random.default_rng(3)
    values, label = np.round(rng.normal(size=400), 1), rng.random(400) < 0.3
    values = values - 0.7 * label
    expected = abs(2 * roc_auc_score(label, values) - 1)
    assert class_strength(values, label) == pytest.approx(expected)
    assert class_strength(np.where(label, np.nan, 1.0), label) == 1
    assert np.isnan(class_strength(values, np.ones(400, dtype=bool)))


def test_numbers_are_ranked_against_numbers():
    """The size of Spearman's correlation."""
    rng = np.random.default_rng(4)
    values = np.round(rng.normal(size=300), 1)
    label = -np.exp(values) + rng.normal(size=300)
    assert number_strength(values, label) == pytest.approx(abs(spearmanr(values, label).statistic))
    assert np.isnan(number_strength(np.ones(5), np.arange(5.0)))


def test_a_category_of_one_row_does_not_know_its_label():
    """Row numbers as categories rank nothing; categories that say something do."""
    rng = np.random.default_rng(5)
    label = (rng.random(4_000) < 0.4).astype(float)
    assert class_strength(encoded(np.arange(4_000), label), label == 1) < 0.05
    codes = np.where(rng.random(4_000) < 0.8, label, 1 - label).astype(np.int64)
    assert class_strength(encoded(codes, label), label == 1) == pytest.approx(0.6, abs=0.05)
