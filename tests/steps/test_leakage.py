"""Features that know the label: planted in a training set, and served before they were created."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from mlobs_pipelines.defs.leakage import judged_served, judged_strengths
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.leakage import foreseen, strengths
from mlobs_pipelines.steps.snapshot import snapshot
from mlobs_pipelines.store.lake import Lake
from tests.steps import loans

DAY = loans.DAYS[3]


def trained(walk, tmp_path, **columns):
    """The walk over a landing zone whose first version learned from other columns."""
    landing = loans.copy_of(walk.landing, tmp_path / "landing")
    path = landing / "training" / "a.parquet"
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)
    return replace(walk, landing=landing)


def test_honest_features_are_no_suspects(scored):
    """The features of the loans are noise: none knows the label, and the model does better."""
    found = strengths(scored, "a")
    assert found.rows == 3_000
    assert set(found.features) == set(scored.spec.monitor.feature_names)
    assert max(found.features.values()) < 0.1 < found.model
    assert not found.suspects
    assert judged_strengths({"a": found}).passed


@pytest.mark.parametrize("name", ["cards", "grade"])
def test_a_feature_made_of_the_label_is_named(scored, tmp_path, name):
    """A number or a category that was computed with the outcome stands out, with its strength."""
    number = (pl.col("label") * 7 + 1).cast(pl.Int64)
    column = number if name == "cards" else number.cast(pl.String)
    found = strengths(trained(scored, tmp_path, **{name: column}), "a")
    assert found.suspects == [name]
    assert found.features[name] == pytest.approx(1.0)
    finding = judged_strengths({"a": found})
    assert not finding.passed
    assert f"a: {name} 1.00 of 1" in finding.description


def test_a_training_set_without_labels_is_undecided(scored, tmp_path):
    """Too little is known to say anything."""
    found = strengths(trained(scored, tmp_path, label=pl.lit(None, pl.Int64)), "a")
    assert (found.rows, found.features, found.suspects) == (0, {}, [])
    assert judged_strengths({"a": found}).undecided


def later_rate(landing):
    """The next rate of each region after a moment, as nobody could know it then."""
    files = sorted((landing / "features" / "regions").glob("*.csv"))
    rows = pl.concat([pl.read_csv(path, try_parse_dates=True) for path in files])
    return rows.select("region", "observed_at", later="region_rate").sort("observed_at")


def test_values_of_the_future_are_counted(scored, tmp_path):
    """Predictions that were served the region's next rate are found; those with other values are not."""
    landing = loans.copy_of(scored.landing, tmp_path / "landing")
    path = loans.day_file(landing, DAY)
    rows = pl.read_parquet(path).sort("predicted_at")
    rates = later_rate(landing).with_columns(pl.col("observed_at").dt.cast_time_unit("us"))
    ahead = rows.join_asof(
        rates,
        left_on="predicted_at",
        right_on="observed_at",
        by="region",
        strategy="forward",
        check_sortedness=False,
    )
    some = np.random.default_rng(2).random(rows.height) < 0.2
    leaks = pl.Series(some) & ahead["later"].is_not_null() & ahead["region_rate"].is_not_null()
    served = pl.when(leaks).then(ahead["later"]).otherwise(ahead["region_rate"])
    ahead.with_columns(region_rate=served).drop("later", "observed_at").write_parquet(path)
    walk = replace(scored, landing=landing, lake=Lake(str(tmp_path / "lake")))
    ingest(walk, "features", [DAY + timedelta(days=offset) for offset in (-2, -1, 0, 1)])
    ingest(walk, "predictions", [DAY])
    snapshot(walk, [DAY])
    found = foreseen(walk, [DAY, DAY + timedelta(days=1)])
    expected = ahead.filter(leaks)["prediction_id"].n_unique()
    assert expected > 10
    assert found[DAY].views["regions"] == expected
    assert found[DAY].views.get("accounts", 0) == 0
    finding = judged_served(found[DAY])
    assert not finding.passed
    assert f"regions ({expected} of {found[DAY].predictions})" in finding.description
    assert judged_served(found[DAY + timedelta(days=1)]).undecided


def test_served_values_of_their_time_pass(scored):
    """The loans were served what was known, or noise."""
    found = foreseen(scored, loans.DAYS[:3])
    assert all(judged_served(one).passed for one in found.values())
    assert sum(one.views.get("regions", 0) for one in found.values()) == 0
