"""NannyML's synthetic car loans: what it publishes of each chunk, from our statistics of the same rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.scan import scan_labels
from mlobs_pipelines.steps.windows import Counts, score_summary
from tests.engine.weighted_days import DAY, PLAN, calendar, parts

FILE = Path(__file__).parents[1] / "core" / "data" / "car_loans.parquet"
CHUNKS, ROWS = 10, 5_000
THRESHOLD = 0.65
AUC = (.970962, .970248, .976282, .967721, .969886, .960050, .958530, .959041, .963094, .957556)  # fmt: skip
ACCURACY = (.9422, .9422, .9502, .9436, .9410, .9146, .9156, .9144, .9224, .9122)  # fmt: skip


@pytest.fixture(scope="module")
def loans():
    """The published rows."""
    return pq.read_table(FILE)


@pytest.fixture(scope="module")
def summary(loans):
    """Scores of each chunk by label, chunks as days, through the scan and back."""
    n, days = loans.num_rows, calendar(CHUNKS)
    columns = {
        "day": np.repeat([str(day) for day in days], ROWS),
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
