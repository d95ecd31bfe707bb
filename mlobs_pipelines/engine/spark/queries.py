"""The two joins of the walk in Spark's SQL: the same results as `engine.joins`, row for row.

Spark has no as-of join: rows and predictions are put in one order, and the best row so far is carried along.
Nulls stand last in every order, as they do there.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from mlobs_pipelines.engine.joins import EARLY_REACH_DAYS, LOGGED, View, microseconds


def quoted(name: str) -> str:
    """Quote a column name for Spark's SQL."""
    return "`" + name.replace("`", "``") + "`"


def _in_order(columns: Sequence[str]) -> str:
    """A struct that compares as its columns do one after the other, nulls last."""
    pairs = (f"'n{at}', isnull({name}), 'v{at}', {name}" for at, name in enumerate(columns))
    return f"named_struct({', '.join(pairs)})"


def point_in_time(view: View) -> str:
    """The query over ``{predictions}`` and ``{rows}``; see `joins.point_in_time`."""
    entity, features = quoted(view.entity), [quoted(name) for name in view.features]
    ttl, reach = (span // timedelta(microseconds=1) for span in (view.ttl, view.reach))
    found = _in_order(["observed_at", "available_at", *features])
    picked = "".join(f", CASE WHEN hit THEN found.v{at} END AS {name}" for at, name in enumerate(features, 2))
    return f"""
    WITH kept AS (
      SELECT {entity} AS entity, observed_at, greatest(observed_at, available_at) AS known_at,
        {found} AS found
      FROM {{rows}} WHERE {entity} IS NOT NULL
    ), moments AS (
      SELECT entity, known_at AS at, 0 AS asks, found, CAST(NULL AS TIMESTAMP) AS latest_at,
        CAST(NULL AS BIGINT) AS prediction_id FROM kept WHERE known_at IS NOT NULL
      UNION ALL SELECT entity, observed_at, 0, NULL, observed_at, NULL FROM kept
      UNION ALL SELECT {entity}, predicted_at, 1, NULL, NULL, prediction_id FROM {{predictions}}
    ), carried AS (
      SELECT *, max(found) OVER past AS best, max(latest_at) OVER past AS last_at FROM moments
      WINDOW past AS (PARTITION BY entity, CASE WHEN entity IS NULL THEN prediction_id END ORDER BY at, asks
                      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ), judged AS (
      SELECT prediction_id, entity, at, best AS found,
        coalesce(unix_micros(best.v0) > unix_micros(at) - {ttl}, false) AS hit,
        coalesce(unix_micros(best.v0) > unix_micros(at) - {reach}, false) AS was_known,
        coalesce(unix_micros(last_at) > unix_micros(at) - {ttl}, false) AS exists_unknown
      FROM carried WHERE asks = 1
    )
    SELECT prediction_id{picked},
      CASE WHEN hit THEN unix_micros(at) - unix_micros(found.v0) END / 1e6 AS {quoted(view.name + "__age_s")},
      CASE WHEN hit THEN NULL WHEN entity IS NULL THEN 'no_key' WHEN exists_unknown THEN 'not_yet_known'
        WHEN was_known THEN 'expired' ELSE 'never' END AS {quoted(view.name + "__miss")}
    FROM judged
    """  # noqa: S608 - names come from validated contracts and are quoted


def join_labels(as_of: datetime, carried: Sequence[str], more: Sequence[str] = ()) -> str:
    """The query over ``{log}`` and ``{labels}``; see `joins.join_labels`."""
    columns = [*LOGGED, *carried]
    names, moment = ", ".join(f"log.{quoted(name)}" for name in columns), microseconds(as_of)
    order = _in_order(["arrived_at", "revision", "outcome", "label", *more])
    brought, told = ("".join(f", {owner}{name}" for name in more) for owner in ("", "last."))
    return f"""
    WITH asked AS (SELECT DISTINCT day AS predicted_day, prediction_id FROM {{log}}), candidates AS (
      SELECT predicted_day, prediction_id, label, outcome, revision, arrived_at{brought}, {order} AS place
      FROM {{labels}} AS labels JOIN asked USING (prediction_id)
      WHERE CAST(labels.day AS DATE) >= date_sub(CAST(predicted_day AS DATE), {EARLY_REACH_DAYS})
        AND unix_micros(arrived_at) <= {moment}
    ), known AS (
      SELECT predicted_day, prediction_id, min(arrived_at) AS first_arrived_at, count(*) AS revisions,
        max_by(struct(label, outcome, arrived_at{brought}), place) AS last,
        count(DISTINCT struct(outcome, label)) > 1 AS conflict,
        array_sort(collect_list(struct(place, label, unix_micros(arrived_at) AS known_us))) AS said
      FROM candidates GROUP BY predicted_day, prediction_id
    )
    SELECT {names}, last.label, last.outcome, last.arrived_at, first_arrived_at,
      coalesce(revisions, 0L) AS revisions, coalesce(conflict, false) AS conflict,
      coalesce(first_arrived_at < log.predicted_at, false) AS early,
      CASE WHEN known.prediction_id IS NULL THEN 'pending' WHEN last.label IS NULL THEN 'void'
        ELSE 'labelled' END AS state,
      (unix_micros(first_arrived_at) - unix_micros(log.predicted_at)) / 1e6 AS lag_s,
      ({moment} - unix_micros(log.predicted_at)) / 1e6 AS age_s,
      CASE WHEN conflict THEN transform(said, one -> one.label) END AS said_labels,
      CASE WHEN conflict THEN transform(said, one -> (one.known_us - unix_micros(log.predicted_at)) / 1e6) END
        AS said_lags_s{told}
    FROM {{log}} AS log LEFT JOIN known
      ON log.prediction_id = known.prediction_id AND log.day = known.predicted_day
    WHERE unix_micros(log.predicted_at) <= {moment}
    """  # noqa: S608 - names come from validated contracts and are quoted
