"""Predictions with the labels known as of a moment, which several steps need.

The table holds the newest moment that a run has looked from; what was known earlier is joined again from the
labels, which keep when they arrived. Which label counts is `engine.joins`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.engine.engines import Rows
from mlobs_pipelines.engine.groups import WEIGHT
from mlobs_pipelines.engine.joins import EARLY_REACH_DAYS, LOGGED
from mlobs_pipelines.engine.label_sources import SOURCE
from mlobs_pipelines.engine.reading import BATCH_ROWS
from mlobs_pipelines.engine.stored import Stored
from mlobs_pipelines.steps.arrivals import (
    LABEL_COLUMNS,
    Use,
    cells_of,
    labels_version,
    log_files,
    to_read,
)
from mlobs_pipelines.steps.holds import held, released
from mlobs_pipelines.steps.layouts import UTC_TIME, labelled_layout, labels_layout, log_layout
from mlobs_pipelines.steps.walk import Walk, texts

KEY = "prediction_id"


@dataclass(frozen=True, slots=True)
class Joined:
    """Some days' predictions beside their labels.

    Attributes
    ----------
    rows
        Under the columns of `labelled_layout`.
    logged
        How many predictions each day has; those made after the moment are no rows.
    use
        Which labels were used.
    """

    rows: pa.Table
    logged: Mapping[str, int]
    use: Use


def joined(walk: Walk, days: Sequence[date]) -> Joined:
    """Join the labels known as of `walk.as_of` to the predictions of some days."""
    layout, version, files = labelled_layout(walk.spec), labels_version(walk), log_files(walk, days)
    where, columns = {"day": to_read(walk, days)}, [*LABEL_COLUMNS, *({SOURCE} & {*layout.schema.names})]
    labels = walk.lake.read(walk.model, labels_layout(walk.spec), where=where, columns=columns)
    last = walk.as_of.astimezone(UTC).date()
    held_days = held(walk, "labels", [min(days) - timedelta(days=EARLY_REACH_DAYS), last])
    labels = released(labels, held_days)
    weight = [WEIGHT] if walk.spec.monitor.sampling else []
    carried = [*walk.spec.monitor.score_columns, *walk.spec.monitor.segments, *weight]
    log = _log(walk, days, carried)
    found = walk.engine.join_labels(log, labels, walk.as_of, carried)
    stamp = pa.array([walk.as_of] * found.num_rows, layout.schema.field("as_of").type)
    rows = found.append_column("as_of", stamp).select(layout.schema.names).cast(layout.schema)
    logged = log.table(["day"]) if isinstance(log, Stored) else log
    counts = pc.value_counts(logged.column("day")).to_pylist()
    seen = labels.filter(pc.less_equal(labels.column("arrived_at"), pa.scalar(walk.as_of, UTC_TIME)))
    by_day = {item["values"]: item["counts"] for item in counts}
    return Joined(rows, by_day, Use(cells_of(walk, seen, rows), sorted(held_days), version, files))


def _log(walk: Walk, days: Sequence[date], carried: Sequence[str]) -> Rows:
    """The log's rows of some days under the columns that a join needs."""
    layout, needed = log_layout(walk.spec), (*LOGGED, *carried)
    schema = pa.schema([layout.schema.field(name) for name in dict.fromkeys(needed)])
    if not walk.lake.exists(walk.model, layout.name):
        return schema.empty_table()
    return Stored(walk.lake.dataset(walk.model, layout, where={"day": texts(days)}), schema)


def newest(walk: Walk, days: Sequence[date], version: int | None = None) -> dict[str, datetime]:
    """The moment that the table looks from, by day; none for a day without rows."""
    layout, where = labelled_layout(walk.spec), {"day": texts(days)}
    rows = walk.lake.read(walk.model, layout, where=where, columns=["day", "as_of"], version=version)
    found = rows.group_by("day").aggregate([("as_of", "max")])
    return dict(zip(found.column("day").to_pylist(), found.column("as_of_max").to_pylist(), strict=True))


def moments(walk: Walk, days: Sequence[date]) -> dict[date, datetime]:
    """When the newest was known of what the run may know of each day's labels.

    That is the moment of the last join, or of the run where that is earlier.
    """
    found = newest(walk, days)
    return {day: min(walk.as_of, found.get(day.isoformat(), walk.as_of)) for day in days}


@dataclass(frozen=True, slots=True)
class Known:
    """Some days' predictions with the labels known as of given moments.

    Attributes
    ----------
    walk
        The run's walk.
    version
        Version of the table that is read; None where there is no table.
    past
        Rows of the days whose table looks from another moment, by day.
    """

    walk: Walk
    version: int | None
    past: Mapping[str, pa.Table]

    def rows(self, day: str, columns: Sequence[str]) -> Rows | None:
        """Rows of a day, if there are any: read already, or still in their files."""
        layout = labelled_layout(self.walk.spec)
        schema = pa.schema([field for field in layout.schema if field.name in columns])
        if day in self.past:
            return self.past[day].select(schema.names)
        if self.version is None:
            return None
        where = {"day": [day]}
        return Stored(
            self.walk.lake.dataset(self.walk.model, layout, where=where, version=self.version), schema
        )

    def batches(self, day: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Rows of a day, ascending by prediction."""
        rows = self.rows(day, columns)
        if isinstance(rows, Stored):
            yield from rows.batches(KEY)
        elif rows is not None:
            yield from rows.to_batches(max_chunksize=BATCH_ROWS)


def known(walk: Walk, looks: Mapping[date, datetime]) -> Known:
    """Look at the labels of some days as of a moment each: from the table where it looks from there."""
    name = labelled_layout(walk.spec).name
    version = walk.lake.version(walk.model, name) if walk.lake.exists(walk.model, name) else None
    found = newest(walk, list(looks), version)
    others = {day: moment for day, moment in looks.items() if found.get(day.isoformat(), moment) != moment}
    past: dict[str, pa.Table] = {}
    for moment in sorted(set(others.values())):
        days = sorted(day for day, other in others.items() if other == moment)
        rows = joined(replace(walk, as_of=moment), days).rows
        for text in texts(days):
            past[text] = rows.filter(pc.equal(rows.column("day"), text)).combine_chunks()
    return Known(walk, version, past)


def known_rows(walk: Walk, days: Sequence[date], columns: Sequence[str]) -> pa.Table:
    """Some days' predictions with the labels that the run may know, as one table."""
    fields = [field for field in labelled_layout(walk.spec).schema if field.name in columns]
    schema, then = pa.schema(fields), known(walk, moments(walk, days))
    batches = [batch for text in texts(days) for batch in then.batches(text, schema.names)]
    parts = [pa.Table.from_batches([batch]).select(schema.names).cast(schema) for batch in batches]
    return pa.concat_tables([schema.empty_table(), *parts])
