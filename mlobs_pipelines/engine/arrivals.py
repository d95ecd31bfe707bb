"""Which predictions labels belong to, as SQL: per day of prediction and day of arrival, how many and which.

Ids are looked up, nothing else; what a label means for its prediction is `joins`.
"""

import pyarrow as pa

from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.engine.joins import EARLY_REACH_DAYS

_SAID = ("prediction_id", "epoch_us(arrived_at)", "revision", "outcome", "label")
_TEXT = ", ".join(f"coalesce(CAST({one} AS VARCHAR), '-')" for one in _SAID)


def labels_by_day(duck: Duck, labels: pa.Table, predictions: pa.Table) -> pa.Table:
    """Count labels per day of their prediction and day of arrival.

    Parameters
    ----------
    labels
        ``day`` of arrival, ``prediction_id``, ``label``, ``outcome``, ``arrived_at``, ``revision``.
    predictions
        ``day`` and ``prediction_id``, an id as often as it likes.

    Returns
    -------
    pyarrow.Table
        ``day`` of the prediction, ``arrived_day``, ``labels`` and ``digest``: equal for equal labels in
        any order; ordered by both days.
    """
    return duck.query(
        f"""
        WITH asked AS (SELECT DISTINCT day AS predicted_day, prediction_id FROM predictions)
        SELECT predicted_day AS day, labels.day AS arrived_day, count(*) AS labels,
          CAST(bit_xor(md5_number_lower(concat_ws('|', {_TEXT}))) AS VARCHAR) AS digest
        FROM labels JOIN asked USING (prediction_id)
        WHERE CAST(labels.day AS DATE) >= CAST(predicted_day AS DATE) - {EARLY_REACH_DAYS}
        GROUP BY ALL ORDER BY ALL
        """,  # noqa: S608 - names of our own
        {"labels": labels, "predictions": predictions},
    )


def unmatched(duck: Duck, labels: pa.Table, predictions: pa.Table) -> pa.Table:
    """Labels whose prediction is not among some."""
    return duck.query(
        "SELECT * FROM labels ANTI JOIN predictions USING (prediction_id)",
        {"labels": labels, "predictions": predictions},
    )
