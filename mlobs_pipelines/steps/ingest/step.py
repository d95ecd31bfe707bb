"""The ingest step: read the slots of some days, publish the event days they touch.

Nothing is dropped: a row that breaks a rule goes to quarantine with its reasons, a row that says again what
another said stands back beside its table, a delivery that cannot be used is refused with a reason.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

import polars as pl

from mlobs_pipelines.contracts.odcs import Contract, Dataset, Table
from mlobs_pipelines.sources.deliveries import Delivery, Place, Slot
from mlobs_pipelines.sources.registry import SOURCES
from mlobs_pipelines.steps.arrivals import WAITING, spelled, waiting
from mlobs_pipelines.steps.ingest.evidence import (
    REFUSED,
    earlier,
    records,
    withdrawn,
    write_aliases,
    write_left_out,
    write_quarantine,
    write_records,
)
from mlobs_pipelines.steps.ingest.intake import Taken, take
from mlobs_pipelines.steps.ingest.judging import judge
from mlobs_pipelines.steps.ingest.publication import LARGE, Batch, publish
from mlobs_pipelines.steps.ingest.spool import Room, waiting_room
from mlobs_pipelines.steps.layouts import features_layout, labels_layout, predictions_layout
from mlobs_pipelines.steps.privacy import hash_text
from mlobs_pipelines.steps.walk import Evidence, Outcome, Outcomes, Walk, chunks
from mlobs_pipelines.store.lake import PartitionVersion

LAYOUTS = {"predictions": predictions_layout, "features": features_layout, "labels": labels_layout}


def ingest(walk: Walk, dataset: Dataset, days: Sequence[date]) -> Outcomes:
    """Ingest a dataset's deliveries of some days.

    Parameters
    ----------
    days
        Days of delivery. Rows land in their event day, whichever that is.

    Returns
    -------
    dict of date to Outcome
        For the given days, also those without a delivery, and for every other day whose rows changed. Facts
        of labels name the prediction days that have been joined without them.
    """
    contract = walk.spec.contract(dataset)
    outcomes: Outcomes = {}
    for chunk in chunks(f"ingest {dataset}", days):
        with waiting_room(walk.duck.spill) as room:
            for some, taken in _read(walk, contract, chunk, room):
                for day, outcome in _publish(walk, contract, some, taken).items():
                    outcomes[day] = _latest(outcomes.get(day), outcome, own=day in some)
    return _waited_for(walk, outcomes) if dataset == "labels" else outcomes


def _waited_for(walk: Walk, outcomes: Outcomes) -> Outcomes:
    found = waiting(walk, sorted(outcomes))
    return {
        day: replace(one, facts={**one.facts, WAITING: spelled(found[day])}) if found[day] else one
        for day, one in outcomes.items()
    }


def _read(
    walk: Walk, contract: Contract, days: Sequence[date], room: Room
) -> Iterator[tuple[list[date], list[Taken]]]:
    """Yield days with their deliveries, as many at once as are published together."""
    some: list[date] = []
    taken: list[Taken] = []
    for day in days:
        some.append(day)
        for slot, delivery in deliveries(walk, contract, day):
            taken.append(take(walk, contract, slot, delivery, room))
        if sum(one.rows_in for one in taken) > LARGE:
            yield some, taken
            some, taken = [], []
    if some:
        yield some, taken


def deliveries(walk: Walk, contract: Contract, day: date) -> Iterator[tuple[Slot, Delivery]]:
    """Yield the deliveries of each table of a contract on one day, with every column they have."""
    server = contract.server
    in_landing = "{landing}" in server.location
    place = Place(
        kind=server.type,
        format=server.format,
        location=server.location.replace("{landing}", str(walk.landing)),
        options={**server.options, **({"root": str(walk.landing)} if in_landing else {})},
        access=walk.access.get(server.name, {}),
    )
    for table in contract.tables:
        older = [one for version in contract.older for one in version.tables if one.name == table.name]
        known = dict.fromkeys(name for one in (table, *older) for name in one.names)
        # What looks like personal data is looked for in columns that nobody declared too.
        slot = Slot(table.name, day, tuple(known), every=True)
        for delivery in SOURCES[place.kind](place, slot):
            yield slot, replace(delivery, name=_unnamed(walk, table, delivery.name))


def _unnamed(walk: Walk, table: Table, name: str) -> str:
    """A delivery's name with the values of identifying columns in its folders hashed, as in customer=…/."""
    for column in table.restricted:
        for value in re.findall(rf"(?<![^/]){re.escape(column)}=([^/]*)", name):
            name = name.replace(f"{column}={value}", f"{column}={hash_text(value, walk.keys.current)}")
    return name


def _publish(walk: Walk, contract: Contract, days: list[date], taken: list[Taken]) -> Outcomes:
    read = [one for one in taken if not one.refused]
    before = earlier(walk, contract, days)
    outdated = withdrawn(before, read)
    names = list(outdated.select("day", "delivery").iter_rows())
    batch = batch_of(walk, contract, read, names)
    found = records(batch, taken, before)
    touched = _touched(days, found, before)
    if set(touched) - {day.isoformat() for day in days}:
        # Said before it is done: a run that ends in between leaves a word of which days it reached.
        write_records(batch, days, partial(_reaching, batch, taken))
    write_aliases(batch, read)
    write_left_out(batch, days, read)
    versions = publish(batch, touched)
    write_quarantine(batch, days, taken, found)
    found = write_records(batch, days, partial(records, batch, taken), touched)
    judge(batch, touched)
    return {date.fromisoformat(day): _outcome(day, found, version) for day, version in versions.items()}


def batch_of(
    walk: Walk, contract: Contract, taken: Sequence[Taken], withdrawn: Sequence[tuple[str, str]] = ()
) -> Batch:
    """Deliveries to be published together, with what their commits say."""
    commit = {
        **walk.commit,
        "contract_version": contract.version,
        "contract_hash": contract.hash,
        "hmac_key_id": walk.keys.current.key_id,
    }
    return Batch(walk, contract, LAYOUTS[contract.dataset](walk.spec), taken, commit, withdrawn)


def _touched(days: Sequence[date], found: pl.DataFrame, before: pl.DataFrame) -> list[str]:
    reached = pl.concat([found, before]).get_column("event_days").explode().drop_nulls()
    return sorted({day.isoformat() for day in days} | set(reached))


def _reaching(batch: Batch, taken: list[Taken], before: pl.DataFrame) -> pl.DataFrame:
    """Records that name the days their deliveries reach now and those they reached before."""
    found, outdated = records(batch, taken, before), withdrawn(before, taken)
    # One name may have several records: of the file whose rows are there, and of those refused since.
    was = before.group_by("day", "delivery").agg(was=pl.col("event_days").explode().drop_nulls())
    joined = found.join(was, on=["day", "delivery"], how="left", maintain_order="left")
    both = pl.concat_list("event_days", pl.col("was").fill_null([])).list.unique().list.sort()
    reached = pl.when(pl.col("state") == REFUSED).then("event_days").otherwise(both)
    return pl.concat([joined.with_columns(event_days=reached).select(found.columns), outdated])


def _latest(before: Outcome | None, now: Outcome, *, own: bool) -> Outcome:
    """What became of a day that is published several times in a run: its own deliveries, its last rows."""
    if before is None:
        return now
    changed = before.version.changed or now.version.changed
    version = replace(now.version, changed=changed)
    return replace(now if own else before, rows_out=version.rows, version=version)


def _outcome(day: str, found: pl.DataFrame, version: PartitionVersion) -> Outcome:
    mine = found.filter(pl.col("day") == day)
    counts = {
        name: int(mine.get_column(name).sum()) for name in ("rows_in", "quarantined", "repeated", "refused")
    }
    states = dict(mine.group_by("state").len().sort("state").iter_rows())
    facts: dict[str, Evidence] = {f"deliveries_{state}": count for state, count in states.items()}
    facts |= {name: counts[name] for name in ("repeated", "refused") if counts[name]}
    elsewhere = sorted(set(mine.get_column("event_days").explode().drop_nulls()) - {day})
    if elsewhere:
        facts["rows_of_other_days"] = f"{len(elsewhere)} days from {elsewhere[0]} to {elsewhere[-1]}"
    inputs = dict(mine.filter(pl.col("state") != REFUSED).select("delivery", "sha256").iter_rows())
    reasons = [
        f"{name}: {reason}" for name, reason in mine.select("delivery", "reason").iter_rows() if reason
    ]
    return Outcome(
        counts["rows_in"], version.rows, counts["quarantined"], version, inputs, facts, "; ".join(reasons)
    )
