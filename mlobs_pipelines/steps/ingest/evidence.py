"""What is kept about deliveries: their records, their rows in quarantine, pairs of hashes.

A delivery keeps its record when it vanishes from its source, and a row in quarantine its mark of release when
it is read again.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial

import polars as pl
import pyarrow as pa

from mlobs_pipelines.contracts.odcs import Contract
from mlobs_pipelines.steps.ingest.intake import Taken
from mlobs_pipelines.steps.ingest.publication import LARGE, LARGE_ASIDE, Batch, delivered_on
from mlobs_pipelines.steps.ingest.repeats import RELEASED
from mlobs_pipelines.steps.walk import Walk, texts
from mlobs_pipelines.store.lake import Where
from mlobs_pipelines.store.tables import DELIVERIES, HASH_ALIASES, QUARANTINE, SAMPLED_OUT

ACCEPTED, PARTIAL, REFUSED = "accepted", "partial", "refused"
RECORD = pl.Schema(DELIVERIES.schema)


def earlier(walk: Walk, contract: Contract, days: Sequence[date]) -> pl.DataFrame:
    """Records of the deliveries that some days had before."""
    where: Where = {"dataset": [contract.dataset], "day": texts(days)}
    return pl.DataFrame(walk.lake.read(walk.model, DELIVERIES, where=where)).cast(RECORD)


def records(batch: Batch, taken: Sequence[Taken], before: pl.DataFrame) -> pl.DataFrame:
    """Records of the deliveries of some days, those that are no longer at their source too.

    A delivery that was refused stands beside an earlier one of its name, whose rows stay.
    """
    new = pl.DataFrame([record(batch, one) for one in taken], schema=RECORD)
    replaced = new.filter(pl.col("state") != REFUSED)
    kept = before.join(replaced, on=["day", "delivery"], how="anti")
    kept = kept.join(withdrawn(before, taken), on=["day", "delivery", "sha256"], how="anti")
    # The very same file can be accepted under one contract and refused under the next: its rows stay too.
    refused = new.filter(pl.col("state") == REFUSED)
    kept = kept.join(refused, on=["day", "delivery", "sha256", "state"], how="anti")
    return pl.concat([kept.with_columns(at_source=pl.lit(value=False)), new]).sort(
        "day", "delivery", "sha256", "state"
    )


def withdrawn(before: pl.DataFrame, taken: Sequence[Taken]) -> pl.DataFrame:
    """Records of rows that left quarantine and whose delivery came again with other content.

    As its accepted rows they are replaced by what the delivery says now.
    """
    now = [
        (one.slot.day.isoformat(), one.name + RELEASED, one.delivery.sha256)
        for one in taken
        if not one.refused
    ]
    schema = dict.fromkeys(("day", "delivery", "now"), pl.String)
    known = before.join(pl.DataFrame(now, schema=schema, orient="row"), on=["day", "delivery"])
    return known.filter(pl.col("sha256") != pl.col("now")).select(before.columns)


def write_records(
    batch: Batch,
    days: Sequence[date],
    found: Callable[[pl.DataFrame], pl.DataFrame],
    touched: Sequence[str] = (),
) -> pl.DataFrame:
    """Publish the records of some days, with how many rows of each delivery stand back by now.

    Parameters
    ----------
    found
        Makes them of those that the days have; called again where another run has written meanwhile.
    touched
        Event days that were published: rows on them that other days delivered may stand back now, or again.

    Returns
    -------
    polars.DataFrame
        The records as published.
    """
    elsewhere = sorted(delivered_on(batch, touched) - set(texts(days))) if touched else []
    written: list[pl.DataFrame] = []

    def compute() -> pa.Table:
        others = earlier(batch.walk, batch.contract, [date.fromisoformat(day) for day in elsewhere])
        mine = found(earlier(batch.walk, batch.contract, days))
        written.append(_counted(batch, pl.concat([mine, others])))
        return written[-1].to_arrow().cast(DELIVERIES.schema)

    partitions = [(batch.contract.dataset, day) for day in sorted({*texts(days), *elsewhere})]
    batch.walk.lake.update(batch.walk.model, DELIVERIES, partitions, compute, commit=batch.commit)
    return written[-1].filter(pl.col("day").is_in(texts(days)))


def write_quarantine(batch: Batch, days: Sequence[date], taken: Sequence[Taken], found: pl.DataFrame) -> None:
    """Publish the rows in quarantine of some days."""
    gone = found.filter(~pl.col("at_source"))
    bad = {one.slot.day.isoformat() for one in taken if one.bad.rows and not one.refused}
    held = bad.union(gone["day"])
    clean = [(batch.contract.dataset, day) for day in texts(days) if day not in held]
    batch.walk.lake.replace(batch.walk.model, QUARANTINE, clean, QUARANTINE.empty(), commit=batch.commit)
    for day in sorted(held):
        mine = [one for one in taken if one.slot.day.isoformat() == day and not one.refused]
        _write_quarantine(batch, day, mine, gone.filter(pl.col("day") == day))


def _write_quarantine(batch: Batch, day: str, taken: Sequence[Taken], gone: pl.DataFrame) -> None:
    lake, model, partition = batch.walk.lake, batch.walk.model, (batch.contract.dataset, day)
    marks = _marks(batch, day)
    kept = _quarantine(batch, marks.join(gone, on=["delivery", "sha256"], how="semi"))
    rows = partial(_kept_and_bad, batch, kept, taken, marks)
    if kept.num_rows + sum(one.bad.rows for one in taken) > LARGE_ASIDE:
        lake.stream(model, QUARANTINE, partition, rows, commit=batch.commit)
    else:
        lake.replace(model, QUARANTINE, [partition], pa.concat_tables(rows()), commit=batch.commit)


def _kept_and_bad(
    batch: Batch, kept: pa.Table, taken: Sequence[Taken], marks: pl.DataFrame
) -> Iterator[pa.Table]:
    yield kept
    yield from _bad_rows(batch, taken, marks)


def write_aliases(batch: Batch, taken: Sequence[Taken]) -> None:
    """Publish the pairs of hashes that were taken during a rotation, beside those that the days have.

    What a delivery brought that has vanished since is joined by them still.
    """
    by_day: dict[str, list[pl.DataFrame]] = {}
    for one in taken:
        by_day.setdefault(one.slot.day.isoformat(), []).extend(one.pairs)
    for day, pairs in by_day.items():
        if pairs:
            dataset, names = batch.contract.dataset, HASH_ALIASES.schema.names
            where: Where = {"dataset": dataset, "day": day}
            known = pl.DataFrame(batch.walk.lake.read(batch.walk.model, HASH_ALIASES, where=where))
            new = pl.concat(pairs).with_columns(dataset=pl.lit(dataset), day=pl.lit(day))
            rows = pl.concat([known.select(names), new.select(names)], how="vertical_relaxed").unique()
            table = rows.to_arrow().cast(HASH_ALIASES.schema)
            key = [(dataset, day)]
            batch.walk.lake.replace(batch.walk.model, HASH_ALIASES, key, table, commit=batch.commit)


def write_left_out(batch: Batch, days: Sequence[date], taken: Sequence[Taken]) -> None:
    """Publish the ids of predictions that sampling left out."""
    if batch.contract.dataset != "predictions" or batch.walk.spec.monitor.sampling is None:
        return
    for day in texts(days):
        mine = [one for one in taken if one.slot.day.isoformat() == day]
        others = _left_out_by_others(batch, day, mine)
        frames = [others, *(frame for one in mine for frame in one.left_out.frames())]
        rows = [
            frame.select(SAMPLED_OUT.schema.names).to_arrow().cast(SAMPLED_OUT.schema) for frame in frames
        ]
        if sum(table.num_rows for table in rows) > LARGE:
            batch.walk.lake.stream(
                batch.walk.model, SAMPLED_OUT, (day,), partial(iter, rows), commit=batch.commit
            )
        else:
            table = pa.concat_tables([SAMPLED_OUT.empty(), *rows])
            batch.walk.lake.replace(batch.walk.model, SAMPLED_OUT, [(day,)], table, commit=batch.commit)


def record(batch: Batch, taken: Taken) -> dict[str, object]:
    """What is on record about a delivery once it was taken or refused."""
    accepted, bad = sum(taken.days.values()), taken.bad.rows
    counts = sorted(taken.rules.items(), key=lambda item: (-item[1], item[0]))
    reason = taken.refused or "; ".join(f"{rule}: {rows} rows" for rule, rows in counts)
    return {
        "dataset": batch.contract.dataset,
        "day": taken.slot.day.isoformat(),
        "table": taken.table.name,
        "delivery": taken.name,
        "sha256": taken.delivery.sha256,
        "bytes": taken.delivery.size,
        "state": REFUSED if taken.refused else PARTIAL if bad else ACCEPTED,
        "rows_in": taken.rows_in,
        "accepted": accepted,
        "repeated": 0,
        "quarantined": bad,
        "refused": taken.rows_in if taken.refused else 0,
        "sampled_out": taken.left_out.rows,
        "reason": reason,
        "contract_version": taken.version,
        "contract_hash": batch.contract.hash,
        "key_id": batch.walk.keys.current.key_id,
        "at_source": True,
        "event_days": sorted(taken.days),
        "normalised": json.dumps(dict(sorted(taken.normalised.items()))),
        "suspects": json.dumps(
            {f"{column}: {kind}": n for (column, kind), n in sorted(taken.suspects.items())}
        ),
        "unknown_columns": taken.unknown_columns,
    }


def _left_out_by_others(batch: Batch, day: str, taken: Sequence[Taken]) -> pl.DataFrame:
    """What sampling left out of deliveries that are not read now: their labels are no orphans either."""
    known = pl.DataFrame(batch.walk.lake.read(batch.walk.model, SAMPLED_OUT, where={"day": day}))
    gone = [name for _, name in batch.withdrawn]
    return known.filter(~pl.col("delivery").is_in([*(one.name for one in taken), *gone]))


def _counted(batch: Batch, found: pl.DataFrame) -> pl.DataFrame:
    reached = found.get_column("event_days").explode().drop_nulls().unique().to_list()
    beaten = _beaten(batch, reached)
    names = {"delivered_on": "day", "delivery": "delivery"}
    counts = beaten.group_by(list(names)).len("beaten").rename(names)
    joined = found.join(counts, on=["day", "delivery"], how="left", maintain_order="left")
    # The record of a refused file has no rows, though an earlier file of its name may have some.
    is_refused = pl.col("state") == REFUSED
    repeated = pl.when(is_refused).then(0).otherwise(pl.col("beaten").fill_null(0)).cast(pl.Int64)
    total = pl.col("accepted") + pl.col("repeated")
    return joined.with_columns(accepted=total - repeated, repeated=repeated).select(list(RECORD))


def _beaten(batch: Batch, days: list[str]) -> pl.DataFrame:
    columns = ["delivered_on", "delivery", "reason"]
    rows = batch.walk.lake.read(batch.walk.model, batch.repeats, where={"day": days}, columns=columns)
    return pl.DataFrame(rows)


def _marks(batch: Batch, day: str) -> pl.DataFrame:
    where = {"dataset": batch.contract.dataset, "day": day}
    return pl.DataFrame(batch.walk.lake.read(batch.walk.model, QUARANTINE, where=where))


def _bad_rows(batch: Batch, taken: Sequence[Taken], marks: pl.DataFrame) -> Iterator[pa.Table]:
    released = marks.filter(pl.col("released_at").is_not_null())
    known = released.select("delivery", "sha256", "row_number", marked_at="released_at")
    for one in taken:
        for frame in one.bad.frames():
            marked = frame.join(
                known, on=["delivery", "sha256", "row_number"], how="left", maintain_order="left"
            )
            mark = pl.coalesce(pl.col("released_at"), pl.col("marked_at"))
            yield _quarantine(batch, marked.with_columns(released_at=mark))


def _quarantine(batch: Batch, rows: pl.DataFrame) -> pa.Table:
    named = rows.with_columns(dataset=pl.lit(batch.contract.dataset))
    return named.select(QUARANTINE.schema.names).to_arrow().cast(QUARANTINE.schema)
