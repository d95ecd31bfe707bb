"""Rows out of quarantine: those that keep today's contract flow on, once.

They are published as a delivery of their own, named after theirs, under the row numbers they had: released
twice, or delivered again, a row is there once. How a row is checked again is `recheck`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, partial

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.odcs import Contract, Dataset, Table
from mlobs_pipelines.contracts.rows import Seen
from mlobs_pipelines.sources.deliveries import BATCH_ROWS, Delivery, Slot
from mlobs_pipelines.steps.ingest.evidence import (
    RECORD,
    earlier,
    record,
    write_left_out,
    write_records,
)
from mlobs_pipelines.steps.ingest.intake import ROW, Taken, accept
from mlobs_pipelines.steps.ingest.judging import judge
from mlobs_pipelines.steps.ingest.publication import LARGE_ASIDE, Batch, publish, stored_of
from mlobs_pipelines.steps.ingest.recheck import REASONS, recheck
from mlobs_pipelines.steps.ingest.repeats import RELEASED
from mlobs_pipelines.steps.ingest.spool import Room, Spool, waiting_room
from mlobs_pipelines.steps.ingest.step import batch_of
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store import audit
from mlobs_pipelines.store.lake import Between
from mlobs_pipelines.store.tables import HASH_ALIASES, QUARANTINE, SAMPLED_OUT

ACTION = "quarantine.release"
_PLACE = ("delivery", "sha256", "row_number")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows of a dataset are meant; everything by default.

    Attributes
    ----------
    first, last
        Days of delivery.
    rules
        Rows that broke one of them.
    deliveries
        Names as in the table `quarantine`.
    """

    first: date | None = None
    last: date | None = None
    rules: Collection[str] = ()
    deliveries: Collection[str] = ()

    @property
    def days(self) -> Between:
        """The days as a filter of partitions."""
        ends = [end.isoformat() if end else None for end in (self.first, self.last)]
        return Between(*ends)

    @property
    def rows(self) -> pl.Expr:
        """Whether a row of `quarantine` is meant."""
        chosen = pl.lit(value=True)
        if self.rules:
            chosen &= pl.col("rules").list.eval(pl.element().is_in(list(self.rules))).list.any()
        return chosen & pl.col("delivery").is_in(list(self.deliveries)) if self.deliveries else chosen


@dataclass(slots=True)
class Released:
    """What became of the rows that were asked for.

    Attributes
    ----------
    rows, passed
        Rows that waited, and those that flow on.
    sampled_out
        Rows among `passed` that sampling leaves out, as it would have at first.
    by_rule
        By the rule that put them into quarantine: rows that passed. A row may have broken several.
    failing
        By that rule and the reason they stay: rows.
    changed
        Event days whose published rows are others now.
    """

    rows: int = 0
    passed: int = 0
    sampled_out: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    failing: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: set[date] = field(default_factory=set)


@dataclass(slots=True)
class _Piece:
    """Rows of one delivery on their way out, and the marks they will have."""

    table: Table
    taken: Taken
    seen: Seen
    marks: list[pl.DataFrame] = field(default_factory=list)


def release(
    walk: Walk, dataset: Dataset, asked: Asked, *, now: datetime, who: str, dry_run: bool = False
) -> Released:
    """Check rows in quarantine under today's contract, and let those that keep it flow on.

    Rows of `prediction_log` are not meant: they flow by themselves once the monitor declares their version.

    Parameters
    ----------
    now, who
        For the marks and the audit.
    dry_run
        Whether to look only.

    Notes
    -----
    Rows are published before they are marked: a run that ends in between publishes them again, the same.
    """
    told, contract = Released(), walk.spec.contract(dataset)
    pairs = cache(partial(_pairs, walk))
    for day in _days(walk, dataset, asked):
        with waiting_room(walk.duck.spill) as room:
            pieces = _checked(walk, contract, day, asked, room, pairs, told)
            if pieces and not dry_run:
                versions = _publish(walk, contract, day, pieces)
                marks = pl.concat([mark for piece in pieces for mark in piece.marks])
                _audit(walk, dataset, day, now, who, {"rows": marks.height, "deliveries": len(pieces)})
                _mark(walk, dataset, day, marks, now)
                told.changed |= versions
    return told


def _days(walk: Walk, dataset: Dataset, asked: Asked) -> list[date]:
    if not walk.lake.exists(walk.model, QUARANTINE.name):
        return []
    where = {"dataset": dataset, "day": asked.days}
    found = walk.lake.partitions(walk.model, QUARANTINE.name, where=where)
    return [date.fromisoformat(day) for _, day in found]


def _pairs(walk: Walk) -> pl.DataFrame:
    return pl.DataFrame(walk.lake.read(walk.model, HASH_ALIASES, columns=["column", "old", "new"])).unique()


def _waiting(walk: Walk, dataset: Dataset, day: date) -> Iterator[pl.DataFrame]:
    where = {"dataset": dataset, "day": day.isoformat()}
    stored = walk.lake.dataset(walk.model, QUARANTINE, where=where)
    wanted = pc.field("released_at").is_null()
    for part in stored.to_batches(filter=wanted, batch_size=BATCH_ROWS):
        yield pl.DataFrame(pa.Table.from_batches([part]))


def _checked(
    walk: Walk,
    contract: Contract,
    day: date,
    asked: Asked,
    room: Room,
    pairs: Callable[[], pl.DataFrame],
    told: Released,
) -> list[_Piece]:
    """Check the rows of one day of delivery; return the deliveries of which rows pass."""
    pieces: dict[tuple[str, str], _Piece] = {}
    for frame in _waiting(walk, contract.dataset, day):
        for rows in frame.filter(asked.rows).partition_by("delivery", "sha256", maintain_order=True):
            told.rows += rows.height
            if rows.item(0, "table") not in contract.names:
                _stay(rows, _all(rows, "the contract has no such table any more"), told)
                continue
            key = (rows.item(0, "delivery"), rows.item(0, "sha256"))
            if key not in pieces:
                pieces[key] = _piece(walk, contract, day, rows, room)
            _let_out(walk, contract, day, pieces[key], rows, pairs, told)
    told.sampled_out += sum(piece.taken.left_out.rows for piece in pieces.values())
    return [piece for piece in pieces.values() if piece.marks]


def _piece(walk: Walk, contract: Contract, day: date, rows: pl.DataFrame, room: Room) -> _Piece:
    table = contract.table(rows.item(0, "table"))
    name = rows.item(0, "delivery").removeprefix(f"{table.name}/") + RELEASED
    delivery = Delivery(name=name, sha256=rows.item(0, "sha256"))
    spools = (Spool(room), Spool(room), Spool(room))
    taken = Taken(table, Slot(table.name, day, table.names), delivery, contract.version, *spools)
    return _Piece(table, taken, _seen(batch_of(walk, contract, [taken]), table, taken))


def _seen(batch: Batch, table: Table, taken: Taken) -> Seen:
    """What the columns that are unique have had in the rows of the delivery that were accepted."""
    seen = Seen()
    unique = [
        column.name for column in table.columns if column.unique and column.name in batch.layout.schema.names
    ]
    if not unique:
        return seen
    day, original = taken.slot.day, taken.name.removesuffix(RELEASED)
    before = earlier(batch.walk, batch.contract, [day])
    where = {"dataset": batch.contract.dataset, "day": day.isoformat()}
    aside = pl.DataFrame(
        batch.walk.lake.read(batch.walk.model, QUARANTINE, where=where, columns=[*_PLACE, "released_at"])
    )
    waiting = aside.filter((pl.col("delivery") == original) & pl.col("released_at").is_null())
    for name in (original, taken.name):
        for frame in _stored(batch, before, name, taken):
            # A row that waits still is in the lake where a release ended before its mark.
            others = frame.filter(~pl.col("delivery_row").is_in(waiting.get_column("row_number").implode()))
            for column in unique:
                seen.again(others.get_column(column))
    return seen


def _stored(batch: Batch, before: pl.DataFrame, name: str, taken: Taken) -> Iterator[pl.DataFrame]:
    """Stored rows of a delivery, if it had the content that is meant."""
    known = before.filter((pl.col("delivery") == name) & (pl.col("sha256") == taken.delivery.sha256))
    if batch.walk.lake.exists(batch.walk.model, batch.layout.name):
        for day in sorted(set(known.get_column("event_days").explode().drop_nulls())):
            yield from stored_of(batch, day, taken.slot.day.isoformat(), name)


def _let_out(
    walk: Walk,
    contract: Contract,
    day: date,
    piece: _Piece,
    rows: pl.DataFrame,
    pairs: Callable[[], pl.DataFrame],
    told: Released,
) -> None:
    checked = recheck(walk, contract, piece.table, day, rows, piece.seen, pairs)
    bad = checked.reasons.get_column("place").unique().implode()
    passed = rows.filter(~pl.int_range(pl.len(), dtype=pl.Int64).is_in(bad))
    _stay(rows, checked.reasons, told)
    if passed.height:
        told.passed += passed.height
        told.by_rule.update(_counts(passed.select(rule="rules").explode("rule"), "rule"))
        piece.marks.append(passed.select(_PLACE))
        accept(walk, contract, piece.taken, checked.good.sort(ROW), hashed=True)


def _stay(rows: pl.DataFrame, reasons: pl.DataFrame, told: Released) -> None:
    broken = rows.select(place=pl.int_range(pl.len(), dtype=pl.Int64), rule="rules").explode("rule")
    both = broken.join(reasons, on="place", maintain_order="left")
    for rule, reason, count in both.group_by("rule", "reason", maintain_order=True).len().iter_rows():
        told.failing[rule, reason] += count


def _all(rows: pl.DataFrame, reason: str) -> pl.DataFrame:
    return rows.select(place=pl.int_range(pl.len(), dtype=pl.Int64), reason=pl.lit(reason)).cast(REASONS)


def _counts(rows: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(rows.group_by(column, maintain_order=True).len().iter_rows())


def _publish(walk: Walk, contract: Contract, day: date, pieces: list[_Piece]) -> set[date]:
    taken = [piece.taken for piece in pieces]
    batch, before = batch_of(walk, contract, taken), earlier(walk, contract, [day])
    for piece in pieces:
        _add_earlier(batch, piece, before)
    mine = before.filter(pl.col("delivery").is_in([one.name for one in taken]))
    new = pl.DataFrame([_record(batch, one) for one in taken], schema=RECORD)
    touched = sorted(
        {
            *mine.get_column("event_days").explode().drop_nulls(),
            *new.get_column("event_days").explode().drop_nulls(),
        }
    )
    # Said before it is done: a run that ends in between leaves a word of which days it reached.
    reaching = new.with_columns(event_days=pl.lit(touched, pl.List(pl.String)))
    write_records(batch, [day], partial(_beside, reaching))
    write_left_out(batch, [day], taken)
    versions = publish(batch, touched)
    write_records(batch, [day], partial(_beside, new), touched)
    judge(batch, touched)
    return {date.fromisoformat(key) for key, version in versions.items() if version.changed}


def _beside(new: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Records of what is released now, beside those of other deliveries."""
    others = before.join(new, on=["day", "delivery"], how="anti")
    return pl.concat([others, new]).sort("day", "delivery", "sha256", "state")


def _add_earlier(batch: Batch, piece: _Piece, before: pl.DataFrame) -> None:
    """Add what was released of the same delivery before: the new rows do not replace it."""
    taken, rows = piece.taken, pl.concat(piece.marks).get_column("row_number").implode()
    for frame in _stored(batch, before, taken.name, taken):
        others = frame.filter(~pl.col("delivery_row").is_in(rows))
        taken.good.append(others)
        taken.days.update(_counts(others, "day"))
    known = batch.walk.lake.read(batch.walk.model, SAMPLED_OUT, where={"day": taken.slot.day.isoformat()})
    ids = pl.DataFrame(known).filter(pl.col("delivery") == taken.name)
    for frame in list(taken.left_out.frames()):
        ids = ids.join(frame, on="prediction_id", how="anti")
    taken.left_out.append(ids.select("prediction_id", "day", "delivery"))
    taken.rows_in = taken.good.rows + taken.left_out.rows


def _record(batch: Batch, taken: Taken) -> dict[str, object]:
    return record(batch, taken) | {"reason": "released from quarantine", "at_source": False}


def _audit(
    walk: Walk, dataset: Dataset, day: date, now: datetime, who: str, counts: Mapping[str, int]
) -> None:
    entry = audit.Entry(now, who, ACTION, f"{dataset}/{day.isoformat()}", counts)
    audit.append(walk.lake, walk.model, entry, walk.commit)


def _mark(walk: Walk, dataset: Dataset, day: date, marks: pl.DataFrame, now: datetime) -> None:
    partition, where = (dataset, day.isoformat()), {"dataset": dataset, "day": day.isoformat()}

    def compute() -> Iterator[pa.Table]:
        stored = walk.lake.dataset(walk.model, QUARANTINE, where=where)
        for part in stored.to_batches(batch_size=BATCH_ROWS):
            yield _marked(pl.DataFrame(pa.Table.from_batches([part])), marks, now)

    rows = walk.lake.partitions(walk.model, QUARANTINE.name, where=where)
    if sum(rows.values()) > LARGE_ASIDE:
        walk.lake.stream(walk.model, QUARANTINE, partition, compute, commit=walk.commit)
    else:
        whole: Callable[[], pa.Table] = lambda: pa.concat_tables(compute())  # noqa: E731 - read again at every attempt
        walk.lake.update(walk.model, QUARANTINE, [partition], whole, commit=walk.commit)


def _marked(rows: pl.DataFrame, marks: pl.DataFrame, now: datetime) -> pa.Table:
    at = pl.lit(now, pl.Datetime("us", "UTC"))
    joined = rows.join(marks.with_columns(marked=at), on=list(_PLACE), how="left", maintain_order="left")
    marked = joined.with_columns(released_at=pl.coalesce("released_at", "marked"))
    return marked.select(QUARANTINE.schema.names).to_arrow().cast(QUARANTINE.schema)
