"""The rest of the metric store's rows against scipy, scikit-learn and plain counting on the raw rows."""

import json

import numpy as np
import polars as pl
import pytest

from tests.steps.test_metrics_oracles import (
    CASES,
    SPANS,
    THRESHOLDS,
    close,
    close_or_none,
    part,
    raw,
    read,
    stored,
)

__all__ = ["raw", "stored"]  # fixtures of this module too
ALL = ("", "")
LONG = [span for span in SPANS if span[0] in ("28d", "1mo")]
NUMBERS = ("amount", "balance", "cards", "region_rate", "score")
over_cases = pytest.mark.parametrize(("version", "segment", "span"), CASES)
over_long = pytest.mark.parametrize("span", LONG, ids=lambda span: f"{span[0]} {span[1]}")


def within(row, exact):
    """The exact figure is no further from the stored value than its bound."""
    assert abs(row["value"] - exact) <= row["bound"] * (1 + 1e-9) + 1e-9


@over_cases
def test_decisions_and_throughput_equal_counting(stored, raw, version, segment, span):
    """Selection rate within its bound, specificity exactly, requests per hour of the days that had any."""
    rows, whole = part(raw, version, segment, span), part(raw, version, ALL, span)
    score = rows["score"].drop_nulls().to_numpy()
    within(read(stored, version, segment, span, "selection_rate"), (score >= THRESHOLDS[version]).mean())
    known = rows.drop_nulls(["label", "score"]).filter(pl.col("label") == 0)
    specific = (known["score"].to_numpy() < THRESHOLDS[version]).mean() if known.height else None
    close_or_none(read(stored, version, segment, span, "specificity"), specific)
    hours = 24 * whole["day"].n_unique()
    close(read(stored, version, segment, span, "throughput"), rows.height / hours, rows.height)


@over_cases
def test_ranking_and_recalibration_are_within_their_bounds(stored, raw, version, segment, span):
    """Average precision and the recalibration line of the raw scores lie within the printed bounds."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - heavy
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 - heavy

    rows = part(raw, version, segment, span).drop_nulls(["label", "score"])
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    within(read(stored, version, segment, span, "average_precision"), average_precision_score(label, score))
    with np.errstate(divide="ignore"):
        logit = np.clip(np.log(score) - np.log1p(-score), -16, 16)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000).fit(logit[:, None], label)
    for part_of_line, exact in (("slope", model.coef_[0, 0]), ("intercept", model.intercept_[0])):
        row = read(stored, version, segment, span, f"calibration_{part_of_line}")
        assert abs(row["value"] - exact) <= 1.02 * row["bound"] + 1e-5


@over_long
@pytest.mark.parametrize("feature", NUMBERS)
def test_values_are_within_their_bounds(stored, raw, rows, span, feature):
    """Percentiles, moments, range and Wasserstein distance of numbers lie within the printed bounds."""
    from scipy.stats import wasserstein_distance  # noqa: PLC0415 - heavy

    now, then = (
        frame[feature].drop_nulls().to_numpy().astype(float)
        for frame in (part(raw, "a", ALL, span), rows.training)
    )
    exact = {
        f"value_p{level:02d}": np.quantile(now, level / 100, method="inverted_cdf")
        for level in (1, 5, 25, 50, 75, 95, 99)
    }
    exact |= {"value_mean": now.mean(), "value_std": now.std()}
    exact["out_of_range_share"] = ((now < then.min()) | (now > then.max())).mean()
    exact["wasserstein"] = wasserstein_distance(now, then) / max(then.std(), 0.001)
    for metric, value in exact.items():
        within(read(stored, "a", ALL, span, metric, feature), value)


@over_long
def test_categories_equal_counting(stored, raw, rows, span):
    """Unseen categories and their number are counted, χ² is scipy's over the drift bins."""
    from scipy.stats import chi2_contingency  # noqa: PLC0415 - heavy

    now, then = part(raw, "a", ALL, span)["grade"], rows.training["grade"]
    present = now.drop_nulls()
    unseen = (~present.is_in(then.unique().to_list())).mean()
    close(read(stored, "a", ALL, span, "unseen_share", "grade"), unseen, len(present))
    close(read(stored, "a", ALL, span, "cardinality", "grade"), present.n_unique())
    table = [[(one == name).sum() for name in "ABCD"] + [one.null_count()] for one in (now, then)]
    used = np.array(table)[:, np.sum(table, axis=0) > 0]
    close(read(stored, "a", ALL, span, "chi_square_p", "grade"), chi2_contingency(used).pvalue)


@over_long
def test_parity_equals_the_rates_of_the_groups(stored, raw, span):
    """The parity difference over regions is the largest less the smallest of their selection rates."""
    scored = part(raw, "a", ALL, span).drop_nulls("score")
    rates = scored.group_by("region").agg(n=pl.len(), rate=(pl.col("score") >= 0.5).mean())
    rates = rates.filter(pl.col("n") >= 200)
    key = ("a", *ALL, span[0], span[1], "region", "demographic_parity_difference")
    if rates.height < 2:
        assert key not in stored
        return
    expected = rates["rate"].max() - rates["rate"].min()
    close(read(stored, "a", ALL, span, "demographic_parity_difference", "region"), expected)


def test_details_are_told_of_all_rows_over_long_windows(stored):
    """What only adds detail is not written for every segment and day, unless an objective asks for it."""
    found = {key[:4] for key in stored if key[6] == "wasserstein"}
    assert {(segment, window) for _, segment, _, window in found} == {("", "28d"), ("", "1mo")}


def test_a_judged_psi_says_what_carries_it(stored):
    """Inputs of a judged PSI name its three largest bins and, over all rows, the values of each segment."""
    judged = [row for key, row in stored.items() if key[6] == "psi" and row["verdict"] != "none"]
    assert judged
    for row in judged:
        inputs = json.loads(row["inputs"])
        assert ("bins" in inputs) == (row["value"] is not None)
        if "bins" in inputs:
            parts = [part for _, part in inputs["bins"]]
            assert parts == sorted(parts, reverse=True)
            assert 0 <= sum(parts) <= row["value"] + 1e-5
        if "segments" in inputs:
            assert row["segment"] == ""
            assert {segment for segment, _, _ in inputs["segments"]} == {"region", "employed"}


def test_a_judged_psi_can_be_computed_again_by_hand(stored, raw):
    """Edges and counts in the inputs give the value, and the raw rows fall into the bins as counted."""
    judged = [row for key, row in stored.items() if key[6] == "psi" and row["verdict"] != "none"]
    assert judged
    for row in judged:
        inputs = json.loads(row["inputs"])
        now, before = (np.array(inputs["counts"][name]) for name in ("bins", "baseline_bins"))
        a, e = ((bins + 0.5) / (bins.sum() + 0.5 * bins.size) for bins in (now, before))
        close(row, ((a - e) * np.log(a / e)).sum())
        rows = part(raw, row["model_version"], ALL, (row["window"], row["window_start"], row["window_end"]))
        column = rows[row["feature"]]
        assert inputs["edges"]["baseline"] == row["baseline_id"]
        if "at" in inputs["edges"]:
            present = column.drop_nulls().to_numpy()
            present = present[np.isfinite(present)]
            place = np.searchsorted(inputs["edges"]["at"], present, side="right")
            counted = np.bincount(place, minlength=now.size - 1)
        else:
            names = column.drop_nulls().cast(pl.String).to_list()
            own = [names.count(name) for name in inputs["edges"]["categories"]]
            counted = np.array([*own, len(names) - sum(own)])
        assert now.tolist() == [*counted.tolist(), column.null_count()]


def test_a_judged_auc_says_what_it_was_counted_on(stored, raw):
    """Labelled rows by what was decided, and the reliability bins, stand beside a judged value."""
    for key, row in stored.items():
        if key[6] != "auc" or row["window"] != "7d":
            continue
        counts = json.loads(row["inputs"])["counts"]
        group = (row["segment"], row["segment_value"])
        rows = part(
            raw,
            row["model_version"],
            group,
            (row["window"], row["window_start"], row["window_end"]),
        )
        known = rows.drop_nulls(["label", "score"])
        assert counts["tp"] + counts["fn"] == known.filter(pl.col("label") == 1).height
        assert sum(counts["bin_n"]) == known.height
        assert sum(counts["bin_positives"]) == counts["tp"] + counts["fn"]
