"""One delivery, from its frames to rows that wait under their event day and rows that wait for quarantine.

A delivery is refused as a whole or taken row by row; nothing is published here. Values are judged by
`contracts`, hidden by `steps.privacy`, sampled by `steps.sampling`.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

import polars as pl

from mlobs_pipelines.contracts.coercion import Coerced
from mlobs_pipelines.contracts.fit import Fit, choose, upcast
from mlobs_pipelines.contracts.odcs import Contract, Table
from mlobs_pipelines.contracts.rows import Checked, Seen, check_rows, judge, not_seen
from mlobs_pipelines.contracts.scanner import scan
from mlobs_pipelines.engine.joins import EARLY_REACH_DAYS
from mlobs_pipelines.sources.deliveries import Delivery, Slot, UnreadableError
from mlobs_pipelines.steps.ingest.json_values import in_json, type_name
from mlobs_pipelines.steps.ingest.spool import Room, Spool
from mlobs_pipelines.steps.layouts import labels_layout
from mlobs_pipelines.steps.privacy import aliases, protect, protect_raw
from mlobs_pipelines.steps.sampling import sample
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.selection import Between

ROW = "row number"  # no column of a contract can have a space in its name
EVENT_TIME = {"predictions": "predicted_at", "labels": "arrived_at"}
DAY = timedelta(days=1)
AHEAD = DAY  # clocks of producers and the zones of their days differ by less


@dataclass(slots=True)
class Taken:
    """What became of one delivery.

    Attributes
    ----------
    table, slot, delivery
        What it is a delivery of, when, and the delivery itself.
    version
        Version of the contract it was read under.
    good
        Accepted rows as they will be stored.
    bad
        Rows for quarantine.
    left_out
        Ids of the predictions that sampling left out: their labels are no orphans.
    pairs
        Hashes of its identifiers under the previous and the present key, during a rotation.
    rows_in
        Rows read.
    refused
        Why nothing of it was taken; "" otherwise.
    rules, normalised, suspects
        Rows by broken rule; values brought to normal form, by rule; values that look like personal data, by
        column and kind.
    days
        Accepted rows by event day.
    """

    table: Table
    slot: Slot
    delivery: Delivery
    version: str
    good: Spool
    bad: Spool
    left_out: Spool
    pairs: list[pl.DataFrame] = field(default_factory=list)
    rows_in: int = 0
    refused: str = ""
    rules: Counter[str] = field(default_factory=Counter)
    normalised: Counter[str] = field(default_factory=Counter)
    suspects: Counter[tuple[str, str]] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """Name of the delivery within its dataset and day."""
        return f"{self.table.name}/{self.delivery.name}"

    @property
    def unknown_columns(self) -> list[str]:
        """Columns that the contract does not know; none where it knows none, see `_nameless`."""
        delivered, known = {*self.delivery.columns}, {*self.table.names}
        return sorted(delivered - known) if delivered & known else []


def take(walk: Walk, contract: Contract, slot: Slot, delivery: Delivery, room: Room) -> Taken:
    """Read a delivery to its end, or refuse it.

    Parameters
    ----------
    room
        Where rows wait until they are published.
    """
    table = contract.table(slot.table)
    fit = choose(table, contract.older, delivery.columns, slot.day)
    taken = _empty(table, slot, delivery, fit.version or contract.version, room)
    taken.refused = delivery.problem or _nameless(slot, table, delivery) or fit.reason
    if taken.refused:
        taken.rows_in = _count(delivery)
        return taken
    try:
        for read in _frames(walk, contract, taken, fit):
            _keep(walk, contract, taken, *read)
    except UnreadableError as error:
        refused = _empty(table, slot, delivery, taken.version, room)
        refused.rows_in, refused.refused = taken.rows_in, str(error)
        return refused
    return taken


def _empty(table: Table, slot: Slot, delivery: Delivery, version: str, room: Room) -> Taken:
    return Taken(table, slot, delivery, version, Spool(room), Spool(room), Spool(room))


def _nameless(slot: Slot, table: Table, delivery: Delivery) -> str:
    """Say that no column is known, and name none: where a header is missing, names are values of a row."""
    if not delivery.columns or delivery.columns.keys() & {*slot.columns}:
        return ""
    return (
        f"none of its {len(delivery.columns)} columns is one of the contract's: the header is missing, or "
        f"these are rows of another table. Deliver {', '.join(table.names[:3])} and the other columns"
    )


def _count(delivery: Delivery) -> int:
    """Rows of a delivery that is refused already, as far as it can be read."""
    rows = 0
    with suppress(UnreadableError):
        for frame in delivery.frames():
            rows += frame.height
    return rows


def _frames(
    walk: Walk, contract: Contract, taken: Taken, fit: Fit
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, Checked]]:
    """Yield each frame as delivered, numbered, with what the contract says of its rows."""
    seen = Seen()
    unclassified = tuple(name for name in taken.delivery.columns if not _classified(taken.table, name))
    look = partial(_looked_at, fit.table, unclassified)
    for frame, (suspects, checked) in walk.engine.each(look, taken.delivery.frames()):
        taken.suspects.update(suspects)
        numbers = pl.int_range(taken.rows_in, taken.rows_in + frame.height, eager=True).alias(ROW)
        taken.rows_in += frame.height
        known = _under(fit, taken.table, not_seen(fit.table, checked, seen))
        yield frame, numbers.to_frame(), _checked(walk, contract, taken, known)


def _looked_at(
    table: Table, unclassified: Collection[str], frame: pl.DataFrame
) -> tuple[Counter[tuple[str, str]], Checked]:
    """What can be said of a frame without those before it: the work that an engine shares out."""
    return Counter(scan(frame, unclassified)), check_rows(table, frame)


def _classified(table: Table, name: str) -> bool:
    return name in table.names and table.column(name).restricted


def _checked(walk: Walk, contract: Contract, taken: Taken, checked: Checked) -> Checked:
    taken.normalised.update(checked.normalised)
    strays = stray(walk, event_time(walk, contract, taken.table), checked.typed, taken.slot.day)
    unsaid = strays.join(checked.failures, on=["row", "column"], how="anti")
    return Checked(checked.typed, pl.concat([checked.failures, unsaid]), checked.normalised)


def check_under(fit: Fit, table: Table, frame: pl.DataFrame, seen: Seen) -> Checked:
    """Check a frame under the version it fits; rows of an older one become rows of the present table."""
    return _under(fit, table, not_seen(fit.table, check_rows(fit.table, frame), seen))


def _under(fit: Fit, table: Table, checked: Checked) -> Checked:
    if fit.older is None:
        return checked
    raised = upcast(fit.older, table, checked.typed)
    lost = pl.concat([checked.failures, raised.failures]).unique(maintain_order=True)
    again = judge(table, Coerced(raised.typed, lost, checked.normalised))
    return Checked(again.typed, again.failures.unique(maintain_order=True), checked.normalised)


def event_time(walk: Walk, contract: Contract, table: Table) -> str:
    """The column that says on which day a row belongs."""
    if contract.dataset == "features":
        return walk.spec.monitor.feature_views[table.name].event_time
    return EVENT_TIME[contract.dataset]


def stray(walk: Walk, column: str, typed: pl.DataFrame, slot_day: date) -> pl.DataFrame:
    """Failures of rows without an event day, of one ahead of their delivery, or outside of the history."""
    monitor, day = walk.spec.monitor, pl.col(column).dt.date()
    last = min(slot_day + AHEAD, monitor.end_date or date.max)
    rules = {
        "required": pl.col(column).is_null(),
        "future": day > slot_day + AHEAD,
        "history": (day < monitor.start_date) | (day > last) & (day <= slot_day + AHEAD),
    }
    found = [
        typed.select(
            pl.int_range(pl.len(), dtype=pl.Int64).alias("row"), broken=broken.fill_null(value=False)
        )
        .filter("broken")
        .select("row", rule=pl.lit(f"{rule}:{column}"), column=pl.lit(column))
        for rule, broken in rules.items()
    ]
    return pl.concat(found)


def _keep(
    walk: Walk,
    contract: Contract,
    taken: Taken,
    frame: pl.DataFrame,
    numbers: pl.DataFrame,
    checked: Checked,
) -> None:
    failures = checked.failures.unique()
    bad = failures.get_column("row").unique().sort()
    if bad.len():
        taken.rules.update(dict(failures.group_by("rule").len().iter_rows()))
        taken.bad.append(_quarantined(walk, taken, frame, numbers, failures))
    typed = checked.typed.hstack(numbers)
    good = typed.filter(~pl.int_range(pl.len()).is_in(bad.implode())) if bad.len() else typed
    if walk.keys.rotating(taken.slot.day):
        taken.pairs.append(aliases(frame, taken.table, walk.keys, raw=True))
    accept(walk, contract, taken, good)


def accept(walk: Walk, contract: Contract, taken: Taken, good: pl.DataFrame, *, hashed: bool = False) -> None:
    """Keep typed, numbered rows that break no rule: sampled, dated, protected.

    Parameters
    ----------
    hashed
        As of `protect`: whether the rows come from quarantine.
    """
    good = _sampled(walk, contract, taken, good)
    column = event_time(walk, contract, taken.table)
    dated = good.with_columns(day=pl.col(column).dt.date().cast(pl.String))
    taken.days.update(dict(dated.group_by("day").len().iter_rows()))
    taken.good.append(_stored(walk, taken, dated, hashed=hashed))


def _sampled(walk: Walk, contract: Contract, taken: Taken, good: pl.DataFrame) -> pl.DataFrame:
    rule = walk.spec.monitor.sampling
    if contract.dataset != "predictions" or rule is None:
        return good
    kept, left_out = sample(good, rule, _labelled(walk, taken, good) if rule.keep.labelled else None)
    origin = {"day": pl.lit(taken.slot.day.isoformat()), "delivery": pl.lit(taken.name)}
    taken.left_out.append(left_out.select("prediction_id", **origin))
    return kept


def _labelled(walk: Walk, taken: Taken, good: pl.DataFrame) -> pl.Series:
    """Ids among some predictions whose label had arrived by the end of their day of delivery.

    Of labels that the lake has by now: ingest them first where the same sample is wanted of every run.
    """
    first = good.get_column(EVENT_TIME["predictions"]).dt.date().min()
    if not isinstance(first, date):
        return pl.Series([], dtype=pl.String)
    span = Between((first - EARLY_REACH_DAYS * DAY).isoformat(), taken.slot.day.isoformat())
    layout = labels_layout(walk.spec)
    ids = walk.lake.read(walk.model, layout, where={"day": span}, columns=["prediction_id"])
    return pl.DataFrame(ids).to_series().unique()


def _stored(walk: Walk, taken: Taken, rows: pl.DataFrame, *, hashed: bool) -> pl.DataFrame:
    origin = {
        "delivered_on": pl.lit(taken.slot.day.isoformat()),
        "delivery": pl.lit(taken.name),
        "delivery_row": pl.col(ROW),
    }
    hidden = protect(rows, taken.table, walk.keys, hashed=hashed)
    return hidden.with_columns(view=pl.lit(taken.table.name), **origin).drop(ROW)


def _quarantined(
    walk: Walk, taken: Taken, frame: pl.DataFrame, numbers: pl.DataFrame, failures: pl.DataFrame
) -> pl.DataFrame:
    reasons = failures.group_by("row").agg(
        rules=pl.col("rule").unique().sort(), columns=pl.col("column").unique().sort()
    )
    reasons = reasons.sort("row")
    places = reasons.get_column("row")
    # A column that the contract does not know has no classification, so it must not be kept anywhere.
    hidden = protect_raw(frame[places], taken.table, walk.keys)
    return reasons.select(
        dataset=pl.lit(""),
        day=pl.lit(taken.slot.day.isoformat()),
        table=pl.lit(taken.table.name),
        delivery=pl.lit(taken.name),
        sha256=pl.lit(taken.delivery.sha256),
        row_number=numbers.get_column(ROW)[places],
        rules=pl.col("rules"),
        columns=pl.col("columns"),
        contract_version=pl.lit(taken.version),
        key_id=pl.lit(walk.keys.current.key_id),
        row_json=_as_json(hidden),
        row_types=pl.lit(json.dumps({name: type_name(kind) for name, kind in hidden.schema.items()})),
        released_at=pl.lit(None, pl.Datetime("us", "UTC")),
    )


def _as_json(rows: pl.DataFrame) -> pl.Series:
    if not rows.width:
        return pl.Series("row_json", ["{}"] * rows.height, pl.String)
    plain = rows.select(in_json(rows.get_column(name)) for name in rows.columns)
    return plain.select(row_json=pl.struct(pl.all()).struct.json_encode()).to_series()
