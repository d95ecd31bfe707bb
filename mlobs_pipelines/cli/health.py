"""The command that looks after the installation: `health`.

What is looked at is `defs.health` and `steps.health`.
"""

from datetime import timedelta
from typing import Annotated

import typer

from mlobs_pipelines.cli.output import Format, Output, count, print_rows, sheet_of
from mlobs_pipelines.cli.root import app, err, folders, known, spec_of

NAMES = ["state", "what", "since", "says", "do"]
SPARED = {"since": 1, "do": 2}


@app.command()
def health(
    model: Annotated[list[str] | None, typer.Option(help="Model; may be repeated; all by default.")] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Hours after its schedule's tick that a day may be missing.")
    ] = 6,
    load: Annotated[bool, typer.Option("--load", help="See whether the code location loads, too.")] = False,
    form: Output = Format.TABLE,
) -> None:
    """Look at lake, metric store, databases, daemons, queue, runs, messages and how far each asset is.

    Exit code 1 if anything is broken, 0 if all is well or merely worth a look.
    """
    known("model", model, [folder.name for folder in folders()])
    specs = [spec_of(name) for name in model or [folder.name for folder in folders()]]
    from mlobs_pipelines.defs import health as look
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.health import State

    site = Site(Settings())
    lines = list(look.health(site, specs, timedelta(hours=grace)))
    if load:
        from mlobs_pipelines.definitions import build_defs

        lines += look.looked("code location", "mlobs check", lambda: [look.loaded(lambda: build_defs(site))])
    rows = [{name: line.row()[name] for name in NAMES} for line in lines]
    print_rows(rows, form, NAMES, lambda some: sheet_of(some, [(n, n, SPARED.get(n, 0)) for n in NAMES]))
    broken, worth = (sum(line.state is state for line in lines) for state in (State.FAIL, State.WARN))
    err.print(f"{count(broken, 'thing')} broken, {worth} worth a look, of {len(lines)}", highlight=False)
    raise typer.Exit(1 if broken else 0)
