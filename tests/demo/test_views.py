from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlobs_pipelines.demo.views import VIEWS


def published(zone, name):
    """Read a view's files as a consumer would."""
    frame = pl.read_csv(zone / "features" / name / "*.csv", infer_schema_length=None)
    clocks = pl.col("observed_at", "available_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    return frame.with_columns(clocks, pl.col(*VIEWS[name].features).cast(pl.Float64))


def recomputed(asked, rows, view):
    """Apply the point-in-time rule to every pair of prediction and row, without any as-of join."""
    pairs = asked.join(rows, on=view.entity, how="inner").filter(
        pl.col("observed_at") > pl.col("predicted_at") - view.ttl,
        pl.col("observed_at") <= pl.col("predicted_at"),
        pl.col("available_at") <= pl.col("predicted_at"),
    )
    latest = pairs.sort("observed_at", "available_at").unique("prediction_id", keep="last")
    values = latest.select("prediction_id", *view.features)
    return asked.select("prediction_id").join(values, on="prediction_id", how="left")


@pytest.mark.parametrize("name", list(VIEWS))
def test_served_features_are_those_that_the_files_give_back(zone, name):
    """Without incidents, the logged value equals the one recomputed from the files, to the last bit."""
    log = pl.read_parquet(zone / "predictions" / "*.parquet").filter(pl.col("model_version") == "v2")
    view = VIEWS[name]
    asked = log.select("prediction_id", "predicted_at", view.entity)
    expected = recomputed(asked, published(zone, name), view)
    served = log.select("prediction_id", *view.features)
    assert served[view.features[0]].null_count() < served.height
    assert_frame_equal(
        served.sort("prediction_id"), expected.sort("prediction_id"), check_exact=True, check_dtypes=True
    )


@pytest.mark.parametrize("name", list(VIEWS))
def test_a_view_publishes_a_row_once_and_after_the_fact(history, name):
    """One row per entity and event time, usable only after it was observed."""
    rows = history.views[name]
    assert not rows.select(VIEWS[name].entity, "observed_at").is_duplicated().any()
    assert (rows["available_at"] - rows["observed_at"]).unique().to_list() == [VIEWS[name].delay]


@pytest.mark.parametrize("mark", ["2013-03-10T07:00:00", "2013-07-04T22:10:00", "2013-11-03T06:30:00"])
def test_departures_count_the_two_hours_up_to_the_mark(history, mark):
    """A row of departures is the plain mean and count of the flights that had left by then."""
    at = pl.Series([mark]).str.to_datetime(time_zone="UTC")[0]
    left = history.flights.filter(
        pl.col("departed_at") > at - timedelta(hours=2), pl.col("departed_at") <= at
    )
    expected = left.group_by("origin").agg(
        origin_delay_2h=pl.col("dep_delay").mean().round(2),
        origin_departures_2h=pl.len().cast(pl.Float64),
    )
    rows = history.views["departures"].filter(pl.col("observed_at") == at)
    assert_frame_equal(rows.select(expected.columns), expected, check_row_order=False)


def test_late_share_knows_only_labels_that_had_arrived(history):
    """A carrier's share rests on the labels of the last seven days by arrival, not by flight."""
    at = pl.Series(["2013-06-14T12:00:00"]).str.to_datetime(time_zone="UTC")[0]
    known = history.labels.filter(
        pl.col("arrived_at") > at - timedelta(days=7),
        pl.col("arrived_at") <= at,
        pl.col("label").is_not_null(),
    )
    expected = known.group_by("carrier").agg(carrier_late_share_7d=pl.col("label").mean().round(4))
    rows = history.views["carriers"].filter(pl.col("observed_at") == at)
    assert_frame_equal(rows.select(expected.columns), expected, check_row_order=False)


def test_planes_are_dumped_whole_every_month_and_gaps_stay_gaps(history):
    """Twelve dumps of one register; a plane of unknown build year has no age."""
    dumps = history.views["planes"].filter(pl.col("observed_at").dt.year() == 2013)
    assert dumps.group_by("observed_at").len()["len"].to_list() == [3322] * 12
    assert dumps["plane_age"].null_count() == 70 * 12
