"""Rows of the metric store against scikit-learn, scipy and plain counting on the raw rows."""

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from mlobs_pipelines.core.buckets import bucket_codes
from mlobs_pipelines.steps.bins import load_baselines
from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps import loans

THRESHOLDS = {"a": 0.5, "b": 0.3}
SEGMENTS = [("", ""), ("region", "north"), ("region", "__null__"), ("employed", "false")]
FEB, MARCH = date(2024, 2, 1), date(2024, 3, 1)
SPANS = [
    ("1d", date(2024, 2, 27), date(2024, 2, 28)),
    ("7d", date(2024, 2, 25), date(2024, 3, 3)),
    ("28d", date(2024, 2, 6), date(2024, 3, 5)),
    ("1mo", FEB, MARCH),
    ("1mo", MARCH, date(2024, 4, 1)),
]
CASES = [(v, s, w) for v in ("a", "b") for s in SEGMENTS for w in SPANS if v == "a" or w[2] > MARCH]


@pytest.fixture(scope="module")
def stored(scored):
    """Every metric row, by what it is about."""
    rows = MetricStore(scored.lake).query(scored.model).to_pylist()
    keys = ("model_version", "segment", "segment_value", "window", "window_start", "feature", "metric")
    return {tuple(row[key] for key in keys): row for row in rows}


@pytest.fixture(scope="module")
def raw(rows):
    """Raw predictions with the label known as of the run, joined the plain way."""
    known = rows.labels.filter(pl.col("arrived_at") <= loans.AS_OF).sort("arrived_at", "revision")
    label = known.group_by("prediction_id", maintain_order=True).agg(
        label=pl.col("label").last(), outcome=pl.col("outcome").last(), first=pl.col("arrived_at").first()
    )
    return rows.predictions.join(label, on="prediction_id", how="left").with_columns(
        day=pl.col("predicted_at").dt.date(), employed_text=pl.col("employed").cast(pl.String)
    )


def part(raw, version, segment, span):
    """Raw rows of one version, segment and window that were asked by the run's time."""
    name, value = segment
    rows = raw.filter(pl.col("model_version") == version, pl.col("day") >= span[1], pl.col("day") < span[2])
    if name:
        column = pl.col("employed_text" if name == "employed" else name).fill_null("__null__")
        rows = rows.filter(column == value)
    return rows.filter(pl.col("predicted_at") <= loans.AS_OF)


def read(stored, version, segment, span, metric, feature=""):
    """One row of the store."""
    return stored[(version, *segment, span[0], span[1], feature, metric)]


def close(row, expected, n=None):
    """The value is that expected, to rounding, and rests on so many rows."""
    assert row["value"] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)
    assert n is None or row["n"] == n


@pytest.mark.parametrize(("version", "segment", "span"), CASES)
def test_quality_equals_scikit_learn(stored, raw, version, segment, span):
    """Exact metrics agree to 1e-9 and AUC within its printed bound, per version, segment and window."""
    from sklearn import metrics as sk  # noqa: PLC0415 - heavy

    rows = part(raw, version, segment, span).drop_nulls(["label", "score"])
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    said = score >= THRESHOLDS[version]
    expected = {
        "base_rate": label.mean(),
        "mean_score": score.mean(),
        "log_loss": sk.log_loss(label, score, labels=[0, 1]),
        "brier_score": sk.brier_score_loss(label, score),
        "accuracy": sk.accuracy_score(label, said),
    }
    for metric, value in expected.items():
        close(read(stored, version, segment, span, metric), value, rows.height)
    confusion = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    for metric, function in confusion.items():
        value = function(label, said, zero_division=np.nan)
        close_or_none(read(stored, version, segment, span, metric), None if np.isnan(value) else value)
    auc = read(stored, version, segment, span, "auc")
    assert abs(auc["value"] - sk.roc_auc_score(label, score)) <= auc["bound"] + 1e-12
    assert auc["lower"] <= auc["value"] <= auc["upper"]


@pytest.mark.parametrize(("version", "segment", "span"), CASES)
def test_calibration_equals_plain_binning(stored, raw, version, segment, span):
    """ECE and MCE are those of fifteen equal-width bins, and Murphy's parts add up to the Brier score."""
    rows = part(raw, version, segment, span).drop_nulls(["label", "score"])
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    place = np.minimum((score * 15).astype(int), 14)
    gaps = [(np.sum(place == b), np.mean((score - label)[place == b])) for b in np.unique(place)]
    close(read(stored, version, segment, span, "ece"), sum(n * abs(g) for n, g in gaps) / rows.height)
    close(read(stored, version, segment, span, "mce"), max(abs(g) for _, g in gaps))
    parts = ("brier_reliability", "brier_resolution", "brier_uncertainty", "brier_residual", "brier_score")
    rel, res, unc, rest, brier = (read(stored, version, segment, span, name)["value"] for name in parts)
    assert rel - res + unc + rest == pytest.approx(brier, abs=1e-12)


@pytest.mark.parametrize(("version", "segment", "span"), CASES)
def test_volume_and_operations_equal_counting(stored, raw, version, segment, span):
    """Rows, requests, errors and missing values are counted exactly; latency lies within its bound."""
    rows = part(raw, version, segment, span)
    scored = part(raw, version, segment, span)["score"].is_not_null().sum()
    close(read(stored, version, segment, span, "request_count"), rows.height, rows.height)
    close(read(stored, version, segment, span, "row_count"), scored)
    close(read(stored, version, segment, span, "error_share"), (rows["status"] != "ok").mean(), rows.height)
    for feature in ("amount", "balance", "employed", "grade", "region_rate"):
        close(read(stored, version, segment, span, "null_share", feature), rows[feature].is_null().mean())
    for metric, level in (("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99)):
        row = read(stored, version, segment, span, metric)
        exact = np.quantile(rows["latency_ms"].to_numpy(), level, method="inverted_cdf")
        assert abs(row["value"] - exact) <= row["bound"]


@pytest.mark.parametrize(("version", "segment", "span"), CASES)
def test_ks_is_within_its_bound_of_scipy(stored, raw, rows, version, segment, span):
    """The two-sample distance of every numeric feature and of the score is scipy's, within the bound."""
    from scipy.stats import ks_2samp  # noqa: PLC0415 - heavy

    window, name = part(raw, version, segment, span), segment[0]
    base = rows.training
    if name:
        base = base.filter(pl.col(name).cast(pl.String).fill_null("__null__") == segment[1])
    for feature in ("amount", "balance", "cards", "region_rate", "score"):
        here = part(raw, version, segment, span) if feature == "score" else window
        row = read(stored, version, segment, span, "ks", feature)
        now, then = (frame[feature].drop_nulls().to_numpy() for frame in (here, base))
        if not (now.size and then.size):
            assert row["value"] is None
            continue
        assert abs(row["value"] - ks_2samp(now, then).statistic) <= row["bound"] + 1e-12
        assert row["n"] == now.size


@pytest.mark.parametrize("span", SPANS, ids=lambda span: span[0])
@pytest.mark.parametrize("feature", ["amount", "balance", "cards"])
def test_psi_equals_the_formula_on_the_same_bins(stored, raw, rows, scored, span, feature):
    """PSI is the textbook sum over the stored edges, with the NULL bin and half a row per bin."""
    binned = load_baselines(scored)["a"].features[feature]

    def counts(frame):
        present = frame[feature].drop_nulls().to_numpy().astype(float)
        codes = bucket_codes(present, binned.grid.location, binned.grid.scale)
        bins = np.searchsorted(binned.edges, codes, side="right")
        return np.append(np.bincount(bins, minlength=binned.edges.size + 1), frame[feature].null_count())

    now, then = counts(part(raw, "a", ("", ""), span)), counts(rows.training)
    actual, expected = ((c + 0.5) / (c.sum() + 0.5 * c.size) for c in (now, then))
    psi = np.sum((actual - expected) * np.log(actual / expected))
    close(read(stored, "a", ("", ""), span, "psi", feature), psi, now.sum())


@pytest.mark.parametrize("span", SPANS, ids=lambda span: span[0])
def test_psi_of_categories_counts_the_unseen_as_other(stored, raw, rows, span):
    """A category that training never had falls into OTHER, a missing one into NULL."""
    names = ["A", "B", "C"]

    def counts(frame):
        own = [int((frame["grade"] == name).sum()) for name in names]
        other = frame["grade"].drop_nulls().is_in(names).not_().sum()
        return np.array([*own, other, frame["grade"].null_count()])

    now, then = counts(part(raw, "a", ("", ""), span)), counts(rows.training)
    assert now[3] > 0
    actual, expected = ((c + 0.5) / (c.sum() + 0.5 * c.size) for c in (now, then))
    psi = np.sum((actual - expected) * np.log(actual / expected))
    close(read(stored, "a", ("", ""), span, "psi", "grade"), psi, now.sum())


@pytest.mark.parametrize(("version", "segment", "span"), CASES)
def test_label_lag_equals_scipys_kaplan_meier(stored, raw, version, segment, span):
    """Coverage and backlog are counted exactly; the lag curve is scipy's on whole hours."""
    from scipy.stats import CensoredData, ecdf  # noqa: PLC0415 - heavy

    rows = part(raw, version, segment, span).filter(pl.col("score").is_not_null())
    hours = pl.duration(hours=1)
    rows = rows.with_columns(
        lag=(pl.col("first") - pl.col("predicted_at")) / hours,
        age=(pl.lit(loans.AS_OF) - pl.col("predicted_at")) / hours,
    )
    old, late = rows.filter(pl.col("age") >= 72), rows.filter(pl.col("age") > 72)
    coverage = read(stored, version, segment, span, "label_coverage")
    close_or_none(coverage, (old["lag"] <= 72).fill_null(value=False).mean() if old.height else None)
    backlog = late["lag"].is_null().sum()
    close(read(stored, version, segment, span, "label_backlog"), backlog)
    close_or_none(read(stored, version, segment, span, "overdue_share"), late["lag"].is_null().mean())
    if span[0] not in ("28d", "1mo"):
        return
    seen = np.ceil(rows["lag"].drop_nulls().to_numpy())
    waiting = np.floor(rows.filter(pl.col("lag").is_null())["age"].to_numpy())
    curve = ecdf(CensoredData(uncensored=seen, right=waiting)).cdf
    for hour in (1, 4, 12, 24, 48):
        row = read(stored, version, segment, span, "label_lag_cdf", f"{hour}h")
        assert row["value"] == pytest.approx(float(curve.evaluate(hour)), abs=1e-9)


def close_or_none(row, expected):
    """The value is that expected, or null where nothing is."""
    assert (row["value"] is None) == (expected is None)
    if expected is not None:
        close(row, expected)


@pytest.mark.parametrize("span", SPANS, ids=lambda span: span[0])
@pytest.mark.parametrize("feature", ["balance", "grade", "region_rate"])
def test_skew_equals_looking_every_row_up_again(stored, raw, rows, span, feature):
    """Mismatch, missing and extra shares and SMAPE are those of a slow lookup, row by row."""
    view, entity, ttl, times = {
        "region_rate": (rows.regions, "region", 12, ("observed_at", "available_at"))
    }.get(feature, (rows.accounts, "customer", 36, ("measured_at", "stored_at")))
    by_entity = view.with_columns(entity=entity).partition_by(entity, as_dict=True)
    pairs = []
    for who, at, served in part(raw, "a", ("", ""), span).select(entity, "predicted_at", feature).iter_rows():
        mine = by_entity.get((who,), view.clear()).with_columns(entity=pl.lit(who)).to_dicts()
        found = loans.lookup(mine, who, at, timedelta(hours=ttl), times)
        pairs.append((served, found.get(feature)))
    n = sum(a is not None or b is not None for a, b in pairs)
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    shares = {
        "skew_mismatch_share": sum(a != b for a, b in both),
        "skew_missing_share": sum(a is None and b is not None for a, b in pairs),
        "skew_extra_share": sum(a is not None and b is None for a, b in pairs),
    }
    for metric, count in shares.items():
        close(read(stored, "a", ("", ""), span, metric, feature), count / n, n)
    if feature != "grade":
        smape = sum(abs(a - b) for a, b in both) / sum(abs(a) + abs(b) for a, b in both)
        close(read(stored, "a", ("", ""), span, "skew_smape", feature), smape, len(both))
        assert smape > 0 or feature == "region_rate"


def test_a_row_says_what_it_is(stored):
    """Role, maturity, day, inputs and verdict of a row are those of its window."""
    row = read(stored, "b", ("", ""), SPANS[1], "auc")
    assert (row["role"], row["day"], row["window_end"]) == ("shadow", "2024-03-02", date(2024, 3, 3))
    told = json.loads(row["inputs"])
    assert (told["days"], told["rule"]["metric"], told["rule"]["window"]) == (7, "auc", "7d")
    assert told["statistics"]
    assert row["verdict"] == "undecided"
    assert "only 3 of its 7 days" in row["reason"]


def test_categories_have_no_ks(stored):
    """Metrics that need numbers are not written for a category at all."""
    written = {(key[5], key[6]) for key in stored}
    assert ("grade", "psi") in written
    assert not {("grade", "ks"), ("grade", "skew_smape"), ("employed", "ks")} & written
