"""The command `awaited`: by when labels are expected, and how many are late.

What is expected is `steps.awaited`; how labels were in earlier windows is read by `metrics` and `triangle`.
"""

from datetime import datetime
from typing import Annotated

import typer

from mlobs_pipelines.cli.output import Format, Output, print_rows, sheet_of
from mlobs_pipelines.cli.root import DAY, AsOf, Model, app, moment_of, spec_of

COLUMNS = ("model_version", "day", "predictions", "pending", "late", "expected_by")
OF_ONE = ("model_version", "predicted_at", "state", "arrived_at", "expected_by")


@app.command()
def awaited(
    model: Model,
    prediction: Annotated[str | None, typer.Option(help="One prediction's id instead of counts.")] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last one.")] = None,
    as_of: AsOf = None,
    form: Output = Format.TABLE,
) -> None:
    """Tell by when labels are expected: when 95 % have come, going by how fast those before came."""
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.awaited import expected_by_day, expected_of

    spec = spec_of(model)
    walk = Site(Settings()).walk(spec, "awaited", moment_of(as_of))
    days = (None if day is None else day.date() for day in (first, last))
    rows = expected_by_day(walk, *days) if prediction is None else expected_of(walk, prediction)
    columns = COLUMNS if prediction is None else OF_ONE
    shown = [(name.replace("_", " "), name, 0) for name in columns]
    print_rows(rows, form, columns, lambda found: sheet_of(found, shown))
