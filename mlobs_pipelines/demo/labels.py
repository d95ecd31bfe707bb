"""The label feed: when each flight's outcome becomes known, and through which channel.

Void outcomes (cancelled, diverted) are delivered too, with a null label, timed from the scheduled arrival.
Incidents of the feed live in incidents.py.
"""

import numpy as np
import polars as pl

from mlobs_pipelines.demo.draws import gamma, lognormal

LIVE_SHARE = 0.70
NIGHTLY_SHARE = 0.25
LOST_SHARE = 0.004
LIVE_MEDIAN_S = 35 * 60.0
LIVE_SIGMA = 0.6
NIGHTLY_HOUR = 10
DAY_S = 86_400.0


def label_feed(flights: pl.DataFrame, draws: pl.DataFrame) -> pl.DataFrame:
    """Deliver every outcome but the lost ones, each once.

    Parameters
    ----------
    flights
        As `mlobs_pipelines.demo.flights.load_flights` returns them.
    draws
        Uniform draws, rows as in `flights`; ``channel``, ``lag`` and ``lost`` are used.

    Returns
    -------
    pl.DataFrame
        ``prediction_id``, ``label``, ``outcome``, ``arrived_at`` (timestamp[us, UTC], whole seconds),
        ``revision``, ``source``, then ``carrier``; ordered by arrival.
    """
    rows = flights.select("prediction_id", "label", "outcome", "ended_at", "carrier")
    sourced = rows.with_columns(draws["lost"], _source(draws["channel"]), *_lags(draws["lag"]))
    kept = sourced.filter(pl.col("lost") >= LOST_SHARE).with_columns(
        arrived_at=_arrived_at(), revision=pl.lit(1, pl.Int64)
    )
    columns = ("prediction_id", "label", "outcome", "arrived_at", "revision", "source", "carrier")
    return kept.select(columns).sort("arrived_at", "prediction_id")


def _source(channel: pl.Series) -> pl.Series:
    bounds = np.array([LIVE_SHARE, LIVE_SHARE + NIGHTLY_SHARE])
    names = np.array(["live", "nightly", "reconciliation"])
    return pl.Series("source", names[np.searchsorted(bounds, channel.to_numpy(), side="right")].tolist())


def _lags(draw: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Give the delays (s) of the two channels that have a random one."""
    live = lognormal(draw.to_numpy(), LIVE_MEDIAN_S, LIVE_SIGMA)
    reconciled = DAY_S + gamma(draw.to_numpy(), shape=2, scale=2 * DAY_S)
    return pl.Series("live_s", live), pl.Series("reconciled_s", reconciled)


def _arrived_at() -> pl.Expr:
    ended = pl.col("ended_at")
    nightly = ended.dt.truncate("1d") + pl.duration(days=1, hours=NIGHTLY_HOUR)
    lag_s = pl.when(pl.col("source") == "live").then("live_s").otherwise("reconciled_s")
    delayed = ended + pl.duration(seconds=lag_s.floor().cast(pl.Int64))
    return pl.when(pl.col("source") == "nightly").then(nightly).otherwise(delayed)
