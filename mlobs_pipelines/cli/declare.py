"""Commands about what is declared: `check`."""

from typing import Annotated

import typer

from mlobs_pipelines.cli.output import count
from mlobs_pipelines.cli.root import app, folders, known, out, stop


@app.command()
def check(
    model: Annotated[str | None, typer.Argument(help="One model; all of them by default.")] = None,
) -> None:
    """Validate contracts and monitors; every problem is printed with file and line."""
    from mlobs_pipelines.contracts.folder import check_folder
    from mlobs_pipelines.core.metrics import METRICS

    found = {folder.name: folder for folder in folders()}
    if not found:
        stop("no model is declared; a model is a folder with monitor.yaml and three contracts", 2)
    known("model", [model] if model else None, found)
    chosen = [found[model]] if model else list(found.values())
    problems = [problem for folder in chosen for problem in check_folder(folder, METRICS)]
    for problem in problems:
        out.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if problems:
        stop(count(len(problems), "problem"), 2)
    names = ", ".join(folder.name for folder in chosen)
    out.print(f"{count(len(chosen), 'model')} declared without problems: {names}", highlight=False)
