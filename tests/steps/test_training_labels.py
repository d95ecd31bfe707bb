"""Labels of a training set: read where they are there, refused where they are not labels."""

import polars as pl
import pytest

from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.bins import BaselineError
from mlobs_pipelines.steps.layouts import BASELINE_LAYOUT
from tests.steps import loans


def _baseline(landing, tmp_path, change):
    place = loans.copy_of(landing, tmp_path / "landing")
    file = place / "training" / "a.parquet"
    change(pl.read_parquet(file)).write_parquet(file)
    walk = loans.walk_of(tmp_path / "home", place)
    return walk, lambda: measure_baselines(walk)


def test_scores_are_counted_by_label(landing, rows, tmp_path):
    """Positive and negative rows of the training set are those of its label column; a null is neither."""
    first = pl.when(pl.int_range(pl.len()) < 100).then(None).otherwise(pl.col("label")).alias("label")
    walk, measure = _baseline(landing, tmp_path, lambda frame: frame.with_columns(first))
    measure()
    found = pl.DataFrame(walk.lake.read(walk.model, BASELINE_LAYOUT)).filter(
        (pl.col("segment") == "") & (pl.col("model_version") == "a") & (pl.col("subject") == "score")
    )
    counted = dict(found.select("part", pl.col("counts").list.sum()).iter_rows())
    labels = rows.training["label"][100:]
    expected = {"positive": labels.sum(), "negative": labels.len() - labels.sum(), "unlabelled": 100}
    assert {part: counted[part] for part in expected} == expected


def test_a_training_set_needs_no_labels(landing, tmp_path):
    """Without the column the baseline has the scores alone, and the bins it would have with it."""
    walk, measure = _baseline(landing, tmp_path, lambda frame: frame.drop("label"))
    whole = measure_baselines(loans.walk_of(tmp_path / "whole", landing))
    assert measure()["a"].facts["baseline_id"] == whole["a"].facts["baseline_id"]
    found = pl.DataFrame(walk.lake.read(walk.model, BASELINE_LAYOUT)).filter(pl.col("model_version") == "a")
    assert "positive" not in found["part"]


@pytest.mark.parametrize(("value", "told"), [(2, "100"), ("yes", "3,000")])
def test_what_is_no_label_is_counted_and_not_shown(landing, tmp_path, value, told):
    """Another value than 0, 1 and null is an error with the column and the rows, without the value."""
    kind = pl.String if isinstance(value, str) else pl.Int64
    odd = (
        pl.when(pl.int_range(pl.len()) < 100).then(pl.lit(value, kind)).otherwise(pl.col("label").cast(kind))
    )
    _, measure = _baseline(landing, tmp_path, lambda frame: frame.with_columns(odd.alias("label")))
    with pytest.raises(BaselineError, match=f"label holds something else than 0, 1 and null in {told} rows"):
        measure()
