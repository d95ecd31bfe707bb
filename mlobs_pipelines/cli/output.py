"""How commands print: rows as table, JSON or CSV, counts in words, bars on a terminal.

Which rows are printed is the commands' business; how a table fits a terminal is `destinations.terminal`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mlobs_pipelines.cli.root import err, out
from mlobs_pipelines.destinations import terminal

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Format(StrEnum):
    """How a command prints what it read."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Output = Annotated[Format, typer.Option("--format", help="How to print.")]


def rows_of(table: "pa.Table") -> list[dict[str, Any]]:
    """Rows of a stored table; Arrow would import pandas to make its instants, as long as all else takes."""
    import pyarrow.compute as pc

    instants = [field.name for field in table.schema if str(field.type) == "timestamp[us, tz=UTC]"]
    for name in instants:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pc.cast(table.column(name), "int64"))
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        for name in instants:
            row[name] = None if row[name] is None else _EPOCH + timedelta(microseconds=row[name])
    return rows


def print_rows(
    rows: Sequence[dict[str, Any]],
    form: Format,
    columns: Sequence[str],
    sheet: Callable[[Sequence[dict[str, Any]]], terminal.Sheet],
) -> None:
    """Print rows in a form.

    Parameters
    ----------
    columns
        Of the CSV's header.
    sheet
        Makes a table of rows, at least one.
    """
    if form is Format.JSON:
        typer.echo(terminal.as_json(rows))
    elif form is Format.CSV:
        typer.echo(terminal.as_csv(rows, columns), nl=False)
    elif not rows:
        err.print("nothing found: no stored row matches; were these days backfilled by then?")
    elif out.is_terminal:
        _show(sheet(rows[:MOST_ROWS]), len(rows))
    else:
        typer.echo("\n".join(line.plain for line in sheet(rows).lines()))


def _show(sheet: terminal.Sheet, rows: int) -> None:
    """Print a table no wider than the terminal, and say what was left out."""
    fitting, hidden = sheet.fit(out.width)
    for line in fitting.lines():
        out.print(line, soft_wrap=True)
    if hidden:
        err.print(f"[dim]left out for lack of width: {', '.join(hidden)}; --format json has them[/dim]")
    if rows > MOST_ROWS:
        err.print(f"[dim]first {MOST_ROWS} of {rows:,} rows; narrow by options, or take --format csv[/dim]")


def sheet_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str, int]]) -> terminal.Sheet:
    """Rows as a table of some columns: the name shown, the row's key, and how soon it can be spared."""
    made = []
    for name, key, spare in columns:
        values = [row[key] for row in rows]
        numbers = all(isinstance(value, int) for value in values)
        cells = (f"{value:,}" if numbers else "" if value is None else str(value) for value in values)
        made.append(terminal.Column(name, tuple(cells), numbers, spare))
    return terminal.Sheet("", tuple(made))


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


class _Meter(logging.Handler):
    """Draws one bar per step from what steps say on the logger ``mlobs.progress``."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.INFO)
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Move the bar that a record is about."""
        facts = record.__dict__
        self.show(facts["step"], facts["done"], facts["total"])

    def show(self, step: str, done: int, total: int) -> None:
        """Move the bar of a step, adding it when the step is new."""
        if step not in self.tasks:
            self.tasks[step] = self.progress.add_task(step)
        self.progress.update(self.tasks[step], completed=done, total=total)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far long work is on a terminal; keep quiet in a pipe."""
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
        meter, logger = _Meter(bars), logging.getLogger("mlobs.progress")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(meter)
        try:
            yield meter.show
        finally:
            logger.removeHandler(meter)
