"""Daily metrics of the loan model written down as they are wanted, and an incident over them."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.incidents import Incident, Member, Signal
from mlobs_pipelines.steps.series import Key
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.tables import METRIC_COLUMNS

FIRST = date(2024, 1, 1)
SIZE = 40


def day(number):
    """The day of a number."""
    return FIRST + timedelta(days=number)


def calm(level, noise, seed, size=SIZE):
    """A stable series."""
    return level + noise * np.random.default_rng(seed).normal(size=size)


def write(walk, series, roles=None, size=SIZE):
    """Let these be the daily metrics: by `Key` the values, of 100 rows a day and segment value."""
    spans = [(day(at), datetime.combine(day(at + 1), time(), UTC)) for at in range(size)]
    rows = [
        _row(walk, key, at, float(values[at]), (roles or {}).get(key.version, ["champion"] * size)[at])
        for key, values in series.items()
        for at in range(size)
        if np.isfinite(values[at])
    ]
    table = pa.Table.from_pylist(rows, schema=METRIC_COLUMNS)
    MetricStore(walk.lake).write(walk.model, spans, table, commit=walk.commit)


def _row(walk, key, at, value, role):
    plain = dict.fromkeys(METRIC_COLUMNS.names)
    named = {"model_version": key.version, "metric": key.metric, "feature": key.feature}
    where = {"segment": key.segment, "segment_value": key.value, "window": "1d"}
    times = {"window_start": day(at), "window_end": day(at + 1), "day": day(at).isoformat()}
    known = datetime.combine(day(at + 1), time(), UTC)
    told = {"value": value, "n": 100, "role": role, "as_of": known, "maturity": "mature", "run_id": f"r{at}"}
    return {**plain, "model": walk.model, **named, **where, **times, **told}


def incident(at, *signals):
    """An incident that opened on the day of a number with these signals."""
    members = tuple(Member(one, day(at), day(at), day(at)) for one in signals)
    return Incident(f"loan_risk-{day(at):%Y%m%d}-abcdef", day(at), members)


def signal(metric, tier, subject, follows=(), window=1, version="a", feature=""):
    """A failed verdict."""
    told = {"metric": metric, "model_version": version, "feature": feature, "window": f"{window}d"}
    return Signal(
        key=f"metrics|{version}|{metric}|{feature}",
        cause=f"{metric} fails",
        tier=tier,
        subject=subject,
        check="metrics/quality",
        failed=True,
        follows=frozenset(follows),
        version=version,
        days=window,
        told=told,
    )


def quality(metric="brier_score", window=7):
    """A failed verdict on decisions."""
    return signal(metric, 6, "quality", ("predictions", "labels", "view", "feature", "scores"), window)


def base(seed=1):
    """Stable metrics of version a: requests, decisions, drift and skew of two features."""
    found = {
        Key("a", "request_count"): calm(300, 10, seed),
        Key("a", "brier_score"): calm(0.15, 0.004, seed + 1),
        Key("a", "latency_p95"): calm(90, 4, seed + 2),
    }
    for at, (feature, level) in enumerate([("amount", 0.02), ("region", 0.02)]):
        found[Key("a", "psi", feature)] = np.abs(calm(level, 0.005, seed + 3 + at))
        found[Key("a", "skew_mismatch_share", feature)] = np.zeros(SIZE)
    return found
