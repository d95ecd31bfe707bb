"""What the records of a day's deliveries mean for its checks: accepted, in part, refused, missing, repeated.

Frames in, findings out; the records are written by the ingest step.
"""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.odcs import Contract
from mlobs_pipelines.defs.checks import Finding
from mlobs_pipelines.steps.ingest.repeats import RELEASED
from mlobs_pipelines.steps.promises import absent_tables, due

COUNTS = ("rows_in", "accepted", "repeated", "quarantined", "refused", "sampled_out")
DAY = timedelta(days=1)


def judge_deliveries(
    contract: Contract,
    day: date,
    as_of: datetime,
    records: pl.DataFrame,
    rules: pl.DataFrame,
    beaten: pl.DataFrame,
) -> Finding:
    """Judge the deliveries of one day.

    Parameters
    ----------
    as_of
        What is due later than this is not missing yet.
    records
        Records of deliveries, at least those of the contract's last period.
    rules
        Rows in quarantine by ``day`` and ``rules``.
    beaten
        Rows that stand back by ``delivered_on`` and ``reason``.
    """
    text = day.isoformat()
    mine = records.filter(pl.col("day") == text)
    if mine.is_empty():
        return _nothing(contract, day, as_of, records)
    released = pl.col("delivery").str.ends_with(RELEASED)
    own = mine.filter(~released)
    totals = {name: int(own.get_column(name).sum()) for name in COUNTS}
    totals["released"] = int(mine.filter(released).get_column("rows_in").sum())
    if own.is_empty():
        text = f"No delivery but {totals['released']} rows that were released from quarantine."
        return Finding(passed=True, description=text)
    broken = dict(rules.filter(pl.col("day") == text).select("rules", "len").iter_rows())
    repeats = dict(beaten.filter(pl.col("delivered_on") == text).select("reason", "len").iter_rows())
    metadata = _metadata(mine, totals, broken, repeats)
    missing = _absent(contract, day, as_of, records)
    return _finding(contract, own, totals, repeats, metadata, missing)


def judge_privacy(day: date, records: pl.DataFrame) -> Finding:
    """Judge what the scanner of a day's deliveries has counted."""
    mine = records.filter(pl.col("day") == day.isoformat())
    found: Counter[str] = Counter()
    for said in mine.get_column("suspects").to_list():
        found.update(json.loads(said))
    if not found:
        seen = int(mine.get_column("rows_in").sum())
        return Finding(passed=True, description=f"Nothing of the kind in {seen} rows.")
    shown = [
        dg.TableRecord({"column and kind": name, "values": count}) for name, count in found.most_common()
    ]
    named = "; ".join(f"{name}: {count} values" for name, count in found.most_common())
    text = (
        f"Values look like personal data or secrets: {named}. Classify the column as restricted in the "
        "contract, so that it is hashed, or ask its producer to leave it out."
    )
    return Finding(passed=False, description=text, metadata={"found": dg.MetadataValue.table(shown)})


def _nothing(contract: Contract, day: date, as_of: datetime, records: pl.DataFrame) -> Finding:
    if contract.frequency_days is None:
        return Finding(passed=True, description="No delivery; the contract promises none for any one day.")
    absent = _absent(contract, day, as_of, records)
    if absent:
        return Finding(passed=False, description=absent)
    if as_of < due(contract, day):
        said = f"promised every {contract.frequency_days} d, due by {due(contract, day):%Y-%m-%d %H:%M} UTC"
        return Finding(passed=True, undecided=True, description=f"No delivery yet: {said}.")
    return Finding(passed=True, description="No delivery; the last one is recent enough.")


def _absent(contract: Contract, day: date, as_of: datetime, records: pl.DataFrame) -> str:
    """Say which tables of a contract were promised by now and not delivered."""
    absent = absent_tables(contract, day, as_of, records)
    if not absent:
        return ""
    which = "" if len(contract.names) == 1 else f" of {', '.join(absent)}"
    said = f"promised every {contract.frequency_days} d, due by {due(contract, day):%Y-%m-%d %H:%M} UTC"
    return f"Missing: no delivery{which} ({said}). A day without rows is an empty file. Ask {contract.owner}."


def _metadata(
    mine: pl.DataFrame, totals: Mapping[str, int], broken: Mapping[str, int], repeats: Mapping[str, int]
) -> dict[str, dg.MetadataValue]:
    states = dict(mine.group_by("state").len().sort("state").iter_rows())
    metadata: dict[str, dg.MetadataValue] = {
        **{name: dg.MetadataValue.int(value) for name, value in totals.items()},
        **{f"deliveries_{state}": dg.MetadataValue.int(count) for state, count in states.items()},
        **{f"repeated_{reason}": dg.MetadataValue.int(count) for reason, count in repeats.items()},
    }
    if broken:
        metadata["rows_by_rule"] = dg.MetadataValue.table(
            [dg.TableRecord({"rule": rule, "rows": count}) for rule, count in broken.items()]
        )
    names = ["delivery", "state", *COUNTS, "reason", "contract_version", "at_source"]
    metadata["deliveries"] = dg.MetadataValue.table(
        [dg.TableRecord(row) for row in mine.select(names).iter_rows(named=True)]
    )
    changed: Counter[str] = Counter()
    for said in mine.get_column("normalised").to_list():
        changed.update(json.loads(said))
    if changed:
        metadata["normalised"] = dg.MetadataValue.json(dict(changed))
    unknown = sorted(set(mine.get_column("unknown_columns").explode().drop_nulls()))
    if unknown:
        metadata["columns_left_out"] = dg.MetadataValue.text(", ".join(unknown))
    return metadata


def _finding(
    contract: Contract,
    mine: pl.DataFrame,
    totals: Mapping[str, int],
    repeats: Mapping[str, int],
    metadata: Mapping[str, dg.MetadataValue],
    missing: str,
) -> Finding:
    refused = mine.filter(pl.col("state") == "refused")
    told = [missing] if missing else []
    told += [f"Refused: {name}: {why}." for name, why in refused.select("delivery", "reason").iter_rows()]
    if totals["quarantined"]:
        said = "; ".join(dict.fromkeys(mine.filter(pl.col("state") == "partial").get_column("reason")))
        told.append(
            f"{totals['quarantined']} of {totals['rows_in']} rows broke the contract and are in quarantine "
            f"({said})."
            + (f" {totals['released']} of them have been released." if totals["released"] else "")
        )
    told += [f"{count} rows {_REPEATS[reason]}." for reason, count in repeats.items() if reason in _REPEATS]
    severe = bool(missing or refused.height or repeats.get("conflict"))
    notes = _notes(contract, mine)
    if told:
        rest = f"{totals['accepted']} of {totals['rows_in']} rows flow on."
        text = " ".join([*told, rest, *notes])
        return Finding(passed=False, description=text, severe=severe, metadata=metadata)
    if not totals["rows_in"]:
        text = " ".join(["An empty delivery: an empty day.", *notes])
        return Finding(passed=True, description=text, metadata=metadata)
    text = " ".join([f"All {totals['rows_in']} rows keep the contract.", *notes])
    return Finding(passed=True, description=text, metadata=metadata)


_REPEATS = {
    "identical": "say again what another row said; they are kept beside the table",
    "conflict": "contradict a row of the same key that was delivered before; they are kept beside the table",
}


def _notes(contract: Contract, mine: pl.DataFrame) -> list[str]:
    """What a reader should know though it breaks nothing."""
    notes = []
    gone = mine.filter(~pl.col("at_source")).height
    if gone:
        notes.append(
            f"{gone} of {mine.height} deliveries are no longer at their source; their rows are kept."
        )
    taken = mine.filter(pl.col("state") != "refused")
    older = sorted(set(taken.get_column("contract_version")) - {contract.version})
    if older:
        until = {old.version: old.accepted_until for old in contract.older}
        named = ", ".join(f"{name} (accepted until {until.get(name, 'now expired')})" for name in older)
        notes.append(f"Delivered under schema {named}; the present one is {contract.version}.")
    return notes
