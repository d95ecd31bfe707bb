"""Accepted rows into the lake: every event day they touch is published as a whole, each row once.

A day's rows are a pure function of the deliveries that reached it: rows of the deliveries read now replace
what those brought before, `repeats` says which rows stand back, and these are kept beside. Days are published
together in memory, or one by one as a stream where they are large.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.odcs import Contract, Table
from mlobs_pipelines.steps.ingest.intake import Taken
from mlobs_pipelines.steps.ingest.repeats import IDENTITY, fingerprint, key_hashes, losers
from mlobs_pipelines.steps.layouts import repeats_layout
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import PartitionVersion
from mlobs_pipelines.store.layout import TableLayout

LARGE = 262_144  # rows of a day, or of days that are published together
LARGE_ASIDE = 16_384  # rows of a day in quarantine, each a text of all its columns
BLOCK = 131_072


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries that are published together.

    Attributes
    ----------
    walk, contract, layout
        The model's walk, the dataset's contract and its table.
    taken
        Deliveries that were read and not refused.
    commit
        Kept with every commit.
    withdrawn
        Day and name of deliveries that no longer count: their rows are taken out.
    """

    walk: Walk
    contract: Contract
    layout: TableLayout
    taken: Sequence[Taken]
    commit: dict[str, str]
    withdrawn: Sequence[tuple[str, str]] = field(default=())

    @property
    def repeats(self) -> TableLayout:
        """The table of rows that stand back."""
        return repeats_layout(self.layout)

    def new(self, days: Sequence[str]) -> Iterator[pl.DataFrame]:
        """New rows of some days, by delivery and in their order."""
        ordered = sorted(self.taken, key=lambda taken: (taken.slot.day, taken.name))
        for taken in ordered:
            if not taken.days.keys().isdisjoint(days):
                for frame in taken.good.frames():
                    yield conformed(frame.filter(pl.col("day").is_in(days)), self.layout)

    def replaced(self) -> pl.DataFrame:
        """Deliveries whose earlier rows are replaced."""
        pairs = [(taken.slot.day.isoformat(), taken.name) for taken in self.taken]
        return pl.DataFrame(
            [*pairs, *self.withdrawn], schema=dict.fromkeys(IDENTITY[:2], pl.String), orient="row"
        )

    def standing(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Stored rows of other deliveries than those read now."""
        return rows.join(self.replaced(), on=IDENTITY[:2], how="anti")


def publish(batch: Batch, days: Sequence[str]) -> dict[str, PartitionVersion]:
    """Publish event days.

    Parameters
    ----------
    days
        Every day that the batch's deliveries reach or have reached.

    Returns
    -------
    dict
        The published partition of each day.
    """
    sizes = _sizes(batch, days)
    published: dict[str, PartitionVersion] = {}
    for group in _groups(sizes):
        if len(group) == 1 and sizes[group[0]] > LARGE:
            published[group[0]] = _stream(batch, group[0])
        else:
            published |= _update(batch, group)
    return published


def conformed(frame: pl.DataFrame, layout: TableLayout) -> pl.DataFrame:
    """Rows under the columns of a layout, in its order; what a view does not have is null."""
    missing = [pl.lit(None).alias(name) for name in layout.schema.names if name not in frame.columns]
    return frame.with_columns(missing).select(layout.schema.names)


def _sizes(batch: Batch, days: Sequence[str]) -> dict[str, int]:
    sizes = dict.fromkeys(sorted(days), 0)
    for taken in batch.taken:
        for day, rows in taken.days.items():
            sizes[day] = sizes.get(day, 0) + rows
    for table in (batch.layout.name, batch.repeats.name):
        if batch.walk.lake.exists(batch.walk.model, table):
            stored = batch.walk.lake.partitions(batch.walk.model, table, where={"day": days})
            for (day,), rows in stored.items():
                sizes[day] += rows
    # Rows that are replaced count twice so far; only a day that looks large is worth a closer look.
    return {day: size if size <= LARGE else _rows_in_all(batch, day) for day, size in sizes.items()}


def _rows_in_all(batch: Batch, day: str) -> int:
    """Rows of a day once it is published, those that stand back too: the same whenever it is counted."""
    stored = sum(batch.standing(part).height for part in _origins(batch, day))
    return stored + sum(taken.days.get(day, 0) for taken in batch.taken)


def _groups(sizes: dict[str, int]) -> Iterator[list[str]]:
    group: list[str] = []
    rows = 0
    for day, size in sizes.items():
        if group and rows + size > LARGE:
            yield group
            group, rows = [], 0
        group.append(day)
        rows += size
    if group:
        yield group


def _update(batch: Batch, days: list[str]) -> dict[str, PartitionVersion]:
    beside = _Beside(batch, days)

    def compute() -> pa.Table:
        rows = pl.concat([_stored(batch, days), *batch.new(days)], how="vertical_relaxed")
        beaten = _beaten(batch.contract, rows)
        beside.enter(rows.join(beaten, on=["day", *IDENTITY]))
        standing = rows.join(beaten, on=["day", *IDENTITY], how="anti") if beaten.height else rows
        return _arrow(standing, batch.layout)

    partitions = [(day,) for day in days]
    lake, model = batch.walk.lake, batch.walk.model
    written = lake.update(model, batch.layout, partitions, compute, commit=batch.commit)
    beside.leave()
    return {day: version for (day,), version in written.items()}


def _stored(batch: Batch, days: list[str]) -> pl.DataFrame:
    """Rows of other deliveries that the lake has, those that stood back too, each once.

    A run that ended between the two tables has left the same rows in both.
    """
    kept = [_read(batch, layout, days) for layout in (batch.layout, batch.repeats)]
    both = pl.concat([frame.select(batch.layout.schema.names) for frame in kept])
    return both.unique(["day", *IDENTITY], keep="first", maintain_order=True)


def _read(batch: Batch, layout: TableLayout, days: list[str]) -> pl.DataFrame:
    """Stored rows of other deliveries; those that are replaced may be many and are never held at once."""
    lake, model = batch.walk.lake, batch.walk.model
    kept = [pl.DataFrame(layout.empty())]
    if lake.exists(model, layout.name):
        stored = lake.dataset(model, layout, where={"day": days})
        kept += [batch.standing(_frame(part)) for part in stored.to_batches()]
    return pl.concat(kept, how="vertical_relaxed")


def _frame(part: pa.RecordBatch) -> pl.DataFrame:
    return pl.DataFrame(pa.Table.from_batches([part]))


def _beaten(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    found = [losers(fingerprint(mine, table)) for table, mine in _by_table(contract, rows)]
    return pl.concat(found) if found else _none_beaten()


def _by_table(contract: Contract, rows: pl.DataFrame) -> Iterator[tuple[Table, pl.DataFrame]]:
    for table in contract.tables:
        yield table, rows.filter(pl.col("view") == table.name) if "view" in rows.columns else rows


def _none_beaten() -> pl.DataFrame:
    names = dict.fromkeys(["day", *IDENTITY, "reason"], pl.String)
    return pl.DataFrame(schema=names | {IDENTITY[2]: pl.Int64})


@dataclass(slots=True)
class _Beside:
    """Rows that stand back, written so that a row is in one of the two tables at any time, or in both.

    Those that stand back from now on are written before the table that they leave, and those that stand
    again are taken out after the table that they enter.
    """

    batch: Batch
    days: list[str]
    _beaten: pl.DataFrame = field(default_factory=pl.DataFrame)
    _stay: bool = False

    def enter(self, beaten: pl.DataFrame) -> None:
        """Add the rows that stand back to those that did."""
        self._beaten = beaten.select(self.batch.repeats.schema.names)

        def compute() -> pl.DataFrame:
            again = self._others()
            self._stay = again.height > 0
            return pl.concat([self._beaten, again], how="vertical_relaxed")

        self._write(compute)

    def leave(self) -> None:
        """Take out the rows that stand again, and see to it that no other run took out those that do not."""
        if self._stay or self._beaten.height:
            self._write(self._settled)

    def _others(self) -> pl.DataFrame:
        """Rows that stood back, as far as they are known, and do not any more."""
        before = _read(self.batch, self.batch.repeats, self.days)
        return before.join(self._beaten, on=["day", *IDENTITY], how="anti")

    def _settled(self) -> pl.DataFrame:
        """What stands back by the table as it is now: a run that came in between may have changed it."""
        lake, model, where = self.batch.walk.lake, self.batch.walk.model, {"day": self.days}
        aside = pl.DataFrame(lake.read(model, self.batch.repeats, where=where))
        places = ["day", *IDENTITY]
        others = aside.join(self._beaten, on=places, how="anti")
        rows = pl.concat([self._beaten, others], how="vertical_relaxed")
        for part in lake.dataset(model, self.batch.layout, where=where).to_batches(columns=places):
            rows = rows.join(_frame(part), on=places, how="anti")
        return rows

    def _write(self, compute: Callable[[], pl.DataFrame]) -> None:
        """Write what is computed, anew where another run has written the same days meanwhile."""
        lake, model, layout = self.batch.walk.lake, self.batch.walk.model, self.batch.repeats
        if self._beaten.is_empty() and not lake.exists(model, layout.name):
            return
        partitions = [(day,) for day in self.days]
        lake.update(model, layout, partitions, lambda: _arrow(compute(), layout), commit=self.batch.commit)


def _arrow(frame: pl.DataFrame, layout: TableLayout) -> pa.Table:
    return frame.select(layout.schema.names).to_arrow().cast(layout.schema)


def _stream(batch: Batch, day: str) -> PartitionVersion:
    beside = _Beside(batch, [day])

    def compute() -> Iterator[pa.Table]:
        beaten = _beaten_of_stream(batch, day)
        if beaten.height or batch.walk.lake.exists(batch.walk.model, batch.repeats.name):
            aside = [frame.join(beaten, on=["day", *IDENTITY]) for frame in _rows_of(batch, day)]
            beside.enter(pl.concat(aside))
        for frame in _recut(_rows_of(batch, day)):
            left = frame.join(beaten, on=["day", *IDENTITY], how="anti") if beaten.height else frame
            yield _arrow(left, batch.layout)

    published = batch.walk.lake.stream(batch.walk.model, batch.layout, (day,), compute, commit=batch.commit)
    beside.leave()
    return published


def _beaten_of_stream(batch: Batch, day: str) -> pl.DataFrame:
    """Find repeats by hashes of keys first: only keys that come twice need more than eight bytes a row."""
    hashes = [
        key_hashes(mine, table).to_numpy()
        for frame in _rows_of(batch, day, _key_columns(batch))
        for table, mine in _by_table(batch.contract, frame)
    ]
    ordered = np.sort(np.concatenate(hashes)) if hashes else np.empty(0, np.uint64)
    twice = pl.Series(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]), dtype=pl.UInt64)
    found: list[list[pl.DataFrame]] = [[] for _ in batch.contract.tables]
    for frame in _rows_of(batch, day) if len(twice) else ():
        for place, (table, mine) in enumerate(_by_table(batch.contract, frame)):
            prints = fingerprint(mine, table)
            found[place].append(prints.filter(pl.col("key_a").is_in(twice.implode())))
    several = [losers(pl.concat(prints)) for prints in found if prints]
    return pl.concat(several) if several else _none_beaten()


def _key_columns(batch: Batch) -> list[str]:
    keys = [name for table in batch.contract.tables for name in table.primary_key]
    view = ["view"] if "view" in batch.layout.schema.names else []
    places = [] if all(table.primary_key for table in batch.contract.tables) else IDENTITY
    return list(dict.fromkeys(["day", *view, *keys, *places]))


def _rows_of(batch: Batch, day: str, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """All rows of a day by delivery and in their order, stored ones and new ones; all columns by default."""
    wanted = list(columns or batch.layout.schema.names)
    new = {(one.slot.day.isoformat(), one.name): one for one in batch.taken if day in one.days}
    for delivery in sorted({*_deliveries(batch, day), *new}):
        if delivery in new:
            for frame in new[delivery].good.frames(columns):
                mine = frame.filter(pl.col("day") == day)
                yield mine if columns else conformed(mine, batch.layout)
        else:
            yield from (frame.select(wanted) for frame in stored_of(batch, day, *delivery))


def _deliveries(batch: Batch, day: str) -> Iterator[tuple[str, str]]:
    for part in _origins(batch, day):
        yield from batch.standing(part.unique()).iter_rows()


def _origins(batch: Batch, *days: str) -> Iterator[pl.DataFrame]:
    """Day and name of the delivery of each stored row of some days, those that stand back too."""
    lake, model = batch.walk.lake, batch.walk.model
    for layout in (batch.layout, batch.repeats):
        if lake.exists(model, layout.name):
            dataset = lake.dataset(model, layout, where={"day": days})
            for part in dataset.to_batches(columns=list(IDENTITY[:2])):
                yield pl.DataFrame(part)


def delivered_on(batch: Batch, days: Sequence[str]) -> set[str]:
    """Days of the deliveries that have rows on some days."""
    found: set[str] = set()
    for part in _origins(batch, *days):
        found.update(part.get_column(IDENTITY[0]).unique())
    return found


def stored_of(batch: Batch, day: str, delivered_on: str, delivery: str) -> Iterator[pl.DataFrame]:
    """Yield the stored rows of one delivery on one event day, those that stand back too, in their order."""
    lake, model = batch.walk.lake, batch.walk.model
    row = pc.field(IDENTITY[2])
    mine = (pc.field(IDENTITY[0]) == delivered_on) & (pc.field(IDENTITY[1]) == delivery)
    stored = [
        lake.dataset(model, layout, where={"day": day})
        for layout in (batch.layout, batch.repeats)
        if lake.exists(model, layout.name)
    ]
    # One delivery may be all of a day that does not fit into memory: its rows are read block by block.
    blocks: set[int] = set()
    for dataset in stored:
        for part in dataset.to_batches(filter=mine, columns=[IDENTITY[2]]):
            blocks.update(_frame(part).select(pl.all() // BLOCK).to_series().unique())
    for block in sorted(blocks):
        wanted = mine & (row >= block * BLOCK) & (row < (block + 1) * BLOCK)
        found = [dataset.to_table(filter=wanted, columns=batch.layout.schema.names) for dataset in stored]
        yield pl.concat(pl.DataFrame(rows) for rows in found).unique(list(IDENTITY)).sort(IDENTITY[2])


def _recut(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Cut rows by delivery and block of row numbers, wherever their frames were cut.

    Rows of a frame are of one delivery and in their order.
    """
    waiting: list[pl.DataFrame] = []
    last: tuple[object, ...] = ()
    for frame in frames:
        if frame.is_empty():
            continue
        blocks = frame.get_column(IDENTITY[2]) // BLOCK
        for block in blocks.unique(maintain_order=True):
            mark = (*(frame.item(0, name) for name in IDENTITY[:2]), block)
            if waiting and mark != last:
                yield pl.concat(waiting)
                waiting = []
            waiting.append(frame.filter(blocks == block))
            last = mark
    if waiting:
        yield pl.concat(waiting)
