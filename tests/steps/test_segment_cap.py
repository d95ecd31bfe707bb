"""A cap on the values of segments: the training set's most frequent ones are kept, on every day the same."""

import polars as pl
import pytest

from mlobs_pipelines.engine.folding import OTHER, UNKNOWN
from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.segments import folded_by_day, trained
from mlobs_pipelines.steps.statistics import measure
from tests.steps.loans import AS_OF, DAYS
from tests.steps.redeclared import metrics_of, redeclared


@pytest.fixture(scope="module")
def capped(scored, tmp_path_factory):
    """The loans with one value per segment and cross, two days of them measured and scored."""
    declared = "crosses: [[region, employed]]\nsegment_cap: 1"
    walk = redeclared(scored, tmp_path_factory.mktemp("capped"), before=declared)
    measure_baselines(walk)
    outcomes = measure(walk, DAYS[:2])
    score(walk, DAYS[:2])
    return walk, outcomes


def kept_value(walk, version):
    """The region that occurs most often in a version's training set, the first of those by name."""
    rows = pl.read_parquet(walk.landing / "training" / f"{version}.parquet")
    times = rows["region"].drop_nulls().value_counts().sort(["count", "region"], descending=[True, False])
    return times["region"][0]


def test_each_day_keeps_the_trained_value_and_adds_the_others_up(capped):
    """Requests of the kept region, of those without one, and of all others, on both days the same groups."""
    walk, _ = capped
    rows = metrics_of(walk, metrics=["request_count"], windows=["1d"], segments=["region"])
    log = pl.DataFrame(walk.lake.read(walk.model, "prediction_log"))
    log = log.filter((pl.col("predicted_at") <= AS_OF) & pl.col("day").is_in([str(day) for day in DAYS[:2]]))
    for version in walk.spec.monitor.versions:
        region, own = pl.col("region"), kept_value(walk, version)
        value = pl.when(region.is_null()).then(pl.lit(UNKNOWN)).when(region == own).then(region)
        mine = log.filter(pl.col("model_version") == version)
        wanted = mine.group_by("day", value.otherwise(pl.lit(OTHER)).alias("segment_value")).len()
        mine = (pl.col("model_version") == version) & pl.col("day").is_in([str(day) for day in DAYS[:2]])
        found = rows.filter(mine).select("day", "segment_value", "value")
        found = {(day, text): rows for day, text, rows in found.iter_rows()}
        assert found == {(day, text): rows for day, text, rows in wanted.iter_rows()}


def test_what_was_folded_is_told(capped):
    """Each day's outcome says how many values and rows, and in words which segments; no value is named."""
    walk, outcomes = capped
    log = pl.DataFrame(walk.lake.read(walk.model, "prediction_log"))
    for day, outcome in outcomes.items():
        mine = log.filter((pl.col("day") == str(day)) & (pl.col("predicted_at") <= AS_OF))
        assert 0 < outcome.facts["segment_rows_folded"] <= 3 * mine.height
        assert outcome.facts["segment_values_folded"] > 0
        assert "region (" in outcome.note
        assert not any(value in outcome.note for value in ("north", "south", "east"))
        assert sum(folded_by_day(walk, [day])[day].values()) == outcome.facts["segment_rows_folded"]


def test_without_too_many_values_nothing_is_folded_or_told(scored):
    """Under the usual cap the training set keeps every value of its own, and a new one has room."""
    assert not any("segment_values_folded" in outcome.facts for outcome in measure(scored, DAYS[:1]).values())
    assert folded_by_day(scored, DAYS) == {}
    rows = scored.lake.read(scored.model, "prediction_log").slice(0, 50)
    assert trained(scored.spec.monitor, "a", rows) == {}
