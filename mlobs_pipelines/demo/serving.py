"""The prediction log: which version answered which flight, in which role, how fast and from which values.

Roles and failures are decided here; the scores come from training.py.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

import polars as pl

from mlobs_pipelines.demo.draws import lognormal
from mlobs_pipelines.demo.features import FEATURES
from mlobs_pipelines.demo.incidents import spoil
from mlobs_pipelines.demo.training import FEATURE_SET_VERSION, Trained

PROMOTED_AT = datetime(2013, 5, 15, tzinfo=UTC)
ERROR_SHARE = 0.0012
TIMEOUT_SHARE = 0.0008
TIMEOUT_MS = 1_000.0
LATENCY_SIGMA = 0.4
QUEUE_SIGMA = 0.9


@dataclass(frozen=True, slots=True)
class Service:
    """How a version serves.

    Attributes
    ----------
    serves_from
        First instant that it answers.
    before, after
        Its role before and from the promotion of v2.
    latency_ms
        Median latency.
    queue_ms
        Median time that a request waits before it is worked on, which is no part of the latency.
    """

    serves_from: datetime
    before: str
    after: str
    latency_ms: float
    queue_ms: float


SERVICES = {
    "v1": Service(datetime(2013, 3, 1, tzinfo=UTC), "champion", "shadow", 12.0, 1.5),
    "v2": Service(datetime(2013, 5, 1, tzinfo=UTC), "shadow", "champion", 25.0, 4.0),
}
COLUMNS = (
    "prediction_id",
    "correlation_id",
    "predicted_at",
    "model_version",
    "role",
    "training_dataset_id",
    "feature_set_version",
    "score",
    "status",
    "latency_ms",
    "queue_ms",
    "tailnum",
    *FEATURES,
)


def prediction_log(requests: pl.DataFrame, model: Trained, active: Collection[str]) -> pl.DataFrame:
    """Answer every request that the version was asked.

    Parameters
    ----------
    requests
        Flights with features, ``correlation_id`` and the draws of `mlobs_pipelines.demo.draws`.
    model
        The version that answers.
    active
        Incidents that are switched on.

    Returns
    -------
    pl.DataFrame
        `COLUMNS`; the features are those the version was served and its score follows from them.
    """
    name = model.version.name
    asked = requests.filter(pl.col("predicted_at") >= SERVICES[name].serves_from)
    served = spoil(asked, name, active)
    answered = served.with_columns(
        model.score(served), _status(name), *_times(served, name), *_identity(model)
    )
    return answered.with_columns(*_failures()).select(COLUMNS)


def _status(name: str) -> pl.Expr:
    draw = pl.col(f"{name}_status")
    bad = pl.when(draw < ERROR_SHARE).then(pl.lit("error"))
    late = bad.when(draw < ERROR_SHARE + TIMEOUT_SHARE).then(pl.lit("timeout"))
    return late.otherwise(pl.lit("ok")).alias("status")


def _times(served: pl.DataFrame, name: str) -> tuple[pl.Series, pl.Series]:
    """How long each request was worked on, and how long it had waited."""
    service = SERVICES[name]
    latency = lognormal(served[f"{name}_latency"].to_numpy(), service.latency_ms, LATENCY_SIGMA)
    queue = lognormal(served[f"{name}_queue"].to_numpy(), service.queue_ms, QUEUE_SIGMA)
    return pl.Series("latency_ms", latency).round(3), pl.Series("queue_ms", queue).round(3)


def _failures() -> tuple[pl.Expr, pl.Expr]:
    """A failed answer has no score; one that timed out took the whole allowance."""
    timed_out = pl.col("status") == "timeout"
    return (
        pl.when(pl.col("status") == "ok").then("score").alias("score"),
        pl.when(timed_out).then(TIMEOUT_MS).otherwise("latency_ms").alias("latency_ms"),
    )


def _identity(model: Trained) -> tuple[pl.Expr, ...]:
    service = SERVICES[model.version.name]
    role = pl.when(pl.col("predicted_at") < PROMOTED_AT).then(pl.lit(service.before))
    return (
        role.otherwise(pl.lit(service.after)).alias("role"),
        pl.lit(model.version.name).alias("model_version"),
        pl.lit(model.version.training_dataset_id).alias("training_dataset_id"),
        pl.lit(FEATURE_SET_VERSION).alias("feature_set_version"),
    )


def correlation_ids(ids: pl.Series) -> pl.Series:
    """Name the request behind each prediction id, shaped like a UUID; versions share their request."""
    return pl.Series("correlation_id", [_request_name(one) for one in ids], dtype=pl.String)


def _request_name(prediction_id: str) -> str:
    digits = blake2b(prediction_id.encode(), digest_size=16, person=b"request").hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
