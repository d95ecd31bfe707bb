"""Weights of rows from the scan to the metrics: as if the rows were there, and as sure as the rows seen."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.engine import cells, features
from mlobs_pipelines.engine.cells import WEIGHT
from mlobs_pipelines.engine.scan import FeaturePlan, ScanPlan, scan_training
from mlobs_pipelines.store.content import content_hash
from tests.engine.weighted_days import baseline_of, calendar, counts_of, estimates, requests, scan

DAYS = calendar(4)
BY_ROWS_SEEN = ("chi_square_p", "cramers_v")  # a test and a correction for few rows follow the rows seen
ORDER = [(name, "ascending") for name in (*cells.GROUP_COLUMNS, "subject", "part")]


@pytest.fixture(scope="module")
def drawn():
    """Four days of requests, and whole weights; on the last day every weight is 1."""
    rng = np.random.default_rng(5)
    table, _, _ = requests(rng, 4, 400)
    weights = rng.choice([1, 2, 5], 1600)
    weights[1200:] = 1
    return table, weights


@pytest.fixture(scope="module")
def baseline():
    """A training set of three thousand rows."""
    return baseline_of(requests(np.random.default_rng(6), 1, 3_000)[0])


def with_weights(table, weights):
    """The rows with their weights."""
    return table.append_column(WEIGHT, pa.array(np.asarray(weights, float)))


@pytest.mark.parametrize(("window", "length"), [(Window.DAY, 1), (Window.WEEK, 3)])
def test_a_row_of_weight_k_counts_as_k_rows(drawn, baseline, window, length):
    """Every value equals that of the repeated rows, counts to the bit; n is the number of rows seen."""
    table, weights = drawn
    repeated = table.take(pa.array(np.repeat(np.arange(1600), weights)))
    found, expected, plain = (
        estimates(counts_of(rows, DAYS, window, length), baseline)
        for rows in (with_weights(table, weights), repeated, table)
    )
    assert set(found) == set(expected)
    for key, estimate in found.items():
        if key[1] in BY_ROWS_SEEN:
            continue
        np.testing.assert_allclose(estimate.value, expected[key].value, rtol=1e-11, err_msg=str(key))
        np.testing.assert_array_equal(estimate.n, plain[key].n, err_msg=str(key))
    for key in (("requests", "request_count"), ("requests", "error_share"), ("scores", "auc"), ("x", "psi")):
        np.testing.assert_array_equal(found[key].value, expected[key].value, err_msg=str(key))


def test_a_window_without_weights_is_to_the_bit_what_it_was(drawn, baseline):
    """The last day's estimates do not change for the weights of the days before it."""
    table, weights = drawn
    found = estimates(counts_of(with_weights(table, weights), DAYS), baseline)
    plain = estimates(counts_of(table, DAYS), baseline)
    for key, estimate in found.items():
        for field in ("value", "n", "lower", "upper", "bound", "noise", "sufficient"):
            ends = (np.ravel(getattr(e, field))[-1] for e in (estimate, plain[key]))
            np.testing.assert_array_equal(*ends, err_msg=str((key, field)))


def test_weights_of_one_are_not_stored(drawn):
    """With weights of 1, or none given, the stored statistics are to the byte those without weights."""
    table, _ = drawn
    ones = table.append_column(WEIGHT, pa.array([1.0, None] * 800))
    assert content_hash(scan(ones)) == content_hash(scan(table))


def test_weights_leave_the_plain_statistics_as_they_are(drawn):
    """What was seen is stored as ever; what weights add stands in rows of its own."""
    table, weights = drawn
    stored = scan(with_weights(table, weights)).sort_by(ORDER)
    signs = pc.match_substring(stored.column("part"), ":")
    assert stored.filter(pc.invert(signs)).equals(scan(table).sort_by(ORDER))
    assert str(DAYS[3]) not in stored.filter(signs).column("day").to_pylist()


def test_weighted_days_at_once_equal_days_one_by_one(drawn):
    """A scan of four days holds byte for byte what four scans of one day hold, weighted days among them."""
    rows = with_weights(*drawn)
    single = [scan(rows.filter(pc.equal(rows["day"], str(day)))) for day in DAYS]
    assert content_hash(pa.concat_tables(single).sort_by(ORDER)) == content_hash(scan(rows).sort_by(ORDER))


def test_rare_categories_are_folded_with_their_weights(monkeypatch):
    """What is folded into the rest takes its weight along, and what stays keeps its own."""
    monkeypatch.setattr(features, "MAX_CATEGORIES", 1)
    columns = {"day": ["1"] * 5, "model_version": ["v"] * 5, "role": ["r"] * 5, "score": [0.5] * 5}
    columns |= {WEIGHT: [1.0, 2.0, 5.0, 5.0, 3.0], "c": ["a", "a", "b", "c", None]}
    found = scan_training(pa.table(columns), ScanPlan((FeaturePlan("c", None),), (), {})).to_pylist()
    plain, extra = (row for row in found if row["part"].startswith("categories"))
    assert (plain["names"], plain["counts"], plain["sums"]) == (["a", cells.OTHER], [2, 2], None)
    assert (extra["part"], extra["names"], extra["counts"]) == ("categories:w", ["a", cells.OTHER], [2, 2])
    assert (extra["sums"], extra["squares"]) == ([1.0, 8.0], [3.0, 48.0])


@pytest.mark.parametrize("wrong", [0.5, 0.0, -2.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused_without_being_quoted(drawn, wrong):
    """A weight under 1 or not finite stops the scan with how many there are, not with the weight."""
    table, _ = drawn
    rows = with_weights(table, [wrong] + [1.0] * 1599)
    with pytest.raises(ValueError, match="column sample_weight: 1 of 1,600 rows hold no finite number of at"):
        scan(rows)
