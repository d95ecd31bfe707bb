"""Join: each logged prediction with the label known as of the run's knowledge time; pending ones are kept.

Which labels a day's predictions have is `labelled`; here they are published and counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.steps.arrivals import HELD, Cells, keep, orphans, used
from mlobs_pipelines.steps.labelled import Joined, joined, newest
from mlobs_pipelines.steps.layouts import labelled_layout, log_layout
from mlobs_pipelines.steps.stored import scored_days
from mlobs_pipelines.steps.walk import Evidence, Outcome, Outcomes, Walk, chunks, keys, published


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
    for chunk in chunks("labelled_predictions", days, gaps=True):
        found, counts = _join_chunk(walk, chunk), _orphans(walk, chunk)
        outcomes |= {
            day: replace(outcome, facts={**outcome.facts, "orphan_labels": counts.get(day.isoformat(), 0)})
            for day, outcome in found.items()
        }
    return outcomes


def rejoin(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Join days again whose labels have changed; only what the join of these days needs is read."""
    outcomes: Outcomes = {}
    for chunk in chunks("labelled_predictions", days, gaps=True):
        outcomes |= _join_chunk(walk, chunk)
    return outcomes


def behind(walk: Walk, days: Sequence[date]) -> list[date]:
    """Days whose last join lacks labels that are known now, or was not measured and scored to the end."""
    found: list[date] = []
    for chunk in chunks("labelled_predictions", days, gaps=True):
        cells, before, done = joined(walk, chunk).use.cells, used(walk, chunk).cells, scored_days(walk)
        differing = {
            day for day, arrived in cells.keys() | before.keys() if _differ(cells, before, day, arrived)
        }
        moments = newest(walk, chunk)
        found += [
            day
            for day in chunk
            if day.isoformat() in differing or (day, moments.get(day.isoformat())) not in done
        ]
    return found


def _differ(now: Cells, before: Mapping[tuple[str, str], str], day: str, arrived: str) -> bool:
    last = before.get((day, arrived))
    return now.get((day, arrived)) != (None if last == HELD else last)


def _join_chunk(walk: Walk, days: list[date]) -> Outcomes:
    layout, source, made = labelled_layout(walk.spec), log_layout(walk.spec), list[Joined]()

    def compute() -> pa.Table:
        # Labels are read after the table's version was: a run that had more of them cannot be undone.
        made.append(joined(walk, days))
        return _newer_kept(walk, days, made[-1].rows)

    versions = walk.lake.update(walk.model, layout, keys(days), compute, commit=walk.commit)
    found, moments, inputs = made[-1], newest(walk, days), published(walk, source, days)
    keep(walk, found.use)
    result = {}
    for day in days:
        text = day.isoformat()
        today = found.rows.filter(pc.equal(found.rows.column("day"), text))
        read = {"prediction_log": inputs[text]} if text in inputs else {}
        version, note = versions[(text,)], _note(walk, moments.get(text))
        result[day] = Outcome(found.logged.get(text, 0), version.rows, 0, version, read, _facts(today), note)
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


def _orphans(walk: Walk, days: list[date]) -> Mapping[str, int]:
    known = [day for day in days if day <= walk.as_of.astimezone(UTC).date()]
    return orphans(walk, known).orphans if known else {}
