"""`mlobs slo`: what is left of a model's error budgets, and how fast it goes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from mlobs_pipelines.cli.output import Format, Output, print_rows, sheet_of
from mlobs_pipelines.cli.root import DAY, AsOf, Model, app, known, lake, moment_of, spec_of
from mlobs_pipelines.destinations import terminal

COLUMNS = [
    ("day", "day", 0),
    ("slo", "slo", 0),
    ("version", "model_version", 0),
    ("segment", "segment_value", 0),
    ("target", "target", 5),
    ("bad", "bad", 3),
    ("events", "events", 3),
    ("left", "left", 0),
    ("1 d", "day_burn", 0),
    ("7 d", "week_burn", 0),
    ("alert", "alert", 0),
    ("verdict", "verdict", 0),
    ("reason", "reason", 8),
]


@app.command()
def slo(
    model: Model,
    name: Annotated[list[str] | None, typer.Option(help="Name of an SLO; may be repeated.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=DAY, help="Every day from this one on.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=DAY, help="Days up to this one; the last by default.")
    ] = None,
    as_of: AsOf = None,
    form: Output = Format.TABLE,
) -> None:
    """Print error budgets: what is left as of the last day, how fast it goes, whether somebody is told."""
    from mlobs_pipelines.store.latest import latest
    from mlobs_pipelines.store.tables import SLO_STATUS

    known("SLO", name, [one.name for one in spec_of(model).monitor.slos])
    ends = (first.date() if first else None, last.date() if last else None)
    rows = latest(lake(), model, SLO_STATUS, *ends, moment_of(as_of)).to_pylist()
    newest = max((row["day"] for row in rows), default="")
    mine = [row for row in rows if (first or row["day"] == newest) and (name is None or row["slo"] in name)]
    columns = [key for key in SLO_STATUS.schema.names if key != "as_of_key"]
    print_rows([{key: row[key] for key in columns} for row in mine], form, columns, _sheet)


def _sheet(rows: Sequence[Mapping[str, Any]]) -> terminal.Sheet:
    return sheet_of([_shown(row) for row in rows], COLUMNS)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A status in numbers that a person reads."""
    left = "" if row["budget_left"] is None else f"{row['budget_left']:.0%}"
    burns = {
        f"{word}_burn": "" if row[f"burn_{days}d"] is None else f"{row[f'burn_{days}d']:.2f}x"
        for word, days in (("day", 1), ("week", 7))
    }
    counts = {key: f"{row[key]:,.0f}" for key in ("bad", "events")}
    return {**row, **counts, **burns, "left": left, "target": f"{row['target']:.6g}"}
