"""Sampling: the same choice everywhere, and weights that leave every total unbiased."""

import hashlib
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.samplings import Sampling
from mlobs_pipelines.steps.sampling import WEIGHT, sample, uniform

RATES = {"JFK": 0.3, "EWR": 0.05, "LGA": 1.0}
RULE = {
    "rate": 0.3,
    "keep": {"status": ["error", "timeout"], "segments": {"origin": ["LGA"]}},
    "rates": {"origin": {"EWR": 0.05}},
}


def population(rows: int) -> pl.DataFrame:
    """Predictions of three airports, some of them errors, with a score that hangs on both."""
    draw = np.random.default_rng(7)
    origin, status = draw.choice(list(RATES), rows), draw.choice(["ok", "error"], rows, p=[0.95, 0.05])
    score = draw.beta(2, 5, rows) + (origin == "EWR") * 0.5 + (status == "error")
    return pl.DataFrame(
        {
            "prediction_id": [f"p{number}" for number in range(rows)],
            "correlation_id": [f"c{number}" for number in range(rows)],
            "status": status,
            "origin": origin,
            "score": score,
        }
    )


def ids(frame: pl.DataFrame) -> set[str]:
    """The prediction ids of a frame."""
    return set(frame["prediction_id"])


def test_the_choice_can_be_repeated_by_any_tool():
    """SHA-256 of seed, NUL and correlation id; its first 53 bits as a fraction; null comes first."""
    found = uniform(pl.Series(["c1", None, "ü"]), "spring")
    digests = [hashlib.sha256(b"spring\0" + text.encode()).hexdigest() for text in ("c1", "ü")]
    wanted = [(int(digest[:16], 16) >> 11) / 2**53 for digest in digests]
    assert found.tolist() == [wanted[0], 0.0, wanted[1]]
    assert uniform(pl.Series(["c1"]), "").tolist() == [0.1838739951966446]
    assert len(uniform(pl.Series([], dtype=pl.String), "")) == 0


def test_exceptions_are_always_kept_and_weigh_one():
    """Errors, rare segments and labelled rows are all there; others stand for one over their rate."""
    frame = population(3_000)
    rule = Sampling(**RULE | {"keep": RULE["keep"] | {"labelled": True}})
    labelled = frame["prediction_id"].gather_every(10)
    kept, left_out = sample(frame, rule, labelled)
    always = (
        frame["status"].is_in(["error"])
        | (frame["origin"] == "LGA")
        | frame["prediction_id"].is_in(labelled.implode())
    )
    assert ids(frame.filter(always)) <= ids(kept)
    weights = kept.join(
        frame.with_columns(always=always).select("prediction_id", "always"), on="prediction_id"
    )
    assert set(weights.filter("always")[WEIGHT]) == {1.0}
    sampled = weights.filter(~pl.col("always"))
    assert set(sampled.select("origin", WEIGHT).unique().rows()) == {("JFK", 1 / 0.3), ("EWR", 20.0)}
    assert left_out.columns == frame.columns
    assert kept.columns == [*frame.columns, WEIGHT]


def test_labelled_rows_are_sampled_where_the_rule_does_not_keep_them():
    """What is known of labels matters only if the monitor says so."""
    frame = population(200)
    assert sample(frame, Sampling(rate=0.1), frame["prediction_id"])[0].equals(
        sample(frame, Sampling(rate=0.1))[0]
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 400), max_size=6), st.randoms(use_true_random=False))
def test_the_choice_does_not_hang_on_how_rows_are_delivered(cuts, random):
    """Cut into frames of any size, in any order, the same rows are kept with the same weights."""
    frame, rule = population(400), Sampling(**RULE)
    kept, left_out = sample(frame, rule)
    edges = [0, *sorted(cuts), 400]
    pieces = [frame[start:end] for start, end in pairwise(edges)]
    random.shuffle(pieces)
    parts = [sample(piece, rule) for piece in pieces]
    assert pl.concat([part[0] for part in parts]).sort("prediction_id").equals(kept.sort("prediction_id"))
    assert sum(part[1].height for part in parts) == left_out.height == 400 - kept.height


def test_all_versions_of_one_request_share_one_choice():
    """A comparison of versions is made on the same requests."""
    frame = population(1_000)
    shadow = frame.with_columns(score=pl.col("score") * 2)
    assert ids(sample(frame, Sampling(rate=0.2))[0]) == ids(sample(shadow, Sampling(rate=0.2))[0])


@settings(deadline=None, max_examples=30)
@given(st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_lower_rate_keeps_part_of_what_a_higher_one_keeps(one, other):
    """Raising the rate adds rows and takes none away."""
    frame = population(300)
    small, large = (sample(frame, Sampling(rate=rate))[0] for rate in sorted([one, other]))
    assert ids(small) <= ids(large)


def test_another_seed_is_another_sample_of_the_same_size():
    """Seeds are independent: two samples of a half share a quarter of the rows."""
    frame = population(4_000)
    one, two = (ids(sample(frame, Sampling(rate=0.5, seed=seed))[0]) for seed in ("a", "b"))
    assert len(one & two) == pytest.approx(1000, abs=3 * np.sqrt(4000 * 0.25 * 0.75))


def test_weighted_totals_are_unbiased():
    """Horvitz-Thompson totals of rows and scores: their mean over seeds lies within 3 SE of the truth."""
    frame = population(600)
    wanted = _totals(frame.with_columns(pl.lit(1.0).alias(WEIGHT)))
    found = np.array([_totals(sample(frame, Sampling(**RULE, seed=str(seed)))[0]) for seed in range(400)])
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - wanted) <= 3 * error + 1e-9).all()
    unweighted = [sample(frame, Sampling(**RULE, seed=str(seed)))[0]["score"].mean() for seed in range(20)]
    assert abs(np.mean(unweighted) - frame["score"].mean()) > 0.05


def _totals(frame: pl.DataFrame) -> list[float]:
    score = pl.col("score") * pl.col(WEIGHT)
    by_origin = [score.filter(pl.col("origin") == origin).sum().alias(origin) for origin in RATES]
    return list(frame.select(pl.col(WEIGHT).sum(), score.sum(), *by_origin).row(0))


def test_the_rate_is_met_in_expectation():
    """The share kept of 200,000 ids lies within 3 SE of each rate."""
    numbers = uniform(pl.Series([f"id-{number}" for number in range(200_000)]), "x")
    for rate in (0.001, 0.05, 0.5, 0.99):
        assert (numbers < rate).mean() == pytest.approx(rate, abs=3 * np.sqrt(rate * (1 - rate) / 200_000))
    assert (numbers < 1).all()


def test_a_row_without_a_correlation_id_is_kept():
    """It belongs to no request that could be left out; the empty text is no id either."""
    frame = population(3).with_columns(correlation_id=pl.Series([None, "", "c1"]))
    kept, left_out = sample(frame, Sampling(rate=0.001))
    assert kept.select("prediction_id", WEIGHT).rows() == [("p0", 1.0), ("p1", 1.0)]
    assert ids(left_out) == {"p2"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([1.0, 2.0], "1"),
        ([1, 2], 1),
        ([1, 2], "1"),
        ([True, False], True),
        (["1", "2"], 1),
        (["x", None], "x"),
    ],
)
def test_values_are_compared_whatever_the_type_of_the_column(values, named):
    """A document's 1 is a column's 1.0; what is null is never the value that is named."""
    frame = population(2).with_columns(origin=pl.Series(values))
    kept, _ = sample(frame, Sampling(rate=1e-9, keep={"segments": {"origin": [named]}}))
    assert ids(kept) == {"p0"}


def test_the_highest_of_several_rates_holds():
    """A row that two rates are declared for is kept with the higher one, and weighs accordingly."""
    rule = Sampling(rate=1e-9, rates={"origin": {"EWR": 0.5}, "status": {"ok": 1}})
    frame = population(500)
    kept, _ = sample(frame, rule)
    assert set(kept.filter(pl.col("status") == "ok")[WEIGHT]) == {1.0}
    assert set(kept.filter(pl.col("status") != "ok").select("origin", WEIGHT).rows()) == {("EWR", 2.0)}


def test_no_rows_are_no_problem():
    """An empty frame is divided into two."""
    kept, left_out = sample(population(3).head(0), Sampling(**RULE))
    assert (kept.height, left_out.height, kept.schema[WEIGHT]) == (0, 0, pl.Float64)
