from datetime import UTC, datetime

import polars as pl
import pytest

SERVED = pl.col("predicted_at") >= datetime(2013, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def answered(history):
    """Give the flights of the serving season with their label, where one arrives."""
    feed = history.labels.select("prediction_id", "arrived_at", "source", known="label")
    return history.flights.filter(SERVED).join(feed, on="prediction_id", how="left")


def test_lags_after_prediction_are_those_of_a_real_feed(answered):
    """Half of the labels come within six hours, some after a day and a half, a few after a week."""
    lag_h = (answered["arrived_at"] - answered["predicted_at"]).dt.total_seconds().drop_nulls() / 3600
    for share, hours in ((0.5, 5.6), (0.9, 35), (0.95, 40), (0.99, 171)):
        assert lag_h.quantile(share) == pytest.approx(hours, rel=0.05)


def test_three_percent_of_the_predictions_never_get_an_outcome(answered):
    """Void and lost labels together are 3.0 %, lost ones alone 0.4 %."""
    assert answered["known"].null_count() / answered.height == pytest.approx(0.030, abs=0.001)
    assert answered["arrived_at"].null_count() / answered.height == pytest.approx(0.004, abs=0.0005)


def test_channels_carry_their_shares(history):
    """Live, nightly and reconciled labels are 70, 25 and 5 %."""
    shares = dict(history.labels["source"].value_counts(normalize=True).iter_rows())
    assert shares == pytest.approx({"live": 0.70, "nightly": 0.25, "reconciliation": 0.05}, abs=0.005)


def test_no_label_arrives_before_the_flight_has_ended(history):
    """A label is known after the event that it reports, void ones after the scheduled arrival."""
    rows = history.labels.join(history.flights.select("prediction_id", "ended_at"), on="prediction_id")
    assert (rows["arrived_at"] >= rows["ended_at"]).all()


def test_a_flight_has_one_label_at_most_and_void_is_null(history):
    """The feed delivers each outcome once, and only void ones without a label."""
    assert history.labels["prediction_id"].is_unique().all()
    assert (history.labels["label"].is_null() == (history.labels["outcome"] == "void")).all()
