"""What deliveries did wrong, day by day, as signals: missing, refused, quarantined, repeated, rules of a day.

The ingest step wrote it all down; here its records are asked. Metrics and SLOs are `signals`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from mlobs_pipelines.contracts.odcs import DATASETS, Dataset
from mlobs_pipelines.core.incidents import Signal
from mlobs_pipelines.steps.layouts import features_layout, labels_layout, predictions_layout, repeats_layout
from mlobs_pipelines.steps.promises import absent_tables, due
from mlobs_pipelines.steps.signals import Dated
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Between, Where
from mlobs_pipelines.store.tables import DELIVERIES, RULE_RESULTS

DAY = timedelta(days=1)
SEVERE = ("missing", "refused", "conflict", "privacy")
_LAYOUTS = {"predictions": predictions_layout, "features": features_layout, "labels": labels_layout}
SAYS = {
    "missing": "deliveries are missing or refused",
    "refused": "deliveries are missing or refused",
    "quarantined": "rows break the contract",
    "identical": "rows are delivered again",
    "conflict": "rows contradict others of their key",
    "privacy": "values look like personal data",
}


def fault_signals(walk: Walk, days: list[date]) -> Iterator[Dated]:
    """What the deliveries of some days say, of every dataset and table."""
    for dataset in DATASETS:
        records = _records(walk, dataset, min(days), max(days))
        again = _repeats(walk, dataset, records)
        by_day = {key[0]: part for key, part in records.partition_by("day", as_dict=True).items()}
        for day in days:
            mine = by_day.get(day.isoformat(), records.clear())
            for table in walk.spec.contract(dataset).names:
                of_table = mine.filter(pl.col("table") == table)
                counts = _counts(of_table, again.get((day.isoformat(), table), {}))
                yield from ((day, one) for one in _kinds(dataset, table, counts))
            yield from ((day, one) for one in _missing(walk, dataset, day, records))
        yield from _rules(walk, dataset, days)


def _records(walk: Walk, dataset: Dataset, first: date, last: date) -> pl.DataFrame:
    since = first - (walk.spec.contract(dataset).frequency_days or 0) * DAY
    span = Between(since.isoformat(), last.isoformat())
    return pl.DataFrame(walk.lake.read(walk.model, DELIVERIES, where={"dataset": dataset, "day": span}))


def _repeats(walk: Walk, dataset: Dataset, records: pl.DataFrame) -> Mapping[tuple[str, str], dict[str, int]]:
    """Rows that stand back, by day of their delivery and table, and by reason."""
    reached = records.filter(pl.col("repeated") > 0).get_column("event_days").explode().drop_nulls()
    layout = repeats_layout(_LAYOUTS[dataset](walk.spec))
    columns = ["delivered_on", "delivery", "reason"]
    rows = pl.DataFrame(
        walk.lake.read(walk.model, layout, where={"day": sorted(set(reached))}, columns=columns)
    )
    tables = records.select("delivery", "table").unique()
    counted = rows.join(tables, on="delivery").group_by("delivered_on", "table", "reason").len()
    found: dict[tuple[str, str], dict[str, int]] = {}
    for day, table, reason, rows_again in counted.iter_rows():
        found.setdefault((day, table), {})[reason] = rows_again
    return found


def _counts(records: pl.DataFrame, again: Mapping[str, int]) -> dict[str, int] | None:
    """What went wrong with the deliveries of a table on a day, by kind; None where there is none."""
    if records.is_empty():
        return None
    suspects: Counter[str] = Counter()
    for said in records.get_column("suspects").to_list():
        suspects.update(json.loads(said))
    return {
        "refused": records.filter(pl.col("state") == "refused").height,
        "quarantined": int(records.get_column("quarantined").sum()),
        "identical": again.get("identical", 0),
        "conflict": again.get("conflict", 0),
        "privacy": suspects.total(),
    }


def _kinds(dataset: Dataset, table: str, counts: Mapping[str, int] | None) -> Iterator[Signal]:
    for kind, count in (counts or {}).items():
        check = f"{dataset}/{'privacy' if kind == 'privacy' else 'contract'}"
        yield _signal(dataset, table, kind, check, failed=count > 0, count=count)


def _missing(walk: Walk, dataset: Dataset, day: date, records: pl.DataFrame) -> Iterator[Signal]:
    contract = walk.spec.contract(dataset)
    if contract.frequency_days is None or walk.as_of < due(contract, day):
        return
    absent = absent_tables(contract, day, walk.as_of, records)
    for table in contract.names:
        yield _signal(dataset, table, "missing", f"{dataset}/contract", failed=table in absent)


def _rules(walk: Walk, dataset: Dataset, days: list[date]) -> Iterator[Dated]:
    """Rules about a day as a whole: a delivery that is missing or refused breaks them too."""
    where: Where = {"dataset": [dataset], "day": [day.isoformat() for day in days]}
    for row in walk.lake.read(walk.model, RULE_RESULTS, where=where).to_pylist():
        failed = None if not row["rows"] and row["outcome"] == "pass" else row["outcome"] != "pass"
        plain = _signal(dataset, row["table"], f"rule {row['rule']}", f"{dataset}/rules", failed=failed)
        told = {"rule": row["rule"], "count": row["count"], "reason": row["reason"]}
        yield (
            date.fromisoformat(row["day"]),
            replace(
                plain,
                tier=1,
                follows=frozenset({plain.subject}),
                critical=row["severity"] == "error",
                told={**plain.told, **told},
            ),
        )


def _signal(
    dataset: Dataset, table: str, kind: str, check: str, *, failed: bool | None, **told: object
) -> Signal:
    subject = f"view:{table}" if dataset == "features" else dataset
    named = f"{dataset} {table}" if dataset == "features" else dataset
    return Signal(
        key=f"{dataset}|{table}|{kind}",
        cause=f"{named}: {SAYS.get(kind, kind)}",
        tier=0,
        subject=subject,
        check=check,
        failed=failed,
        critical=kind in SEVERE,
        told={"dataset": dataset, "table": table, "kind": kind, **told},
    )
