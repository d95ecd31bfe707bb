"""Join: each logged prediction with the label known as of the run's knowledge time; pending ones are kept.

Which labels a day's predictions have is `labelled`; here they are published and counted.
"""

from collections.abc import Sequence
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.engine.joins import orphan_labels
from mlobs_pipelines.steps.labelled import Joined, joined, newest
from mlobs_pipelines.steps.layouts import labelled_layout, log_layout
from mlobs_pipelines.steps.walk import Evidence, Outcome, Outcomes, Walk, chunks, keys, published, texts
from mlobs_pipelines.store.tables import SAMPLED_OUT


def join(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Join the labels known as of `walk.as_of` to the predictions of each day.

    A day that was joined with later knowledge keeps its rows; what was known earlier is joined where it is
    measured.

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
    layout, source, made = labelled_layout(walk.spec), log_layout(walk.spec), list[Joined]()

    def compute() -> pa.Table:
        # Labels are read after the table's version was: a run that had more of them cannot be undone.
        made.append(joined(walk, days))
        return _newer_kept(walk, days, made[-1].rows)

    versions = walk.lake.update(walk.model, layout, keys(days), compute, commit=walk.commit)
    found, moments = made[-1], newest(walk, days)
    inputs, orphans = published(walk, source, days), _orphans(walk, found.labels, days)
    result = {}
    for day in days:
        text = day.isoformat()
        today = found.rows.filter(pc.equal(found.rows.column("day"), text))
        facts = {**_facts(today), "orphan_labels": orphans.get(text, 0)}
        used = {"prediction_log": inputs[text]} if text in inputs else {}
        version, note = versions[(text,)], _note(walk, moments.get(text))
        result[day] = Outcome(found.logged.get(text, 0), version.rows, 0, version, used, facts, note)
    return result


def _newer_kept(walk: Walk, days: Sequence[date], rows: pa.Table) -> pa.Table:
    """Joined rows, but what is stored of the days that a run with later knowledge has joined."""
    later = sorted(day for day, moment in newest(walk, days).items() if moment > walk.as_of)
    if not later:
        return rows
    stored = walk.lake.read(walk.model, labelled_layout(walk.spec), where={"day": later})
    mine = pc.invert(pc.is_in(rows.column("day"), pa.array(later)))
    return pa.concat_tables([rows.filter(mine), stored.select(rows.schema.names)])


def _note(walk: Walk, moment: datetime | None) -> str:
    if moment is None or moment <= walk.as_of:
        return ""
    return (
        f"the table keeps what was known later, as of {moment.isoformat()}; what was known as of "
        f"{walk.as_of.isoformat()} is in the statistics and metrics of that moment"
    )


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
