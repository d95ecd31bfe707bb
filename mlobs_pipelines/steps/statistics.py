"""Statistics: one pass over a day's rows into mergeable counts; after it no metric reads a row again.

What is counted is `engine.scan`; turning counts into metrics is the metrics step.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.engine.duck import identifier
from mlobs_pipelines.engine.joins import microseconds
from mlobs_pipelines.engine.scan import RECOMPUTED, ScanPlan, scan_labels, scan_log
from mlobs_pipelines.steps.bins import load_baselines, scan_plan
from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT, labelled_layout, log_layout, snapshots_layout
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk, chunks, published, texts
from mlobs_pipelines.store.layout import TableLayout
from mlobs_pipelines.store.tables import as_of_key


def measure(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Count each day's prediction log, feature skew and labels per version and segment.

    Returns
    -------
    dict of date to Outcome

    Raises
    ------
    BaselineError
        If a declared version's baseline has not been measured.
    """
    plan = scan_plan(walk, load_baselines(walk))
    outcomes: Outcomes = {}
    for chunk in chunks("statistics", days):
        outcomes |= _measure_chunk(walk, plan, chunk)
    return outcomes


def _measure_chunk(walk: Walk, plan: ScanPlan, days: list[date]) -> Outcomes:
    log, labelled = _log_rows(walk, plan, days), _read(walk, labelled_layout(walk.spec), days)
    moments = _moments(walk, labelled, days)
    counted = pa.concat_tables([scan_log(log, plan), scan_labels(labelled, plan)])
    stamped = _stamped(counted, moments)
    partitions = [(day, as_of_key(moment)) for day, moment in moments.items()]
    versions = walk.lake.replace(walk.model, STATISTICS_LAYOUT, partitions, stamped, commit=walk.commit)
    sources = {
        layout.name: published(walk, layout, days)
        for layout in (log_layout(walk.spec), snapshots_layout(walk.spec), labelled_layout(walk.spec))
    }
    result = {}
    for day, (text, key) in zip(sorted(days), sorted(partitions), strict=True):
        inputs = {name: hashes[text] for name, hashes in sources.items() if text in hashes}
        rows_in = pc.sum(pc.equal(log.column("day"), text)).as_py() or 0
        version = versions[(text, key)]
        result[day] = Outcome(rows_in, version.rows, 0, version, inputs, {"as_of": key})
    return result


def _read(walk: Walk, layout: TableLayout, days: list[date]) -> pa.Table:
    return walk.lake.read(walk.model, layout, where={"day": texts(days)})


def _log_rows(walk: Walk, plan: ScanPlan, days: list[date]) -> pa.Table:
    recomputed = [feature.name for feature in plan.features if feature.recomputed]
    columns = ", ".join(f"s.{identifier(name)} AS {identifier(RECOMPUTED + name)}" for name in recomputed)
    sql = f"""
    SELECT log.*{"," if columns else ""} {columns}
    FROM log LEFT JOIN snapshots s ON log.day = s.day AND log.prediction_id = s.prediction_id
    WHERE epoch_us(log.predicted_at) <= {microseconds(walk.as_of)}
    ORDER BY log.day, log.prediction_id, log.model_version
    """  # noqa: S608 - names come from validated contracts and are quoted
    tables = {"log": _read(walk, log_layout(walk.spec), days)}
    tables["snapshots"] = _read(walk, snapshots_layout(walk.spec), days)
    return walk.duck.query(sql, tables)


def _moments(walk: Walk, labelled: pa.Table, days: list[date]) -> dict[str, datetime]:
    """Knowledge time of each day's labels: that of the join, which may be older than this run's."""
    found = dict.fromkeys(texts(days), walk.as_of)
    known = labelled.group_by("day").aggregate([("as_of", "max")])
    found |= dict(zip(known.column("day").to_pylist(), known.column("as_of_max").to_pylist(), strict=True))
    return found


def _stamped(counted: pa.Table, moments: Mapping[str, datetime]) -> pa.Table:
    names = list(moments)
    position = pc.index_in(counted.column("day"), pa.array(names)).to_numpy().astype(np.int64)
    schema = STATISTICS_LAYOUT.schema
    at = pa.array(list(moments.values()), schema.field("as_of").type).take(pa.array(position))
    key = pa.array([as_of_key(moment) for moment in moments.values()]).take(pa.array(position))
    return counted.append_column("as_of", at).append_column("as_of_key", key).select(schema.names)
