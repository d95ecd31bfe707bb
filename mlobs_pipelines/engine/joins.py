"""The two joins of the walk, as SQL: features as they were known at the prediction, labels as of a moment.

The semantics are those of FORMULAS: nothing created after a prediction is seen by it, and nothing that
arrived after `as_of` is seen by anyone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from mlobs_pipelines.engine.duck import Duck, identifier

# What lies further back is not looked at, so that a result does not depend on how many days a run covers.
EXPIRED_REACH = timedelta(days=7)
EARLY_REACH_DAYS = 1
LOGGED = ("day", "prediction_id", "predicted_at", "model_version", "role", "status")
_ORDER = "arrived_at, revision, outcome, label"  # the last one counts


@dataclass(frozen=True, slots=True)
class View:
    """One feature view as the point-in-time join needs it.

    Attributes
    ----------
    name
        View name; prefixes the age and miss columns of the result.
    entity
        Column that links predictions to feature rows.
    ttl
        A row older than this at the prediction has expired.
    features
        Feature columns, in order.
    """

    name: str
    entity: str
    ttl: timedelta
    features: tuple[str, ...]

    @property
    def reach(self) -> timedelta:
        """How far before a prediction its rows are looked for."""
        return self.ttl + EXPIRED_REACH


def point_in_time(duck: Duck, predictions: pa.Table, rows: pa.Table, view: View) -> pa.Table:
    """Look up, for each prediction, the latest feature row of its entity that was known then.

    A row counts when its ``observed_at`` lies in (t - ttl, t] and its ``available_at`` is at most t, for a
    prediction at t; ties go to the latest ``available_at``.

    Parameters
    ----------
    predictions
        ``prediction_id`` (distinct), ``predicted_at``, and the entity column.
    rows
        The view's rows: entity column, ``observed_at``, ``available_at``, features.

    Returns
    -------
    pyarrow.Table
        ``prediction_id``, the features, ``<view>__age_s`` (seconds, null on a miss) and ``<view>__miss``
        (null, or one of no_key, never, expired, not_yet_known), ordered by ``prediction_id``. A row is
        expired up to ``EXPIRED_REACH`` beyond its ttl; further back it is as if it had never been.
    """
    return duck.query(_point_in_time_sql(view), {"predictions": predictions, "rows": rows})


def _point_in_time_sql(view: View) -> str:
    entity = identifier(view.entity)
    features = [identifier(name) for name in view.features]
    ttl, reach = (span // timedelta(microseconds=1) for span in (view.ttl, view.reach))
    picked = ", ".join(f"CASE WHEN hit THEN r.{name} END AS {name}" for name in features)
    # `nr` ascends with (observed_at, available_at) inside an entity, so the running maximum over the time
    # at which rows became known names the best row known at each such time: one inequality is left to ASOF.
    return f"""
    WITH ordered AS (
      SELECT *, greatest(observed_at, available_at) AS known_at,
        row_number() OVER (ORDER BY {entity}, observed_at, available_at, {", ".join(features)}) AS nr
      FROM rows WHERE {entity} IS NOT NULL
    ), known AS (
      SELECT DISTINCT {entity} AS entity, known_at,
        max(nr) OVER (PARTITION BY {entity} ORDER BY known_at
                      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS nr
      FROM ordered
    ), events AS (
      SELECT DISTINCT {entity} AS entity, observed_at FROM ordered
    ), matched AS (
      SELECT p.prediction_id, p.predicted_at, p.{entity} AS entity, k.nr, e.observed_at AS latest_at
      FROM predictions p
      ASOF LEFT JOIN known k ON p.{entity} = k.entity AND p.predicted_at >= k.known_at
      ASOF LEFT JOIN events e ON p.{entity} = e.entity AND p.predicted_at >= e.observed_at
    ), judged AS (
      SELECT m.*, r.*, coalesce(epoch_us(r.observed_at) > epoch_us(m.predicted_at) - {ttl}, false) AS hit,
        coalesce(epoch_us(r.observed_at) > epoch_us(m.predicted_at) - {reach}, false) AS was_known,
        coalesce(epoch_us(m.latest_at) > epoch_us(m.predicted_at) - {ttl}, false) AS exists_unknown
      FROM matched m LEFT JOIN ordered r ON m.nr = r.nr
    )
    SELECT prediction_id, {picked.replace("r.", "judged.")},
      CASE WHEN hit THEN epoch_us(predicted_at) - epoch_us(observed_at) END / 1e6
        AS {identifier(view.name + "__age_s")},
      CASE WHEN hit THEN NULL WHEN entity IS NULL THEN 'no_key' WHEN exists_unknown THEN 'not_yet_known'
        WHEN was_known THEN 'expired' ELSE 'never' END AS {identifier(view.name + "__miss")}
    FROM judged ORDER BY prediction_id
    """  # noqa: S608 - names come from validated contracts and are quoted


def microseconds(moment: datetime) -> int:
    """Return an instant as whole microseconds since 1970, the form in which SQL compares instants."""
    # Instants are compared as integers: DuckDB's own time zones need an extension that it would download.
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def labels_as_of(duck: Duck, labels: pa.Table, as_of: datetime) -> pa.Table:
    """Keep, per prediction, the latest label known as of a moment.

    Parameters
    ----------
    labels
        ``prediction_id``, ``label``, ``outcome``, ``arrived_at``, ``revision``.
    as_of
        Knowledge time; labels that arrived later are not seen.

    Returns
    -------
    pyarrow.Table
        One row per prediction id: its label, outcome, revision, ``first_arrived_at`` (when any label was
        first known), ``arrived_at`` (of the latest revision), ``revisions`` seen and whether two of them
        ``conflict``.
    """
    return duck.query(_latest_sql("labels", ("prediction_id",), as_of), {"labels": labels})


def _latest_sql(source: str, by: tuple[str, ...], as_of: datetime, more: Sequence[str] = ()) -> str:
    # The struct keeps a null label: on its own, arg_max would pass over it to an older revision.
    kept = ", ".join(f"{name} := {name}" for name in ("label", "outcome", "revision", "arrived_at", *more))
    told = "".join(f", last.{name}" for name in more)
    return f"""
    SELECT {", ".join(by)}, last.label, last.outcome, last.revision, first_arrived_at, last.arrived_at,
      revisions, conflict{told}
    FROM (
      SELECT {", ".join(by)}, min(arrived_at) AS first_arrived_at, count(*) AS revisions,
        arg_max(struct_pack({kept}), nr) AS last,
        count(DISTINCT struct_pack(outcome := outcome, label := label)) > 1 AS conflict
      FROM (SELECT *, row_number() OVER (ORDER BY {", ".join((_ORDER, *more))}) AS nr
            FROM {source} WHERE epoch_us(arrived_at) <= {microseconds(as_of)})
      GROUP BY {", ".join(by)}
    ) ORDER BY {", ".join(by)}
    """  # noqa: S608 - names of our own, and a formatted datetime


def told_by(labels: pa.Schema) -> list[str]:
    """Columns of labels beyond those that all labels have, which the label that counts brings along."""
    return [name for name in ("source",) if name in labels.names]


def join_labels(
    duck: Duck, log: pa.Table, labels: pa.Table, as_of: datetime, carried: Sequence[str]
) -> pa.Table:
    """Join each logged prediction with the label known as of a moment; pending ones stay, without a label.

    Parameters
    ----------
    log
        Rows of the prediction log: ``day``, ``prediction_id``, ``predicted_at``, ``model_version``, ``role``,
        ``status`` and the `carried` columns, such as the score.
    labels
        Label rows with their ``day`` of arrival, from ``EARLY_REACH_DAYS`` before the first prediction on;
        what arrived earlier than that before its prediction is not seen.

    Returns
    -------
    pyarrow.Table
        The log's columns plus ``label``, ``outcome``, ``arrived_at``, ``first_arrived_at``, ``revisions``,
        ``conflict``, ``early``, ``state`` (labelled, void, pending), ``lag_s`` and ``age_s``; of labels in
        conflict ``said_labels`` and ``said_lags_s``, what was said and how long after the prediction, in the
        order in which it counted; ``source``, who said it last, where the labels tell. Ordered by prediction
        id and version.
    """
    columns = [*LOGGED, *carried]
    names = ", ".join(f"log.{identifier(name)}" for name in columns)
    moment = microseconds(as_of)
    more = told_by(labels.schema)
    latest = _latest_sql("candidates", ("predicted_day", "prediction_id"), as_of, more)
    told = "".join(f", known.{name}" for name in more)
    sql = f"""
    WITH asked AS (SELECT DISTINCT day AS predicted_day, prediction_id FROM log), candidates AS (
      SELECT labels.*, predicted_day FROM labels JOIN asked USING (prediction_id)
      WHERE CAST(labels.day AS DATE) >= CAST(predicted_day AS DATE) - {EARLY_REACH_DAYS}
    ), known AS MATERIALIZED ({latest}), said AS (
      SELECT predicted_day, prediction_id, list(label ORDER BY {_ORDER}) AS labels,
        list(epoch_us(arrived_at) ORDER BY {_ORDER}) AS moments
      FROM candidates SEMI JOIN (FROM known WHERE conflict) AS changed USING (predicted_day, prediction_id)
      WHERE epoch_us(arrived_at) <= {moment} GROUP BY ALL
    )
    SELECT {names}, known.label, known.outcome, known.arrived_at, known.first_arrived_at,
      coalesce(known.revisions, 0) AS revisions, coalesce(known.conflict, false) AS conflict,
      coalesce(known.first_arrived_at < log.predicted_at, false) AS early,
      CASE WHEN known.prediction_id IS NULL THEN 'pending' WHEN known.label IS NULL THEN 'void'
        ELSE 'labelled' END AS state,
      (epoch_us(known.first_arrived_at) - epoch_us(log.predicted_at)) / 1e6 AS lag_s,
      ({moment} - epoch_us(log.predicted_at)) / 1e6 AS age_s, said.labels AS said_labels,
      list_transform(said.moments, lambda known_us: (known_us - epoch_us(log.predicted_at)) / 1e6)
        AS said_lags_s{told}
    FROM log LEFT JOIN known ON log.prediction_id = known.prediction_id AND log.day = known.predicted_day
      LEFT JOIN said ON log.prediction_id = said.prediction_id AND log.day = said.predicted_day
    WHERE epoch_us(log.predicted_at) <= {moment}
    ORDER BY log.prediction_id, log.model_version
    """  # noqa: S608 - names come from validated contracts and are quoted
    return duck.query(sql, {"log": log, "labels": labels})
