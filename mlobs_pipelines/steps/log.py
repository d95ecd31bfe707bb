"""Log: predictions of the versions that the monitor declares, with the decision each led to.

A prediction of an undeclared version cannot be judged: it waits in quarantine until the version is declared.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl
import pyarrow as pa

from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.steps.holds import held, released
from mlobs_pipelines.steps.layouts import log_layout, predictions_layout
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk, chunks, keys, published, texts
from mlobs_pipelines.store.tables import DELIVERIES, QUARANTINE

DATASET = "prediction_log"
RULE = "version:known"


def log(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Publish the prediction log of each day.

    Returns
    -------
    dict of date to Outcome
        The note of a day whose predictions were refused says why nothing flows.
    """
    outcomes: Outcomes = {}
    for chunk in chunks("prediction_log", days):
        outcomes |= _log_chunk(walk, chunk)
    return outcomes


def _log_chunk(walk: Walk, days: list[date]) -> Outcomes:
    layout, source = log_layout(walk.spec), predictions_layout(walk.spec)
    held_back = held(walk, "predictions", days)
    rows = walk.lake.read(walk.model, source, where={"day": texts(days)})
    frame = pl.DataFrame(released(rows, held_back))
    versions = walk.spec.monitor.versions
    known = pl.col("model_version").is_in(list(versions)).fill_null(value=False)
    good = frame.filter(known).with_columns(*_decision(walk.spec.monitor))
    table = good.select(layout.schema.names).to_arrow().cast(layout.schema)
    published_versions = walk.lake.replace(walk.model, layout, keys(days), table, commit=walk.commit)
    unknown = frame.filter(~known)
    _quarantine(walk, days, unknown)
    inputs, refused = published(walk, source, days), _refused(walk, days)
    result = {}
    for day in days:
        text = day.isoformat()
        rows_in, bad = _rows_of(frame, text), _rows_of(unknown, text)
        note = refused.get(text, "")
        if text in held_back:
            note = f"held back: a rule of the contract failed on this day's predictions ({held_back[text]})"
        if bad:
            declared = ", ".join(sorted(versions))
            note = f"{bad} rows of a version that monitor.yaml does not declare (declared: {declared})"
        used = {"predictions": inputs[text]} if text in inputs else {}
        result[day] = Outcome(rows_in, rows_in - bad, bad, published_versions[(text,)], used, {}, note)
    return result


def _decision(monitor: Monitor) -> list[pl.Expr]:
    """What a prediction led to; null where it has no score."""
    if monitor.task == "binary":
        thresholds = {name: version.threshold for name, version in monitor.versions.items()}
        limit = pl.col("model_version").replace_strict(thresholds, default=None, return_dtype=pl.Float64)
        return [(pl.col("score") >= limit).alias("decision")]
    if monitor.task == "multiclass":
        names = pl.Series(list(monitor.classes), dtype=pl.String)
        top = pl.concat_list(monitor.score_columns).list.arg_max()
        scored = pl.all_horizontal(pl.col(name).is_not_null() for name in monitor.score_columns)
        return [pl.when(scored).then(pl.lit(names).gather(top)).alias("decision")]
    return []


def _rows_of(frame: pl.DataFrame, day: str) -> int:
    return frame.filter(pl.col("day") == day).height


def _quarantine(walk: Walk, days: list[date], unknown: pl.DataFrame) -> None:
    names = [name for name in unknown.columns if name != "day"]
    rows = unknown.select(
        dataset=pl.lit(DATASET),
        day=pl.col("day"),
        table=pl.lit("predictions"),
        delivery=pl.col("delivery"),
        sha256=pl.lit(""),
        row_number=pl.col("delivery_row"),
        rules=pl.concat_list(pl.lit(RULE)),
        columns=pl.concat_list(pl.lit("model_version")),
        contract_version=pl.lit(walk.spec.predictions.version),
        key_id=pl.lit(walk.keys.current.key_id),
        row_json=pl.struct(names).struct.json_encode(),
        row_types=pl.lit("{}"),
        released_at=pl.lit(None, pl.Datetime("us", "UTC")),
    )
    partitions = [(DATASET, day) for day in texts(days)]
    table = rows.select(QUARANTINE.schema.names).to_arrow().cast(QUARANTINE.schema)
    walk.lake.replace(walk.model, QUARANTINE, partitions, table, commit=walk.commit)


def _refused(walk: Walk, days: list[date]) -> dict[str, str]:
    where = {"dataset": ["predictions"], "day": texts(days)}
    records: pa.Table = walk.lake.read(walk.model, DELIVERIES, where=where)
    return {
        record["day"]: f"a delivery of this day was refused ({record['delivery']}: {record['reason']})"
        for record in records.to_pylist()
        if record["state"] == "refused"
    }
