"""Declared crosses of segments split every metric by the values of both columns."""

import polars as pl

from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.statistics import measure
from tests.steps.loans import AS_OF, DAYS
from tests.steps.redeclared import metrics_of, redeclared


def test_requests_of_a_cross_are_those_of_both_values(scored, tmp_path):
    """Each pair of values has as many requests as there are rows with both, missing values included."""
    walk = redeclared(scored, tmp_path, before="crosses: [[region, employed]]")
    measure(walk, DAYS[:2])
    score(walk, DAYS[:2])
    rows = metrics_of(walk, metrics=["request_count"], windows=["1d"], segments=["region+employed"])
    log = pl.DataFrame(walk.lake.read(walk.model, "prediction_log"))
    log = log.filter((pl.col("predicted_at") <= AS_OF) & pl.col("day").is_in([str(day) for day in DAYS[:2]]))
    names = [pl.col(name).cast(pl.String).fill_null("__null__") for name in ("region", "employed")]
    pair = pl.concat_str(names, separator="+").alias("segment_value")
    expected = log.group_by("day", "model_version", pair).len().sort("day", "model_version", "segment_value")
    found = rows.sort("day", "model_version", "segment_value")
    keys = ["day", "model_version", "segment_value"]
    assert found.select(keys).equals(expected.select(keys))
    assert found["value"].to_list() == expected["len"].to_list()
