"""What a model is, by its samples: columns that every model has, features, segments, views, versions, days.

Labels and the task are `truth`; what each column is by itself is `columns`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl

from mlobs_pipelines.steps.draft.columns import (
    NAMES,
    Described,
    Found,
    describe,
    find,
    identifier,
    moment,
    probabilities,
    the_only,
)
from mlobs_pipelines.steps.draft.plan import Asked, Labels, Plan, Source, View
from mlobs_pipelines.steps.draft.samples import DraftError
from mlobs_pipelines.steps.draft.truth import labels_in, task_of

CONSTANTS: Mapping[str, str] = {
    "role": "champion",
    "status": "ok",
    "model_version": "v1",
    "feature_set_version": "1",
}
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
TAKEN = (*NAMES, "outcome", "source")
MOST_SEGMENTS, MOST_GROUPS, LEAST_SHARE = 3, 12, 0.02


def planned(
    asked: Asked,
    predictions: pl.DataFrame,
    labels: pl.DataFrame | None,
    views: Mapping[str, pl.DataFrame],
) -> Plan:
    """Work out what a model is.

    Raises
    ------
    DraftError
        If something cannot be told; names the option that decides.
    """
    sources, classes = _sources(asked, predictions)
    known = labels_in(asked, predictions, labels, sources)
    task, why, words = task_of(asked, predictions, labels, sources, classes, known)
    used = {one.column for one in sources.values()} | set(classes.values())
    if known and known.inside:
        used |= {one.column for one in known.sources.values()}
    free = [name for name in predictions.columns if name not in used]
    # A column that is not what its name says in every contract cannot be kept under that name.
    others = describe(predictions, [name for name in free if name not in TAKEN])
    drawn = tuple(_view(name, rows, others) for name, rows in views.items())
    others = [_as_entity(one, drawn) for one in others]
    features = tuple(one for one in others if one.kind in ("numeric", "categorical"))
    if not features:
        raise DraftError(
            "no column of the predictions can be a feature: a model has at least one; add its column"
        )
    at = predictions[sources["predicted_at"].column]
    first, last = _ends(at)
    return Plan(
        asked,
        task,
        why,
        classes if task == "multiclass" else {},
        words,
        sources,
        tuple(others),
        features,
        _segments(predictions, features),
        known,
        drawn,
        _versions(predictions, sources),
        (first.date(), last.date()),
        predictions.height,
        _known_until(last, labels, known, asked),
    )


def _versions(rows: pl.DataFrame, sources: Mapping[str, Source]) -> tuple[str, ...]:
    column = sources["model_version"].column
    if not column:
        return (CONSTANTS["model_version"],)
    names = tuple(sorted(rows[column].drop_nulls().cast(pl.String).unique()))
    if not names or any(not _VERSION.fullmatch(name) for name in names):
        raise DraftError(
            f"column {column} holds names of versions that a monitor cannot have: letters, digits, dots, "
            "hyphens and underscores, at most 63; rename them, or the column"
        )
    return names


def _ends(at: pl.Series) -> tuple[datetime, datetime]:
    first, last = at.min(), at.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise DraftError(f"column {at.name}: no time is known; name another by --time-column")
    return first, last


def _sources(asked: Asked, rows: pl.DataFrame) -> tuple[dict[str, Source], dict[str, str]]:
    """Where the columns that every model has come from, and the score columns of classes."""
    version = find(rows, "model_version")
    named = identifier(rows, asked.columns.get("prediction_id"), version.column if version else None)
    found = {
        "prediction_id": named,
        "predicted_at": moment(rows, "predicted_at", asked.columns.get("predicted_at")),
    }
    sources = {what: Source(one.column, None, one.why) for what, one in found.items()}
    classes = {} if asked.columns.get("score") else probabilities(rows)
    if not classes:
        score = _score(asked, rows, {one.column for one in sources.values()})
        sources["score"] = Source(score.column, None, score.why)
    for what in (
        "correlation_id",
        "model_version",
        "role",
        "status",
        "latency_ms",
        "training_dataset_id",
        "feature_set_version",
    ):
        taken = {one.column for one in sources.values()}
        sources[what] = _usual(asked, rows, what, taken)
    return sources, classes


def _score(asked: Asked, rows: pl.DataFrame, taken: set[str]) -> Found:
    numbers = [name for name in rows.columns if rows[name].dtype.is_numeric() and name not in taken]
    found = find(rows.select(numbers), "score", None, taken)
    if asked.columns.get("score"):
        return find(rows, "score", asked.columns["score"]) or the_only(rows, "score", [], "")
    return found or the_only(rows, "score", [], "holds what the model said")


def _usual(asked: Asked, rows: pl.DataFrame, what: str, taken: set[str]) -> Source:
    """A column that nearly every serving log has, or what stands for it."""
    found = find(rows, what, None, taken)
    if found:
        return Source(found.column, None, found.why)
    if what == "correlation_id":
        return Source("", None, "the predictions have none: the prediction's id stands for it")
    if what == "latency_ms":
        return Source("", None, "the predictions have none: null, so nothing is said of it")
    constant = CONSTANTS.get(what, f"{asked.model}-training")
    return Source("", constant, f"the predictions have none: {constant} stands for all of them")


def _view(name: str, rows: pl.DataFrame, others: Sequence[Described]) -> View:
    """One file of feature values: by which entity and when, and which features it serves."""
    shared = [one for one in others if one.column in rows.columns and one.kind != "time"]
    times = [column for column in rows.columns if isinstance(rows[column].dtype, pl.Datetime)]
    if not times:
        raise DraftError(f"features {name}: no column holds times; a value needs to say when it held")
    keys = [one.column for one in shared if one.kind in ("entity", "identifying")]
    keys = keys or [one.column for one in shared if one.kind == "categorical"]
    if not keys:
        raise DraftError(f"features {name}: no column of the predictions names what the rows are about")
    features = tuple(
        one.column for one in shared if one.column != keys[0] and one.kind in ("numeric", "categorical")
    )
    columns = describe(rows, [column for column in rows.columns if column not in times])
    by_name = {one.column: one for one in shared}
    alike = tuple(by_name.get(one.column, one) for one in columns)
    return View(name, keys[0], times[0], times[min(1, len(times) - 1)], features, alike)


def _as_entity(one: Described, views: Sequence[View]) -> Described:
    """A column that a view is looked up by may be a feature as well, if it is no person's."""
    if one.column in {view.entity for view in views} and one.kind == "numeric":
        return replace(one, kind="entity")
    return one


def _segments(rows: pl.DataFrame, features: Sequence[Described]) -> tuple[str, ...]:
    """Columns of few values, each with enough rows to say something of."""
    found = []
    for one in features:
        if one.kind != "categorical" or one.logical == "number":
            continue
        shares = rows[one.column].value_counts()["count"] / rows.height
        least = shares.min()
        if 1 < len(shares) <= MOST_GROUPS and isinstance(least, float) and least >= LEAST_SHARE:
            found.append((len(shares), one.column))
    return tuple(name for _, name in sorted(found)[:MOST_SEGMENTS])


def _known_until(last: datetime, labels: pl.DataFrame | None, known: Labels | None, asked: Asked) -> datetime:
    """The first midnight by which everything that was delivered was known."""
    newest = last
    if known and not known.inside and known.sources["arrived_at"].column and labels is not None:
        arrived = labels[known.sources["arrived_at"].column].max()
        newest = max(last, arrived) if isinstance(arrived, datetime) else last
    elif known:
        newest = last + asked.label_delay
    due = last + timedelta(days=known.horizon if known else 0)
    day = max(newest, due).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)
