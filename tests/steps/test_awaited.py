"""By when labels are expected, against plain counting on the raw rows and the stored lag."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest

from mlobs_pipelines.steps.awaited import expected_by_day, expected_of
from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps import loans


@pytest.fixture(scope="module")
def lags(scored):
    """The stored 95 % lag of version a in hours, by the day after the window."""
    rows = MetricStore(scored.lake).query(
        scored.model, metrics=["label_lag_p95"], windows=["28d"], segments=[""], versions=["a"]
    )
    return {row["window_end"]: row["value"] for row in rows.to_pylist() if row["value"] is not None}


def plain(rows, day, lags):
    """Predictions of a day of version a, with the arrival known by the run and the expected moment."""
    ended = [end for end in sorted(lags) if end <= day] or sorted(lags)[:1]
    known = rows.labels.filter(pl.col("arrived_at") <= loans.AS_OF)
    first = known.group_by("prediction_id").agg(pl.col("arrived_at").min())
    asked = rows.predictions.filter(
        pl.col("model_version") == "a",
        pl.col("predicted_at").dt.date() == day,
        pl.col("predicted_at") <= loans.AS_OF,
    )
    due = pl.col("predicted_at") + timedelta(hours=lags[ended[-1]])
    return asked.join(first, on="prediction_id", how="left").with_columns(due=due)


def test_days_tell_what_is_late(scored, rows, lags):
    """Pending and late predictions, and the moment when all are expected, are those of plain counting."""
    found = {row["day"]: row for row in expected_by_day(scored, None, None) if row["model_version"] == "a"}
    assert len(found) == len(loans.DAYS)
    for day, row in found.items():
        raw = plain(rows, date.fromisoformat(day), lags)
        pending = raw.filter(pl.col("arrived_at").is_null())
        late = pending.filter(pl.col("due") < loans.AS_OF)
        assert (row["predictions"], row["pending"], row["late"]) == (raw.height, pending.height, late.height)
        assert abs(row["expected_by"] - raw["due"].max()) < timedelta(seconds=1)
    assert sum(row["late"] for row in found.values()) > 0


def test_one_prediction_tells_when_its_label_came(scored, rows):
    """Its state, when it arrived and by when it was expected are told of every version."""
    one = rows.labels.filter(pl.col("revision") == 1).row(0, named=True)
    found = expected_of(scored, one["prediction_id"])
    assert [row["model_version"] for row in found] == ["a"]
    assert found[0]["arrived_at"] == one["arrived_at"]
    assert found[0]["expected_by"] > found[0]["predicted_at"]
    assert expected_of(scored, "nobody") == []


def test_what_arrived_later_is_awaited(scored, rows):
    """As of an earlier moment, labels that came after it are pending, and later predictions are not there."""
    moment = datetime.combine(loans.DAYS[2], time(), UTC)
    found = expected_by_day(replace(scored, as_of=moment), loans.DAYS[0], loans.DAYS[2])
    assert [row["day"] for row in found] == [day.isoformat() for day in loans.DAYS[:2]]
    asked = rows.predictions.filter(pl.col("predicted_at").dt.date() == loans.DAYS[1])
    came = rows.labels.filter(pl.col("arrived_at") <= moment)["prediction_id"]
    assert found[1]["pending"] == asked.filter(~pl.col("prediction_id").is_in(came.implode())).height
    assert found[1]["expected_by"] is None
