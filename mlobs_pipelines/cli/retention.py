"""Commands about what is kept: `retention`, and `audit`, which says who did what.

What goes and why is `steps.retention`.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs_pipelines.cli.output import Format, Output, count, print_rows, progress, sheet_of
from mlobs_pipelines.cli.root import (
    DAY,
    AsOf,
    Model,
    app,
    err,
    folders,
    lake,
    moment_of,
    spec_of,
    stop,
    usage,
)

if TYPE_CHECKING:
    from mlobs_pipelines.steps.retention import Line

NAMES = [
    "model", "table", "dataset", "kept_from", "partitions", "rows", "bytes", "first", "last",
    "kept_partitions", "kept_rows", "kept_bytes", "files", "file_bytes", "merged", "reason",
]  # fmt: skip
SPARED = {"first": 2, "last": 2, "kept_bytes": 3, "merged": 3, "model": 1, "reason": 1}
ENTRY = ["at", "who", "action", "object", "details"]


@app.command()
def retention(
    model: Annotated[str | None, typer.Argument(help="One model; or --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every model that is declared.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Delete for good; by default only say what would go.")
    ] = False,
    as_of: AsOf = None,
    form: Output = Format.TABLE,
) -> None:
    """Say what has expired in each table and why, or delete it; every deletion is in `mlobs audit`.

    Rows are kept as long as their contract's SLA says (retention), what was counted from them longer.
    """
    if (model is None) == (not every):
        stop("name one model, or say --all", 2)
    names = [folder.name for folder in folders()] if every else [str(model)]
    moment, rows = moment_of(as_of), []
    with progress():
        for name in names:
            rows += [_shown(name, line) for line in _lines(name, moment, apply=apply)]
    print_rows(rows, form, NAMES, lambda some: sheet_of(some, [(n, n, SPARED.get(n, 0)) for n in NAMES]))
    _sum_up(rows, apply=apply)


@app.command()
def audit(
    model: Model,
    action: Annotated[list[str] | None, typer.Option(help="Action; may be repeated.")] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last day, included.")] = None,
    form: Output = Format.TABLE,
) -> None:
    """List who ran, showed, exported, released or deleted what, and when; earliest first."""
    from mlobs_pipelines.store import audit as trail

    spec_of(model)
    ends = {"first": first.date() if first else None, "last": last.date() if last else None}
    rows = trail.entries(lake(), model, actions=action, **ends)
    shown = [{name: row[name] for name in ENTRY} | {"at": row["at"].isoformat()} for row in rows]
    print_rows(shown, form, ENTRY, lambda some: sheet_of(some, [(name, name, 0) for name in ENTRY]))


def _lines(model: str, moment: datetime | None, *, apply: bool) -> "list[Line]":
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.defs.retention import asked
    from mlobs_pipelines.settings import Settings, operating_user
    from mlobs_pipelines.steps import retention as step

    spec, site = spec_of(model), Site(Settings())
    walk = site.walk(spec, "retention", moment)
    with usage():
        wanted = asked(site, walk, operating_user())
        return step.apply(walk, wanted) if apply else step.plan(walk, wanted)


def _shown(model: str, line: "Line") -> dict[str, Any]:
    expiry, tidied = line.expiry, line.tidied
    return {
        "model": model,
        "table": expiry.rule.table,
        "dataset": expiry.rule.dataset,
        "kept_from": str(expiry.rule.before or ""),
        "partitions": expiry.gone.partitions,
        "rows": expiry.gone.rows,
        "bytes": expiry.gone.bytes,
        "first": expiry.first,
        "last": expiry.last,
        "kept_partitions": expiry.kept.partitions,
        "kept_rows": expiry.kept.rows,
        "kept_bytes": expiry.kept.bytes,
        "files": tidied.files if tidied else 0,
        "file_bytes": tidied.bytes if tidied else 0,
        "merged": tidied.merged if tidied else 0,
        "reason": expiry.rule.why,
    }


def _sum_up(rows: list[dict[str, Any]], *, apply: bool) -> None:
    from mlobs_pipelines.settings import Settings

    sums = {name: sum(row[name] for row in rows) for name in ("partitions", "rows", "files", "file_bytes")}
    verb = "deleted" if apply else "would be deleted"
    err.print(
        f"{count(sums['partitions'], 'partition')} with {count(sums['rows'], 'row')} {verb}; "
        f"{count(sums['files'], 'file')} of {sums['file_bytes']:,} bytes that no kept version needs "
        f"{'removed' if apply else 'would be removed'}",
        highlight=False,
        soft_wrap=True,
    )
    days = Settings().retention_versions_days
    later = f"the files of deleted partitions are removed by a run after {count(days, 'day')}"
    err.print(later if apply else "nothing was changed; --apply does it", highlight=False, soft_wrap=True)
