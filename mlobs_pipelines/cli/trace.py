"""`mlobs trace`: one prediction's journey, from its delivery to the windows that it was counted in.

What each table knows of it is read by `steps.trace`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mlobs_pipelines.cli.output import Format, Output, print_rows, sheet_of
from mlobs_pipelines.cli.root import Model, acted, app, spec_of, stop
from mlobs_pipelines.destinations import terminal

CSV = ("stage", "model_version", "at", "what", "table", "day", "run_id", "table_version")
COLUMNS = [
    ("stage", "stage", 0),
    ("version", "model_version", 0),
    ("at", "at", 2),
    ("what", "what", 0),
    ("table", "table", 1),
    ("day", "day", 1),
    ("run", "run_id", 4),
    ("table version", "table_version", 3),
]


@app.command()
def trace(
    model: Model,
    prediction: Annotated[
        str,
        typer.Argument(help="Id of the prediction as it was delivered, also where the contract hashes it."),
    ],
    show_values: Annotated[
        bool,
        typer.Option(
            "--show-values", help="Print what is in its rows too: features, score, labels; kept in `audit`."
        ),
    ] = False,
    form: Output = Format.TABLE,
) -> None:
    """Follow one prediction: delivery, quarantine, features as known then, label, windows, and their runs."""
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.trace import trace as follow

    walk = Site(Settings()).walk(spec_of(model), "trace")
    rows = follow(walk, prediction, values=show_values)
    if not rows:
        stop(
            f"{model} has no prediction of this id: not among those delivered, repeated, in quarantine or "
            "sampled out; check its spelling, and whether its day was ingested (mlobs deliveries) or expired",
            2,
        )
    if show_values:
        acted(model, "trace.show_values", "prediction", {"stages": len(rows)})
    print_rows(rows, form, CSV, _sheet)
    if form is Format.TABLE:
        _features(rows)


def _sheet(rows: Sequence[Mapping[str, Any]]) -> terminal.Sheet:
    return sheet_of([{**row, "at": row["at"][:16].replace("T", " ")} for row in rows], COLUMNS)


def _features(rows: Sequence[Mapping[str, Any]]) -> None:
    """The features of each snapshot that are not as they should be; all of them where values are shown."""
    for row in rows:
        shown = [one for one in row.get("features", ()) if one["state"] != "fresh" or "served" in one]
        if shown:
            typer.echo(f"\nserved to {row['model_version']} on {row['day']}, beside what was known then:")
        for one in shown:
            values = f": served {one['served']}, known {one['known']}" if "served" in one else ""
            why = f" ({one['miss']})" if one["miss"] else ""
            typer.echo(f"  {one['feature']} of {one['view']} {one['state']}{why}{values}")
