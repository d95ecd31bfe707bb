"""Signs that a feature knows the label: it ranks labels too well, or was served before it was created.

The first is asked of the rows that a version learned from, the second of every prediction. Whether that is
told to anybody is Dagster's side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import numpy as np
import polars as pl

from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.core.strength import class_strength, encoded, number_strength
from mlobs_pipelines.core.vocabulary import Floats
from mlobs_pipelines.engine.duck import identifier
from mlobs_pipelines.engine.joins import View
from mlobs_pipelines.engine.stored import Stored
from mlobs_pipelines.steps.baseline import training_rows
from mlobs_pipelines.steps.holds import held, released
from mlobs_pipelines.steps.layouts import predictions_layout, snapshots_layout
from mlobs_pipelines.steps.snapshot import view_rows, views
from mlobs_pipelines.steps.training import LABEL
from mlobs_pipelines.steps.walk import Walk, texts

MOST_ROWS, LEAST_ROWS = 20_000, 200
TOO_STRONG, WORTH_ASKING = 0.9, 0.5
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Strengths:
    """How well each feature alone, and the model, rank the labels of a version's training set.

    Attributes
    ----------
    rows
        Rows with a label that were looked at; the others are empty where they are too few.
    features
        By name.
    model
        That of the version's own scores.
    """

    rows: int
    features: Mapping[str, float]
    model: float

    @property
    def suspects(self) -> list[str]:
        """Features that know the label nearly, or better than the model and well; the strongest first."""
        found = [
            name
            for name, strength in self.features.items()
            if strength >= TOO_STRONG or (strength >= WORTH_ASKING and strength >= self.model)
        ]
        return sorted(found, key=lambda name: -self.features[name])


def strengths(walk: Walk, version: str) -> Strengths:
    """Hold every feature of a version's training set against its labels.

    Raises
    ------
    BaselineError
        If the training set is missing, unreadable or lacks a column.
    """
    monitor, rows = walk.spec.monitor, training_rows(walk, version)
    rows = rows.filter(pl.col(LABEL).is_not_null()) if LABEL in rows.columns else rows.clear()
    rows = rows.gather_every(max(1, -(-rows.height // MOST_ROWS)))
    if rows.height < LEAST_ROWS:
        return Strengths(rows.height, {}, np.nan)
    found = {feature.name: _strength(monitor, rows, feature.name) for feature in monitor.features}
    return Strengths(rows.height, found, _of_scores(monitor, rows))


def _strength(monitor: Monitor, rows: pl.DataFrame, name: str) -> float:
    numeric = next(feature.kind for feature in monitor.features if feature.name == name) == "numeric"
    column = rows.get_column(name)
    if numeric:
        values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return _against(monitor, rows, dict.fromkeys(_targets(monitor, rows), values))
    codes = column.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    return _against(
        monitor, rows, {key: encoded(codes, target) for key, target in _targets(monitor, rows).items()}
    )


def _of_scores(monitor: Monitor, rows: pl.DataFrame) -> float:
    columns = dict(zip(_targets(monitor, rows), monitor.score_columns, strict=True))
    return _against(
        monitor,
        rows,
        {key: rows.get_column(name).cast(pl.Float64).to_numpy() for key, name in columns.items()},
    )


def _targets(monitor: Monitor, rows: pl.DataFrame) -> dict[str, Floats]:
    """What is to be ranked: the label, or each class against the others."""
    label = rows.get_column(LABEL)
    if monitor.task == "multiclass":
        return {name: (label == name).cast(pl.Float64).to_numpy() for name in monitor.classes}
    return {LABEL: label.cast(pl.Float64).to_numpy()}


def _against(monitor: Monitor, rows: pl.DataFrame, values: Mapping[str, Floats]) -> float:
    """The best of what values do against each target."""
    targets = _targets(monitor, rows)
    if monitor.task == "regression":
        found = [number_strength(one, targets[key]) for key, one in values.items()]
    else:
        found = [class_strength(one, targets[key] == 1) for key, one in values.items()]
    known = [one for one in found if np.isfinite(one)]
    return max(known, default=0.0)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Predictions of a day, and by view those served with values of a row that was created only later."""

    predictions: int
    views: Mapping[str, int]


def foreseen(walk: Walk, days: Sequence[date]) -> dict[date, Foreseen]:
    """Look for served values that could not be known yet.

    Looked at are predictions whose served values differ from the recomputed ones; suspicious is one all of
    whose values of a view are those of one row of its entity that was created after the prediction, and
    observed up to the label horizon after it.
    """
    rows = _beside(walk, days)
    counts = dict(rows.group_by("day").len().iter_rows())
    found: dict[str, dict[str, int]] = {text: {} for text in texts(days)}
    for view in views(walk.spec):
        for text, number in _of_view(walk, view, rows, days):
            found[text][view.name] = number
    return {
        day: Foreseen(counts.get(text, 0), found[text]) for day, text in zip(days, texts(days), strict=True)
    }


def _beside(walk: Walk, days: Sequence[date]) -> pl.DataFrame:
    """Served values of the views beside recomputed ones, once per prediction."""
    where = {"day": texts(days)}
    known = views(walk.spec)
    names = [name for view in known for name in view.features]
    entities = [view.entity for view in known]
    columns = list(dict.fromkeys(["day", "prediction_id", "predicted_at", *entities, *names]))
    source, again = predictions_layout(walk.spec), snapshots_layout(walk.spec)
    stored = walk.lake.read(walk.model, source, where=where, columns=columns)
    served = pl.DataFrame(released(stored, held(walk, "predictions", days)))
    pit = pl.DataFrame(
        walk.lake.read(walk.model, again, where=where, columns=["day", "prediction_id", *names])
    )
    pit = pit.rename({name: f"pit {name}" for name in names}).unique(["day", "prediction_id"])
    return served.unique(["day", "prediction_id"]).join(pit, on=["day", "prediction_id"], how="left")


def _of_view(walk: Walk, view: View, rows: pl.DataFrame, days: Sequence[date]) -> list[tuple[str, int]]:
    differs = pl.any_horizontal(_differs(name, rows.schema[name].is_numeric()) for name in view.features)
    asked = rows.filter(differs, pl.col(view.entity).is_not_null())
    if asked.is_empty():
        return []
    reach = walk.spec.monitor.labels.horizon
    later = view_rows(walk, view, days, -(-reach // timedelta(days=1)))
    ttl, horizon = (span // timedelta(microseconds=1) for span in (view.ttl, reach))
    same = " AND ".join(map(partial(_same, rows.schema), view.features))
    entity = identifier(view.entity)
    sql = f"""
    SELECT asked.day, count(DISTINCT asked.prediction_id) AS n FROM asked JOIN later
      ON asked.{entity} = later.{entity}
        AND epoch_us(later.observed_at) > epoch_us(asked.predicted_at) - {ttl}
        AND epoch_us(later.observed_at) <= epoch_us(asked.predicted_at) + {horizon}
        AND epoch_us(later.available_at) > epoch_us(asked.predicted_at) AND {same}
    GROUP BY 1 ORDER BY 1
    """  # noqa: S608 - names come from validated contracts and are quoted
    rows_later = later.table() if isinstance(later, Stored) else later
    found = walk.duck.query(sql, {"asked": asked.to_arrow(), "later": rows_later})
    return [(row["day"], row["n"]) for row in found.to_pylist()]


def _differs(name: str, numeric: bool) -> pl.Expr:  # noqa: FBT001 - of the column
    one, other = pl.col(name), pl.col(f"pit {name}")
    if not numeric:
        return one.is_not_null() & one.ne_missing(other)
    close = (one - other).abs() <= SAME * (one.abs() + other.abs())
    return one.is_not_null() & ~close.fill_null(value=False)


def _same(schema: pl.Schema, name: str) -> str:
    one, other = f"asked.{identifier(name)}", f"later.{identifier(name)}"
    if not schema[name].is_numeric():
        return f"{one} IS NOT DISTINCT FROM {other}"
    return (
        f"({one} IS NULL AND {other} IS NULL OR abs({one} - {other}) <= {SAME} * (abs({one}) + abs({other})))"
    )
