"""What changed upstream of the metrics about when an incident began: deliveries, contracts, releases.

The records of the deliveries and of the commits are asked; no row of a delivery is read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from mlobs_pipelines.contracts.odcs import DATASETS, Dataset
from mlobs_pipelines.core.causes import EVERYTHING, Suspect, surprise
from mlobs_pipelines.core.vocabulary import Floats
from mlobs_pipelines.steps.series import DAY, Panel
from mlobs_pipelines.steps.suspects import Sign, changes_of, extent
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Between
from mlobs_pipelines.store.tables import DELIVERIES

SERIES = {
    "refused deliveries": Sign("delivery", 1, 1.0),
    "share of rows in quarantine": Sign("delivery", 1, 0.05),
    "share of rows delivered again": Sign("delivery", 1, 0.05),
    "accepted rows": Sign("delivery", 0, 0.5, ratio=True),
    "days late": Sign("delivery", 1, 1.0),
}
HABIT = 0.8  # share of days with a delivery from which on a day without one is remarkable
Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What each table of a dataset was delivered, by day from `first`.

    Attributes
    ----------
    values : (series, D)
        By table, in the order of `SERIES`.
    facts
        By table and day: what the contract was, and which columns it did not know.
    """

    first: date
    values: Mapping[tuple[Dataset, str], Floats]
    facts: Mapping[tuple[Dataset, str], Mapping[int, tuple[frozenset[str], frozenset[str]]]]


def deliveries(walk: Walk, first: date, last: date) -> Deliveries:
    """Read the records of the deliveries of some days."""
    size = (last - first).days + 1
    values, facts = {}, {}
    span = Between(first.isoformat(), last.isoformat())
    for dataset in DATASETS:
        records = walk.lake.read(walk.model, DELIVERIES, where={"dataset": dataset, "day": span}).to_pylist()
        promised = walk.spec.contract(dataset).frequency_days
        for table in walk.spec.contract(dataset).names:
            mine: dict[int, list[Mapping[str, Any]]] = {}
            for row in records:
                if row["table"] == table:
                    mine.setdefault((date.fromisoformat(row["day"]) - first).days, []).append(row)
            values[dataset, table] = _values(mine, size, promised)
            facts[dataset, table] = {at: _facts(rows) for at, rows in mine.items()}
    return Deliveries(first, values, facts)


def _values(mine: Mapping[int, Records], size: int, promised: int | None) -> Floats:
    """Series of one table; a day without a delivery has no rows where deliveries come daily."""
    found = np.full((len(SERIES), size), np.nan)
    for at, rows in mine.items():
        found[:, at] = _day(rows)
    daily = promised == 1 or (promised is None and mine and len(mine) >= HABIT * (size - min(mine)))
    if mine and daily:
        quiet = [at for at in range(min(mine), size) if at not in mine]
        found[list(SERIES).index("accepted rows"), quiet] = 0.0
    return found


def _day(rows: Records) -> list[float]:
    counts = {
        name: sum(row[name] or 0 for row in rows)
        for name in ("rows_in", "accepted", "repeated", "quarantined")
    }
    whole = max(counts["rows_in"], 1)
    return [
        float(sum(row["state"] == "refused" for row in rows)),
        counts["quarantined"] / whole,
        counts["repeated"] / whole,
        float(counts["accepted"]),
        max((_late(row) for row in rows), default=0.0),
    ]


def _late(row: Mapping[str, Any]) -> float:
    """Days between the newest row of a delivery and its own day."""
    days = row["event_days"] or [row["day"]]
    return float(max(0, (date.fromisoformat(row["day"]) - date.fromisoformat(max(days))).days))


def _facts(rows: Records) -> tuple[frozenset[str], frozenset[str]]:
    contracts = frozenset(row["contract_hash"] or "" for row in rows)
    return contracts, frozenset(name for row in rows for name in row["unknown_columns"] or ())


def delivery_suspects(known: Deliveries, begins: tuple[date, date], last: date) -> Iterator[Suspect]:
    """Deliveries that failed, shrank, grew or came late, and contracts or columns that changed."""
    size = (last - known.first).days + 1
    sides = np.array([sign.side for sign in SERIES.values()])
    where = ((begins[0] - known.first).days, (begins[1] - known.first).days)
    ratios = np.array([sign.ratio for sign in SERIES.values()])
    looks = len(known.values) * len(SERIES)
    for (dataset, table), values in known.values.items():
        series = values[:, :size]
        found = changes_of(series, where, sides, _least(series), ratios)
        for at, (name, sign) in enumerate(SERIES.items()):
            p = min(1.0, float(found.p[at]) * looks)
            if found.first[at] >= 0 and p < 1:
                before, during = float(found.before[at]), float(found.during[at])
                days = (int(found.first[at]), int(found.end[at]))
                yield _delivery(known, (dataset, table), name, days, size, (before, during, p), sign)
        yield from _schema(known, (dataset, table), where)


def _least(series: Floats) -> Floats:
    """A share that was always 0 says little of one row: as if half a row of a thousand might differ."""
    least = np.zeros(len(series))
    least[1:3] = 0.0005
    return least


def _delivery(
    known: Deliveries,
    of: tuple[Dataset, str],
    name: str,
    days: tuple[int, int],
    size: int,
    numbers: tuple[float, float, float],
    sign: Sign,
) -> Suspect:
    before, during, p = numbers
    return Suspect(
        kind="delivery",
        what=f"{_named(*of)}: {name}",
        tier=0,
        subject=_subject(*of),
        begin=known.first + days[0] * DAY,
        end=None if days[1] >= size else known.first + (days[1] - 1) * DAY,
        surprise=surprise(p),
        extent=extent(sign, before, during),
        asset=of[0],
        told={"metric": name, "before": before, "during": during, "p": p, "segment": ""},
    )


def _schema(known: Deliveries, of: tuple[Dataset, str], where: tuple[int, int]) -> Iterator[Suspect]:
    """Days on which a contract, or the columns that it does not know, are not those of the day before."""
    days = sorted(known.facts[of].items())
    for (_, (contracts, columns)), (at, (new_contracts, new_columns)) in pairwise(days):
        if not where[0] <= at <= where[1]:
            continue
        told = {"metric": "unknown columns", "before": len(columns), "during": len(new_columns)}
        if new_columns - columns:
            what = f"{_named(*of)}: columns that the contract does not know"
            until = next((day for day, (_, names) in days if day > at and not new_columns & names), None)
            yield _event(known, of, at, what, told, until)
        if not new_contracts & contracts:
            told = {"metric": "contract", "before": _short(contracts), "during": _short(new_contracts)}
            yield _event(known, of, at, f"{_named(*of)}: the contract changed", told)


def _event(
    known: Deliveries,
    of: tuple[Dataset, str],
    at: int,
    what: str,
    told: Mapping[str, object],
    until: int | None = None,
) -> Suspect:
    day = known.first + at * DAY
    return Suspect(
        kind="schema",
        what=what,
        tier=0,
        subject=_subject(*of),
        begin=day,
        end=None if until is None else known.first + (until - 1) * DAY,
        surprise=1 - 1 / (at + 1),  # once in so many days
        extent=1.0,
        asset=of[0],
        told={**told, "segment": ""},
    )


def _short(hashes: Iterable[str]) -> str:
    return ", ".join(sorted(one[:8] for one in hashes))


def _named(dataset: Dataset, table: str) -> str:
    return f"{dataset} {table}" if dataset == "features" else dataset


def _subject(dataset: Dataset, table: str) -> str:
    return f"view:{table}" if dataset == "features" else dataset


def release_suspects(
    panel: Panel, codes: Mapping[str, str], versions: Sequence[str], begins: tuple[date, date]
) -> Iterator[Suspect]:
    """Versions that took over or began to answer, and code that changed, between two days."""
    where = range(max(1, panel.position(begins[0])), min(panel.days, panel.position(begins[1]) + 1))
    since = min((at for roles in panel.roles.values() for at, role in enumerate(roles) if role), default=0)
    for version, roles in sorted(panel.roles.items()):
        for at in where:
            before = next((role for role in reversed(roles[:at]) if role), "none")
            if at > since and roles[at] not in {"", before}:
                told = {"metric": "role", "before": before, "during": roles[at]}
                weight = 1.0 if version in versions else 0.5
                yield _release(panel, at, f"{version} became {roles[at]}", told, weight)
    ran = [panel.runs.get((version, at), "") for at in range(panel.days) for version in versions[:1]]
    known = [codes.get(run, "") for run in ran]
    for at in where if known else ():  # an incident of a delivery may be about no version
        if known[at] and known[at - 1] and known[at] != known[at - 1]:
            told = {"metric": "code version", "before": known[at - 1], "during": known[at]}
            yield _release(panel, at, "other code computed the metrics", told)


def _release(panel: Panel, at: int, what: str, told: Mapping[str, object], weight: float = 1.0) -> Suspect:
    return Suspect(
        kind="release",
        what=what,
        tier=1,
        subject=EVERYTHING,
        begin=panel.day(at),
        end=None,
        surprise=1 - 1 / (at + 1),
        extent=0.75,  # that something else runs is certain; that it is worse is not
        asset="prediction_log",
        weight=weight,
        told={**told, "segment": ""},
    )
