"""What each column of a sample is: found by its name first, then by what it holds.

A finding carries a sentence that says how it came about, for the comments of the draft; no value is in it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from mlobs_pipelines.contracts.scanner import scan
from mlobs_pipelines.steps.draft.samples import DraftError

# Names that columns have elsewhere, the likeliest first.
NAMES = {
    "prediction_id": (
        *("prediction_id", "id", "request_id", "event_id", "row_id", "sample_id", "transaction_id"),
        *("order_id", "uuid", "uid", "key", "index"),
    ),
    "predicted_at": (
        *("predicted_at", "prediction_time", "scored_at", "timestamp", "ts", "event_time", "request_time"),
        *("datetime", "time", "date", "created_at"),
    ),
    "score": (
        *("score", "probability", "proba", "prob", "y_score", "y_prob", "y_proba", "prediction", "predicted"),
        *("y_pred", "y_hat", "yhat", "pred"),
    ),
    "label": ("label", "target", "y_true", "y", "actual", "truth", "ground_truth", "outcome", "class"),
    "arrived_at": ("arrived_at", "labelled_at", "labeled_at", "known_at", "label_time", "timestamp", "ts"),
    "model_version": ("model_version", "version", "model"),
    "role": ("role",),
    "status": ("status",),
    "latency_ms": ("latency_ms", "latency", "duration_ms", "response_time_ms"),
    "correlation_id": ("correlation_id", "trace_id", "request_id"),
    "training_dataset_id": ("training_dataset_id",),
    "feature_set_version": ("feature_set_version",),
    "revision": ("revision",),
}
OPTIONS = {
    "prediction_id": "--id-column",
    "predicted_at": "--time-column",
    "score": "--score-column",
    "label": "--label-column",
}
_IDENTIFYING = (
    *("email", "mail", "phone", "mobile", "name", "surname", "address", "street", "ssn", "passport", "iban"),
    *(
        "account",
        "card",
        "customer",
        "user",
        "client",
        "patient",
        "person",
        "employee",
        "member",
        "ip",
        "birth",
    ),
)
_PREFIXES = ("p_", "prob_", "proba_", "probability_", "score_")
MOST_LEVELS = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A column, and why it is what it is taken for."""

    column: str
    why: str


Kind = Literal["numeric", "categorical", "entity", "identifying", "time"]


@dataclass(frozen=True, slots=True)
class Described:
    """A column that is none of those that every model has.

    Attributes
    ----------
    kind
        numeric and categorical ones can be features; entities name things, which look-ups go by.
    why
        How that was seen.
    """

    column: str
    kind: Kind
    logical: str
    why: str


def find(
    rows: pl.DataFrame, what: str, given: str | None = None, taken: Collection[str] = ()
) -> Found | None:
    """The column that holds something, by the user's word or by its name; None where no name fits.

    Raises
    ------
    DraftError
        If the user named a column that there is not.
    """
    if given is not None:
        if given not in rows.columns:
            raise DraftError(
                f"{OPTIONS[what]} {given}: there is no such column; there are: {', '.join(rows.columns)}"
            )
        return Found(given, f"named by {OPTIONS[what]}")
    by_name = {name.lower(): name for name in rows.columns if name not in taken}
    match = next((by_name[name] for name in NAMES[what] if name in by_name), None)
    return Found(match, "by its name") if match else None


def the_only(rows: pl.DataFrame, what: str, fitting: Sequence[str], are: str) -> Found:
    """The one column that fits by what it holds.

    Raises
    ------
    DraftError
        If none does, or several do.
    """
    if len(fitting) == 1:
        return Found(fitting[0], f"the only column that {are}")
    said = f"several columns could be {what}: {', '.join(fitting)}" if fitting else f"no column can be {what}"
    raise DraftError(f"{said}; name it by {OPTIONS[what]} (columns: {', '.join(rows.columns)})")


def identifier(rows: pl.DataFrame, given: str | None, version: str | None) -> Found:
    """The column that names each prediction."""
    found = find(rows, "prediction_id", given)
    keys = [version] if version else []
    if found and _unique(rows, [found.column, *keys]):
        return Found(found.column, f"{found.why}; no value occurs twice")
    if found and given:
        raise DraftError(
            f"--id-column {given}: values occur twice; name a column that tells predictions apart"
        )
    texts = [name for name in rows.columns if rows[name].dtype in (pl.String, pl.Int64)]
    fitting = [name for name in texts if name not in keys and _unique(rows, [name, *keys])]
    return the_only(rows, "prediction_id", fitting, "holds another value in every row")


def _unique(rows: pl.DataFrame, names: Sequence[str]) -> bool:
    return not any(rows[name].has_nulls() for name in names) and rows.select(names).n_unique() == rows.height


def moment(rows: pl.DataFrame, what: str, given: str | None) -> Found:
    """The column that says when."""
    times = [name for name in rows.columns if isinstance(rows[name].dtype, pl.Datetime)]
    found = find(rows.select(times), what, given if given in times else None) if times else None
    if given and given not in times:
        raise DraftError(f"--time-column {given}: it does not hold times; write ISO 8601")
    return found or the_only(rows, what, times, "holds times")


def probabilities(rows: pl.DataFrame) -> dict[str, str]:
    """Columns of the probabilities of classes, by class: they share a prefix and add up to 1."""
    for prefix in _PREFIXES:
        names = [
            name for name in rows.columns if name.lower().startswith(prefix) and rows[name].dtype.is_float()
        ]
        if len(names) > 1:
            total = rows.select(pl.sum_horizontal(names).alias("total"))["total"]
            if ((total - 1).abs() < 0.02).all():
                return {name[len(prefix) :]: name for name in names}
    return {}


def describe(rows: pl.DataFrame, names: Sequence[str]) -> list[Described]:
    """What the other columns are."""
    suspects = {name for name, _ in scan(rows, names)}
    return [_described(rows[name], suspect=name in suspects) for name in names]


def _described(values: pl.Series, *, suspect: bool) -> Described:
    name, levels = values.name, values.n_unique()
    words = name.lower().split("_")
    if isinstance(values.dtype, pl.Datetime):
        return Described(name, "time", "timestamp", "holds times")
    logical = _logical(values)
    if suspect:
        return Described(name, "identifying", logical, "its values look like personal data")
    if any(word in _IDENTIFYING for word in words):
        return Described(name, "entity", logical, "its name says that it leads to a person or an account")
    if logical == "number" or (logical == "integer" and words[-1] not in ("id", "code", "key")):
        return Described(name, "numeric", logical, "holds numbers")
    if levels <= MOST_LEVELS and levels < max(0.5 * values.len(), 2):
        return Described(name, "categorical", logical, f"holds {levels} different values")
    return Described(name, "entity", logical, f"holds {levels:,} different values in {values.len():,} rows")


def _logical(values: pl.Series) -> str:
    if values.dtype == pl.Boolean:
        return "boolean"
    if values.dtype.is_integer():
        return "integer"
    return "number" if values.dtype.is_numeric() else "string"
