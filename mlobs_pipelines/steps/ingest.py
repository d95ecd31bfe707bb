"""Ingest: read the deliveries of days, enforce the contract row by row, publish what is good.

Nothing is dropped: a row that breaks a rule goes to quarantine with its reasons, a file that cannot be used
is refused with one. Identifiers the contract restricts are hashed before anything is stored.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa

from mlobs_pipelines.contracts.odcs import Contract, Dataset, Table
from mlobs_pipelines.contracts.rows import check_rows, extra_columns, missing_columns
from mlobs_pipelines.settings import HashKey
from mlobs_pipelines.sources.files import Delivery, read_file
from mlobs_pipelines.steps.layouts import features_layout, labels_layout, predictions_layout
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk, chunks, keys
from mlobs_pipelines.store.lake import PartitionVersion
from mlobs_pipelines.store.layout import TableLayout
from mlobs_pipelines.store.tables import DELIVERIES, QUARANTINE

ROW = "row number"  # no column of a contract can have a space in its name
EVENT_TIME = {"predictions": "predicted_at", "labels": "arrived_at"}
LAYOUTS = {"predictions": predictions_layout, "features": features_layout, "labels": labels_layout}


@dataclass(slots=True)
class _Day:
    """What became of one day's deliveries while it is being ingested."""

    good: list[pl.DataFrame] = field(default_factory=list)
    bad: list[pl.DataFrame] = field(default_factory=list)
    deliveries: list[dict[str, object]] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    rows_in: int = 0


def ingest(walk: Walk, dataset: Dataset, days: Sequence[date]) -> Outcomes:
    """Ingest a dataset's deliveries of some days, each day published as a whole.

    Parameters
    ----------
    days
        Event days; for labels, days of arrival.

    Returns
    -------
    dict of date to Outcome
        Also for a day without a delivery, which becomes an empty partition.
    """
    contract: Contract = getattr(walk.spec, dataset)
    outcomes: Outcomes = {}
    for chunk in chunks(f"ingest {dataset}", days):
        worked = {day: _ingest_day(walk, contract, day) for day in chunk}
        outcomes |= _publish(walk, contract, worked)
    return outcomes


def _ingest_day(walk: Walk, contract: Contract, day: date) -> _Day:
    worked = _Day()
    for table in contract.tables:
        path = contract.server.location(str(walk.landing), table.name, day)
        delivery = read_file(Path(path), contract.server.format)
        _accept(walk, contract, table, delivery, day, worked)
    return worked


def _accept(walk: Walk, contract: Contract, table: Table, delivery: Delivery, day: date, into: _Day) -> None:
    rows = 0 if delivery.frame is None else delivery.frame.height
    into.rows_in += rows
    reason = _refusal(table, delivery)
    if delivery.frame is None or reason:
        state = "missing" if delivery.missing else "refused"
        into.deliveries.append(_record(contract, table, delivery, state, (rows, 0, 0), reason))
        return
    typed, failures = _judge(table, delivery.frame, _event_time(walk, contract, table), day)
    bad = failures.get_column("row").unique()
    good = typed.filter(~pl.col(ROW).is_in(bad.implode())).drop(ROW)
    into.good.append(_hashed(good, table, walk.key).with_columns(view=pl.lit(table.name)))
    if bad.len():
        into.bad.append(_quarantined(delivery, table, failures, walk.key))
    into.rules.update(dict(failures.group_by("rule").len().iter_rows()))
    state = "partial" if bad.len() else "accepted"
    counts = (rows, good.height, bad.len())
    into.deliveries.append(_record(contract, table, delivery, state, counts, _reason(failures)))


def _event_time(walk: Walk, contract: Contract, table: Table) -> str:
    if contract.dataset == "features":
        return walk.spec.monitor.feature_views[table.name].event_time
    return EVENT_TIME[contract.dataset]


def _refusal(table: Table, delivery: Delivery) -> str:
    if delivery.frame is None:
        return delivery.problem
    absent = missing_columns(table, delivery.frame.columns)
    if not absent:
        return ""
    extra = extra_columns(table, delivery.frame.columns)
    unknown = f"; columns the contract does not know: {', '.join(extra)} (renamed?)" if extra else ""
    return (
        f"{delivery.name}: missing column {', '.join(absent)}{unknown}. Nothing of this file was ingested: "
        "deliver it with the contract's columns, or change the contract"
    )


def _judge(
    table: Table, frame: pl.DataFrame, event_time: str, day: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    checked = check_rows(table, frame)
    numbered = _numbered(checked.typed)
    # A null time is reported by the contract's own `required`, and is no row of another day.
    other_day = pl.col(event_time).dt.date() != day
    rule = {"rule": pl.lit(f"day:{event_time}"), "column": pl.lit(event_time)}
    stray = numbered.filter(other_day).select(pl.col(ROW).alias("row"), **rule)
    return numbered, pl.concat([checked.failures.select("row", "rule", "column"), stray])


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))


def _reason(failures: pl.DataFrame) -> str:
    counts = failures.group_by("rule").len().sort(["len", "rule"], descending=[True, False])
    return "; ".join(f"{rule}: {count} rows" for rule, count in counts.iter_rows())


def _record(
    contract: Contract,
    table: Table,
    delivery: Delivery,
    state: str,
    counts: tuple[int, int, int],
    reason: str,
) -> dict[str, object]:
    rows_in, accepted, quarantined = counts
    return {
        "delivery": f"{table.name}/{delivery.name}",
        "sha256": delivery.sha256,
        "bytes": delivery.size,
        "state": state,
        "rows_in": rows_in,
        "accepted": accepted,
        "quarantined": quarantined,
        "reason": reason,
        "contract_version": contract.version,
        "contract_hash": contract.hash,
    }


def hash_identifier(value: str, key: HashKey) -> str:
    """Replace an identifier by its keyed hash: HMAC-SHA-256, the first 32 hex digits.

    Source: RFC 2104; RFC 4868 on truncation to half the output.
    """
    return hmac.new(key.secret, value.encode(), hashlib.sha256).hexdigest()[:32]


def _hashed(frame: pl.DataFrame, table: Table, key: HashKey) -> pl.DataFrame:
    for name in table.restricted:
        values = _text(frame.get_column(name))
        distinct = values.drop_nulls().unique()
        hashes = pl.Series([hash_identifier(value, key) for value in distinct], dtype=pl.String)
        frame = frame.with_columns(values.replace_strict(distinct, hashes, default=None).alias(name))
    return frame


def _text(values: pl.Series) -> pl.Series:
    """Values of any type as text: bytes as hexadecimal digits, lists and structs as they print."""
    if values.dtype == pl.Binary:
        return values.bin.encode("hex")
    if values.dtype.is_nested():
        return pl.Series(values.name, [None if v is None else repr(v) for v in values.to_list()], pl.String)
    return values.cast(pl.String)


def _quarantined(delivery: Delivery, table: Table, failures: pl.DataFrame, key: HashKey) -> pl.DataFrame:
    reasons = failures.group_by("row").agg(
        rules=pl.col("rule").unique().sort(), columns=pl.col("column").unique().sort()
    )
    # A column that the contract does not know has no classification, so it must not be kept anywhere.
    frame = pl.DataFrame() if delivery.frame is None else delivery.frame.select(table.names)
    bytes_in = [name for name, kind in frame.schema.items() if "Binary" in str(kind)]
    frame = frame.with_columns(_text(frame.get_column(name)) for name in bytes_in)  # JSON has no bytes
    rows = _hashed(frame, table, key).select(row_json=pl.struct(pl.all()).struct.json_encode())
    kept = _numbered(rows).join(reasons, left_on=ROW, right_on="row").sort(ROW)
    return kept.select(
        delivery=pl.lit(f"{table.name}/{delivery.name}"),
        row_number=pl.col(ROW),
        rules=pl.col("rules"),
        columns=pl.col("columns"),
        row_json=pl.col("row_json"),
    )


def _publish(walk: Walk, contract: Contract, worked: dict[date, _Day]) -> Outcomes:
    commit = {**walk.commit, "contract_version": contract.version, "contract_hash": contract.hash}
    commit["hmac_key_id"] = walk.key.key_id
    layout = LAYOUTS[contract.dataset](walk.spec)
    rows = pa.concat_tables([_rows(layout, day, found) for day, found in worked.items()])
    versions = walk.lake.replace(walk.model, layout, keys(list(worked)), rows, commit=commit)
    _record_evidence(walk, contract, worked, commit)
    return {day: _outcome(found, versions[(day.isoformat(),)]) for day, found in worked.items()}


def _rows(layout: TableLayout, day: date, worked: _Day) -> pa.Table:
    fields = [item for item in layout.schema if item.name != "day"]
    if not worked.good:
        return layout.schema.empty_table()
    frame = pl.concat(worked.good, how="diagonal_relaxed")
    missing = [pl.lit(None).alias(item.name) for item in fields if item.name not in frame.columns]
    arrow = frame.with_columns(*missing, day=pl.lit(day.isoformat())).select(layout.schema.names).to_arrow()
    return arrow.cast(layout.schema)


def _record_evidence(
    walk: Walk, contract: Contract, worked: dict[date, _Day], commit: dict[str, str]
) -> None:
    partitions = [(contract.dataset, day.isoformat()) for day in worked]
    bad, seen = [], []
    for day, found in worked.items():
        key = {"dataset": contract.dataset, "day": day.isoformat()}
        seen += [{**key, **record} for record in found.deliveries]
        facts = {name: pl.lit(value) for name, value in key.items()}
        bad += [frame.with_columns(**facts, contract_version=pl.lit(contract.version)) for frame in found.bad]
    schema = QUARANTINE.schema
    quarantine = pl.concat(bad).select(schema.names).to_arrow().cast(schema) if bad else schema.empty_table()
    walk.lake.replace(walk.model, QUARANTINE, partitions, quarantine, commit=commit)
    records = pa.Table.from_pylist(seen, schema=DELIVERIES.schema)
    walk.lake.replace(walk.model, DELIVERIES, partitions, records, commit=commit)


def _outcome(worked: _Day, version: PartitionVersion) -> Outcome:
    states = Counter(str(record["state"]) for record in worked.deliveries)
    reasons = [str(record["reason"]) for record in worked.deliveries if record["reason"]]
    accepted = sum(frame.height for frame in worked.good)
    inputs = {
        str(record["delivery"]): str(record["sha256"]) for record in worked.deliveries if record["sha256"]
    }
    facts = {f"deliveries_{state}": count for state, count in sorted(states.items())}
    quarantined = sum(frame.height for frame in worked.bad)
    return Outcome(worked.rows_in, accepted, quarantined, version, inputs, facts, "; ".join(reasons))
