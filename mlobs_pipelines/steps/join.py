"""Join: each logged prediction with the label known as of the run's knowledge time; pending ones are kept.

Which label counts, and what a lag is, is `engine.joins`.
"""

from collections.abc import Sequence
from datetime import UTC, date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.engine.groups import WEIGHT
from mlobs_pipelines.engine.joins import EARLY_REACH_DAYS, join_labels, orphan_labels
from mlobs_pipelines.steps.holds import held, released
from mlobs_pipelines.steps.layouts import labelled_layout, labels_layout, log_layout
from mlobs_pipelines.steps.walk import Evidence, Outcome, Outcomes, Walk, chunks, keys, published, texts
from mlobs_pipelines.store.lake import Between
from mlobs_pipelines.store.tables import SAMPLED_OUT

LABEL_COLUMNS = ["day", "prediction_id", "label", "outcome", "arrived_at", "revision"]


def join(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Join the labels known as of `walk.as_of` to the predictions of each day.

    Returns
    -------
    dict of date to Outcome
        Facts count labelled, void, pending, early, revised and conflicting rows, and orphans among the labels
        that arrived on that day.
    """
    outcomes: Outcomes = {}
    for chunk in chunks("labelled_predictions", days):
        outcomes |= _join_chunk(walk, chunk)
    return outcomes


def _join_chunk(walk: Walk, days: list[date]) -> Outcomes:
    layout, source = labelled_layout(walk.spec), log_layout(walk.spec)
    log = walk.lake.read(walk.model, source, where={"day": texts(days)})
    last = walk.as_of.astimezone(UTC).date()
    first = min(days) - timedelta(days=EARLY_REACH_DAYS)
    span = Between(first.isoformat(), last.isoformat())
    labels = walk.lake.read(walk.model, labels_layout(walk.spec), where={"day": span}, columns=LABEL_COLUMNS)
    labels = released(labels, held(walk, "labels", [first, last]))
    weight = [WEIGHT] if walk.spec.monitor.sampling else []
    carried = [*walk.spec.monitor.score_columns, *walk.spec.monitor.segments, *weight]
    joined = join_labels(walk.duck, log, labels, walk.as_of, carried)
    stamp = pa.array([walk.as_of] * joined.num_rows, layout.schema.field("as_of").type)
    table = joined.append_column("as_of", stamp).select(layout.schema.names).cast(layout.schema)
    versions = walk.lake.replace(walk.model, layout, keys(days), table, commit=walk.commit)
    inputs, orphans = published(walk, source, days), _orphans(walk, labels, days)
    result = {}
    for day in days:
        text = day.isoformat()
        today = table.filter(pc.equal(table.column("day"), text))
        facts = {**_facts(today), "orphan_labels": orphans.get(text, 0)}
        used = {"prediction_log": inputs[text]} if text in inputs else {}
        rows_in = pc.sum(pc.equal(log.column("day"), text)).as_py() or 0
        result[day] = Outcome(rows_in, today.num_rows, 0, versions[(text,)], used, facts)
    return result


def _facts(rows: pa.Table) -> dict[str, Evidence]:
    states = {item["values"]: item["counts"] for item in pc.value_counts(rows.column("state")).to_pylist()}
    return {
        "labelled": states.get("labelled", 0),
        "void": states.get("void", 0),
        "pending": states.get("pending", 0),
        "early_labels": _count(rows, "early"),
        "conflicting_labels": _count(rows, "conflict"),
        "revised_labels": pc.sum(pc.greater(rows.column("revisions"), 1)).as_py() or 0,
    }


def _count(rows: pa.Table, flag: str) -> int:
    return int(pc.sum(rows.column(flag)).as_py() or 0)


def _orphans(walk: Walk, labels: pa.Table, days: list[date]) -> dict[str, int]:
    # A label may belong to any earlier prediction, so its id is looked for in the whole log.
    known = walk.lake.read(walk.model, log_layout(walk.spec), columns=["prediction_id"])
    left_out = walk.lake.read(walk.model, SAMPLED_OUT, columns=["prediction_id"])
    known = pa.concat_tables([known, left_out])
    arrived = labels.filter(pc.is_in(labels.column("day"), pa.array(texts(days))))
    counted = orphan_labels(walk.duck, arrived, known)
    return dict(zip(counted.column("day").to_pylist(), counted.column("orphans").to_pylist(), strict=True))
