"""What comes true of predictions, by their samples: where labels are, when they come, which task they make.

The other columns are `planning`.
"""

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from mlobs_pipelines.core.tasks import TASKS
from mlobs_pipelines.steps.draft.columns import Found, find, the_only
from mlobs_pipelines.steps.draft.plan import HORIZONS, Asked, Labels, Source
from mlobs_pipelines.steps.draft.samples import DraftError

FEW_NUMBERS = 20


def labels_in(
    asked: Asked, predictions: pl.DataFrame, labels: pl.DataFrame | None, sources: Mapping[str, Source]
) -> Labels | None:
    """Where labels are and when they come; None where there are none."""
    rows = predictions if labels is None else labels
    taken = {one.column for one in sources.values()} if labels is None else set[str]()
    label = find(rows, "label", asked.columns.get("label"), taken)
    if label is None and labels is None:
        return None
    label = label or the_only(rows, "label", [], "")
    known = {"label": Source(label.column, None, label.why)}
    if labels is None:
        known["prediction_id"] = sources["prediction_id"]
        hours = asked.label_delay / timedelta(hours=1)
        known["arrived_at"] = Source(
            "", None, f"no time is known: {hours:g} h after the prediction (--label-delay)"
        )
        horizon, coverage = _horizon(pl.Series([asked.label_delay]), 1)
        why = "the file of the predictions has them"
        return Labels(inside=True, sources=known, horizon=horizon, coverage=coverage, why=why)
    return _apart(asked, predictions, labels, sources, known)


def _apart(
    asked: Asked,
    predictions: pl.DataFrame,
    labels: pl.DataFrame,
    sources: Mapping[str, Source],
    known: dict[str, Source],
) -> Labels:
    """Labels of a file of their own, joined to the predictions to see when they come."""
    mine = sources["prediction_id"].column
    key = mine if mine in labels.columns else None
    key = key or getattr(find(labels, "prediction_id", None, {known["label"].column}), "column", None)
    if key is None:
        raise DraftError(f"the labels have no column {mine}: name it as in the predictions")
    known["prediction_id"] = Source(key, None, "as in the predictions" if key == mine else "by its name")
    times = [name for name in labels.columns if isinstance(labels[name].dtype, pl.Datetime)]
    arrived = find(labels.select(times), "arrived_at") if times else None
    if len(times) == 1 and arrived is None:
        arrived = Found(times[0], "the only column that holds times")
    at = sources["predicted_at"].column
    joined = labels.select(
        pl.col(key).cast(pl.String).alias("id"), *([arrived.column] if arrived else [])
    ).join(predictions.select(pl.col(mine).cast(pl.String).alias("id"), pl.col(at).alias("asked__")), on="id")
    if joined.is_empty():
        raise DraftError("no label is of any prediction: the ids differ; name the id by --id-column")
    hours = asked.label_delay / timedelta(hours=1)
    known["arrived_at"] = (
        Source(arrived.column, None, arrived.why)
        if arrived
        else Source("", None, f"no time is known: {hours:g} h after the prediction (--label-delay)")
    )
    revision = find(labels, "revision")
    if revision:
        known["revision"] = Source(revision.column, None, revision.why)
    lags = joined[arrived.column] - joined["asked__"] if arrived else pl.Series([asked.label_delay])
    covered = joined["id"].n_unique() / predictions[mine].n_unique()
    horizon, coverage = _horizon(lags, covered)
    why = f"{covered:.1%} of the predictions have one"
    return Labels(inside=False, sources=known, horizon=horizon, coverage=coverage, why=why)


def _horizon(lags: pl.Series, covered: float) -> tuple[int, float]:
    """Days by which 98 % of the labels that come have come, and a share of all that is safe to expect."""
    late = lags.quantile(0.98) or timedelta(days=1)
    days = late / timedelta(days=1) if isinstance(late, timedelta) else 1.0
    horizon = next((one for one in HORIZONS if one >= days), HORIZONS[-1])
    return horizon, max(0.1, min(0.95, int((covered - 0.04) * 100) / 100))


def task_of(
    asked: Asked,
    predictions: pl.DataFrame,
    labels: pl.DataFrame | None,
    sources: Mapping[str, Source],
    classes: Mapping[str, str],
    known: Labels | None,
) -> tuple[str, str, str]:
    """What the model predicts, why, and the word that means yes."""
    if asked.task is not None and asked.task not in TASKS:
        raise DraftError(f"--task {asked.task}: there are {', '.join(TASKS)}")
    if classes:
        return "multiclass", f"{len(classes)} columns of probabilities that add up to 1", ""
    scores = predictions[sources["score"].column].drop_nulls()
    probable = bool(scores.is_between(0, 1).all())
    values = pl.Series([], dtype=pl.Null)
    if known is not None:
        values = (predictions if labels is None else labels)[known.sources["label"].column].drop_nulls()
    task, why = _guessed(asked, values, probable=probable)
    if task == "binary" and not probable:
        raise DraftError(
            "scores of a binary model are probabilities, and some are not: --score-column or --task"
        )
    return task, why, _yes(asked, values) if task == "binary" else ""


def _guessed(asked: Asked, values: pl.Series, *, probable: bool) -> tuple[str, str]:
    if asked.task:
        return asked.task, "named by --task"
    levels = values.n_unique()
    if values.dtype.is_numeric() and levels > FEW_NUMBERS:
        return "regression", f"labels are numbers, {levels} different ones"
    if probable and levels == 2:
        return "binary", "labels have two values, and scores lie between 0 and 1"
    if not probable and (values.is_empty() or values.dtype.is_numeric()):
        return "regression", "scores do not lie between 0 and 1"
    raise DraftError(
        "scores lie between 0 and 1, and labels do not tell what they mean: --task binary or regression"
    )


def _yes(asked: Asked, values: pl.Series) -> str:
    """The label that means yes, in words; "" for numbers and truth values."""
    if values.dtype == pl.Boolean or values.is_empty():
        return ""
    if values.dtype.is_numeric():
        if not values.is_in([0, 1]).all():
            raise DraftError(
                "labels of a binary model are 0 and 1; name the one that means yes by --positive"
            )
        return ""
    if asked.positive is None:
        raise DraftError("labels are words; name the one that the score is the probability of by --positive")
    if asked.positive not in values.cast(pl.String).unique():
        raise DraftError("--positive names no label that there is")
    return asked.positive
