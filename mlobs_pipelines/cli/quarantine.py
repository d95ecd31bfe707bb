"""Commands about rows that broke a contract: `quarantine list`, `show` and `release`.

How rows are checked again and flow on is `steps.ingest.release`.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs_pipelines.cli.deliveries import Datasets, First, Last, span
from mlobs_pipelines.cli.output import Format, Output, count, print_rows, sheet_of
from mlobs_pipelines.cli.root import Model, acted, app, err, known, lake, out, spec_of, stop
from mlobs_pipelines.contracts.odcs import DATASETS

if TYPE_CHECKING:
    from mlobs_pipelines.contracts.folder import ModelSpec
    from mlobs_pipelines.steps.ingest.release import Released
    from mlobs_pipelines.store.lake import Between, Lake

KEPT = (*DATASETS, "prediction_log")
GROUP = ["dataset", "day", "delivery", "rule", "contract_version"]
COUNTED = [*GROUP, "rows", "released"]
SHOWN = ["dataset", "day", "delivery", "row_number", "rules", "contract_version", "released_at", "row"]
Rules = Annotated[
    list[str] | None, typer.Option("--rule", help="Broken rule, as `list` names it; may be repeated.")
]
Names = Annotated[
    list[str] | None, typer.Option("--delivery", help="Delivery, as `list` names it; may be repeated.")
]
group = typer.Typer(
    no_args_is_help=True, help="Rows that broke their contract: count them, look at them, let them flow on."
)
app.add_typer(group, name="quarantine")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Rows of `quarantine` that options mean."""

    model: str
    datasets: Sequence[str]
    days: "Between"
    rules: Collection[str]
    deliveries: Collection[str]

    @property
    def where(self) -> Mapping[str, Any]:
        """Their partitions."""
        return {"dataset": list(self.datasets), "day": self.days}

    def means(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of these partitions is meant."""
        by_rule = not self.rules or not set(self.rules).isdisjoint(row["rules"])
        return by_rule and (not self.deliveries or row["delivery"] in self.deliveries)


@group.command("list")
def list_(
    model: Model,
    dataset: Datasets = None,
    first: First = None,
    last: Last = None,
    rule: Rules = None,
    delivery: Names = None,
    form: Output = Format.TABLE,
) -> None:
    """Count rows in quarantine by delivery and broken rule, and how many of them were released."""
    chosen, rows = _choose(model, dataset, (first, last), rule, delivery)
    mine = [row for row in rows if chosen.means(row)]
    counts: Counter[tuple[str, ...]] = Counter()
    released: Counter[tuple[str, ...]] = Counter()
    for row in mine:
        for broken in row["rules"]:
            if not rule or broken in rule:
                key = (row["dataset"], row["day"], row["delivery"], broken, row["contract_version"])
                counts[key] += 1
                released[key] += row["released_at"] is not None
    found = [
        dict(zip(GROUP, key, strict=True)) | {"rows": counts[key], "released": released[key]}
        for key in sorted(counts)
    ]
    print_rows(found, form, COUNTED, lambda some: sheet_of(some, [(name, name, 0) for name in COUNTED]))
    if mine:
        gone = sum(row["released_at"] is not None for row in mine)
        err.print(f"{count(len(mine), 'row')}, each under every rule it broke; {gone:,} released")


@group.command()
def show(
    model: Model,
    dataset: Datasets = None,
    first: First = None,
    last: Last = None,
    rule: Rules = None,
    delivery: Names = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to print at most.")] = 20,
    form: Output = Format.TABLE,
) -> None:
    """Print rows in quarantine as they were delivered: THE ONE COMMAND THAT PRINTS WHAT IS IN ROWS.

    Columns that the contract classifies as identifying were hashed, made coarse or dropped before the rows
    were stored; columns that it does not know were dropped. Anything else is printed as it came.
    """
    chosen, rows = _choose(model, dataset, (first, last), rule, delivery)
    every = sum(chosen.means(row) for row in rows)
    found = []
    acted(model, "quarantine.show", ", ".join(chosen.datasets), {"rows": min(every, limit)})
    for row in _whole(lake(), chosen, limit):
        text = json.dumps(row["row"], ensure_ascii=False) if form is not Format.JSON else row["row"]
        rules = row["rules"] if form is Format.JSON else " ".join(row["rules"])
        found.append({name: row[name] for name in SHOWN} | {"rules": rules, "row": text})
    print_rows(found, form, SHOWN, lambda some: sheet_of(some, [(name, name, 0) for name in SHOWN]))
    if every > len(found):
        err.print(f"first {len(found):,} of {every:,} rows; --limit shows more, other options narrow")


@group.command()
def release(
    model: Model,
    dataset: Datasets = None,
    first: First = None,
    last: Last = None,
    rule: Rules = None,
    delivery: Names = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the rows again, change nothing.")] = False,
) -> None:
    """Check rows in quarantine again under today's contract; those that keep it flow on, once.

    Do this after the contract was fixed. Rows of prediction_log are not meant: they flow by themselves once
    monitor.yaml declares their version and their days run again. Ends with 1 if rows wait and none can go.
    """
    if "prediction_log" in (dataset or ()):
        stop(
            "rows of prediction_log are not released: declare their version in monitor.yaml and run their "
            "days again with mlobs backfill",
            2,
        )
    spec = spec_of(model)
    chosen, _ = _choose(model, dataset or list(DATASETS), (first, last), rule, delivery)
    told = _release(spec, chosen, dry_run=dry_run)
    _tell(spec, told, dry_run=dry_run)


def _choose(
    model: str,
    datasets: list[str] | None,
    ends: tuple[datetime | None, datetime | None],
    rules: list[str] | None,
    names: list[str] | None,
) -> tuple[_Chosen, list[dict[str, Any]]]:
    """Hold options against what there is; also gives the rows of the partitions without their content."""
    from mlobs_pipelines.store.tables import QUARANTINE

    spec_of(model)
    known("dataset", datasets, KEPT)
    chosen = _Chosen(model, datasets or KEPT, span(*ends), rules or (), names or ())
    columns = [
        name for name in QUARANTINE.schema.names if name not in {"row_json", "row_types", "columns", "sha256"}
    ]
    rows = lake().read(model, QUARANTINE, where=chosen.where, columns=columns).to_pylist()
    known("rule", rules, {broken for row in rows for broken in row["rules"]})
    known("delivery", names, {row["delivery"] for row in rows})
    return chosen, rows


def _whole(stored: "Lake", chosen: _Chosen, limit: int) -> Iterator[dict[str, Any]]:
    """The first rows that are meant, with their content, read by batches."""
    from mlobs_pipelines.store.tables import QUARANTINE

    if not stored.exists(chosen.model, QUARANTINE.name):
        return
    batches = stored.dataset(chosen.model, QUARANTINE, where=chosen.where).to_batches(batch_size=8192)
    for row in (row for batch in batches for row in batch.to_pylist() if chosen.means(row)):
        yield row | {"row": json.loads(row["row_json"])}
        limit -= 1
        if not limit:
            return


def _release(spec: "ModelSpec", chosen: _Chosen, *, dry_run: bool) -> "dict[str, Released]":
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings, operating_user
    from mlobs_pipelines.steps.ingest import release as step

    site = Site(Settings())
    walk, days = site.walk(spec, "quarantine.release"), chosen.days
    ends = [date.fromisoformat(end) if end else None for end in (days.first, days.last)]
    asked = step.Asked(ends[0], ends[1], chosen.rules, chosen.deliveries)
    return {
        name: step.release(walk, name, asked, now=site.clock(), who=operating_user(), dry_run=dry_run)
        for name in DATASETS
        if name in chosen.datasets
    }


def _tell(spec: "ModelSpec", told: "dict[str, Released]", *, dry_run: bool) -> None:
    rows, passed = (sum(getattr(one, name) for one in told.values()) for name in ("rows", "passed"))
    if not rows:
        err.print("nothing found: no row that is meant waits in quarantine")
        return
    lines = [line for name, one in told.items() for line in _lines(name, one)]
    print_rows(lines, Format.TABLE, [], lambda some: sheet_of(some, [(name, name, 0) for name in lines[0]]))
    sampled = sum(one.sampled_out for one in told.values())
    left_out = f", {sampled:,} of them left out by sampling" if sampled else ""
    verb = "would be released" if dry_run else "released"
    out.print(f"{passed:,} of {count(rows, 'row')} {verb}{left_out}", highlight=False, soft_wrap=True)
    _say_days(spec, told)
    if not passed:
        stop("no row could be released: fix the contract, or ask the producer to deliver again", 1)


def _lines(dataset: str, told: "Released") -> Iterator[dict[str, Any]]:
    """A line for each rule: rows that passed, and one for each reason why others stay."""
    for rule in sorted({*told.by_rule, *(rule for rule, _ in told.failing)}):
        if told.by_rule[rule]:
            yield {"dataset": dataset, "rule": rule, "rows": told.by_rule[rule], "now": "passes"}
        for (broken, reason), rows in sorted(told.failing.items()):
            if broken == rule:
                yield {"dataset": dataset, "rule": rule, "rows": rows, "now": f"still fails: {reason}"}


def _say_days(spec: "ModelSpec", told: "dict[str, Released]") -> None:
    for dataset, one in told.items():
        if one.changed:
            days = f"{min(one.changed)} to {max(one.changed)}"
            out.print(f"{dataset}: {count(len(one.changed), 'event day')} changed, {days}", highlight=False)
    reached = [
        day for dataset, one in told.items() if one.changed for day in _reach(spec, dataset, one.changed)
    ]
    if reached:
        first, last = min(reached), max(reached)
        out.print(
            f"recompute what rests on them: mlobs backfill {spec.monitor.model} --from {first} --to {last}",
            highlight=False,
            soft_wrap=True,
        )


def _reach(spec: "ModelSpec", dataset: str, changed: Collection[date]) -> tuple[date, date]:
    """First and last day of predictions whose numbers rest on changed days of a dataset."""
    monitor, first, last = spec.monitor, min(changed), max(changed)
    if dataset == "labels":
        first -= timedelta(days=-(-monitor.labels.horizon // timedelta(days=1)))
    if dataset == "features":
        last += max((view.ttl for view in monitor.feature_views.values()), default=timedelta())
    return max(first, monitor.start_date), min(last, monitor.end_date or last)
