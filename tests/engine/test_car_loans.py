"""NannyML's synthetic car loans: what it publishes of each chunk, from our statistics of the same rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import EstimatedSummary
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.scan import scan_labels
from mlobs_pipelines.steps.windows import Counts, score_summary
from tests.engine.weighted_days import DAY, PLAN, calendar, parts

DATA = Path(__file__).parents[1] / "core" / "data"
FILE, REFERENCE = DATA / "car_loans.parquet", DATA / "car_loans_reference.parquet"
CHUNKS, ROWS = 10, 5_000
THRESHOLD = 0.65
AUC = (.970962, .970248, .976282, .967721, .969886, .960050, .958530, .959041, .963094, .957556)  # fmt: skip
ACCURACY = (.9422, .9422, .9502, .9436, .9410, .9146, .9156, .9144, .9224, .9122)  # fmt: skip
CBPE = (.970744, .971011, .971407, .971091, .971123, .961090, .961825, .961073, .962533, .961316)  # fmt: skip


@pytest.fixture(scope="module")
def loans():
    """The published rows."""
    return pq.read_table(FILE)


@pytest.fixture(scope="module")
def summary(loans):
    """Scores of each chunk by label."""
    return summarised(loans, np.full(CHUNKS, ROWS))


def summarised(loans, sizes):
    """Scores of rows by label, chunks as days, through the scan and back."""
    n, days = loans.num_rows, calendar(len(sizes))
    columns = {
        "day": np.repeat([str(day) for day in days], sizes),
        "score": loans.column("score"),
        "label": loans.column("label").cast(pa.float64()),
        "lag_s": np.zeros(n),
        "age_s": np.zeros(n),
        **{name: pa.repeat(word, n) for name, word in WORDS.items()},
    }
    plan = replace(PLAN, features=(), thresholds={"v": THRESHOLD})
    spans = [Span(Window.DAY, day, day + DAY) for day in days]
    return score_summary(Counts(parts(scan_labels(pa.table(columns), plan)), [("", "")], days, spans))


WORDS = {"model_version": "v", "role": "champion", "state": "labelled"}


def test_the_threshold_gives_the_published_classes(loans):
    """The published predictions are the scores from 0.65 on."""
    score, predicted = (loans.column(name).to_numpy() for name in ("score", "predicted"))
    np.testing.assert_array_equal(score >= THRESHOLD, predicted == 1)


@pytest.mark.parametrize(("name", "published"), [("auc", AUC), ("accuracy", ACCURACY)])
def test_each_chunk_has_the_published_performance(summary, name, published):
    """Realized AUC and accuracy of all ten chunks are the published ones to 1e-6."""
    np.testing.assert_allclose(METRICS[name].function(summary).value[0], published, rtol=0, atol=1e-6)


def test_each_chunk_has_the_exact_area(summary, loans):
    """Scores in hundredths each have a cell of their own, so that the area is scikit-learn's to rounding."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - only here

    score, label = (loans.column(name).to_numpy().reshape(CHUNKS, ROWS) for name in ("score", "label"))
    exact = [roc_auc_score(*pair) for pair in zip(label, score, strict=True)]
    np.testing.assert_allclose(METRICS["auc"].function(summary).value[0], exact, rtol=0, atol=1e-12)


def test_the_change_shows_from_the_sixth_chunk_on(summary):
    """Where drift truly starts the intervals of AUC and accuracy lie below the mean of the first five."""
    for name in ("auc", "accuracy"):
        found = METRICS[name].function(summary)
        assert found.upper[0, 5:].max() < found.value[0, :5].mean()


@pytest.fixture(scope="module")
def unlabelled(loans):
    """The same chunks as if no label had come yet, beside the reference rows that NannyML calibrates on."""
    before = pq.read_table(REFERENCE)
    both = pa.concat_tables([before, loans.select(before.column_names)])
    whole = summarised(both, [before.num_rows, *np.full(CHUNKS, ROWS)])
    positives, negatives = whole.positives[0], whole.negatives[0]
    return EstimatedSummary(
        scored=positives[1:] + negatives[1:],
        unsure=np.zeros(CHUNKS, dtype=np.int64),
        positives=positives[0],
        negatives=negatives[0],
        selected=whole.high > THRESHOLD,
        low=whole.low,
        high=whole.high,
        realised=whole.select(lambda array: array[0, 1:]),
    )


def test_each_chunk_has_the_published_estimate(unlabelled):
    """CBPE AUC, of no label of the chunk, is NannyML's of all ten chunks to 1e-6."""
    found = METRICS["estimated_auc"].function(unlabelled)
    np.testing.assert_allclose(found.value, CBPE, rtol=0, atol=1e-6)


def test_estimates_are_what_calibrated_rows_add_up_to(unlabelled, loans):
    """Row by row with scikit-learn's isotonic regression: expected accuracy, precision and recall."""
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - only here

    before = pq.read_table(REFERENCE)
    fit = IsotonicRegression(out_of_bounds="clip").fit(before.column("score"), before.column("label"))
    score = loans.column("score").to_numpy().reshape(CHUNKS, ROWS)
    chance, chosen = fit.predict(score.ravel()).reshape(score.shape), score >= THRESHOLD
    hits = (chance * chosen).sum(axis=1)
    expected = {
        "accuracy": np.where(chosen, chance, 1 - chance).mean(axis=1),
        "precision": hits / chosen.sum(axis=1),
        "recall": hits / chance.sum(axis=1),
        "f1": 2 * hits / (chosen.sum(axis=1) + chance.sum(axis=1)),
        "base_rate": chance.mean(axis=1),
    }
    for name, values in expected.items():
        found = METRICS[f"estimated_{name}"].function(unlabelled)
        np.testing.assert_allclose(found.value, values, rtol=0, atol=1e-9, err_msg=name)


def test_the_record_says_how_far_the_estimates_were_off(unlabelled):
    """Estimated less realized, both as published; no chunk is off by more than 0.005."""
    found = METRICS["estimated_auc_error"].function(unlabelled)
    np.testing.assert_allclose(found.value, np.subtract(CBPE, AUC), rtol=0, atol=2e-6)
    assert np.abs(found.value).max() <= 0.005
