"""The `mlobs` command: each subcommand reads its options, calls a step or a job, and prints.

Exit codes: 0 done, 1 something failed, 2 wrong usage, wrong settings or a declaration with problems.
Heavy imports stay inside the commands that need them, so that reading commands start fast.
"""

import logging
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mlobs_pipelines.contracts.folder import ModelSpec, check_folder, load_models
from mlobs_pipelines.contracts.problems import ContractError, suggestion
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Verdict, Window
from mlobs_pipelines.destinations import terminal
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.store.lake import Lake, LakeError
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.tables import METRIC_COLUMNS

app = typer.Typer(
    help="Monitor machine-learning models with Dagster: contracts, drift, skew, calibration, late labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 something failed, 2 wrong usage, settings or declarations.",
)
out, err = Console(), Console(stderr=True)
DEMO_MODEL = "flight_delays"
SLIS = ("auc", "ece", "brier_score", "label_coverage")
MOST_ROWS = 500


class Format(StrEnum):
    """How a command prints what it read."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Model = Annotated[str, typer.Argument(help="Name of the model: a folder under data_contracts/.")]
DAY = ["%Y-%m-%d"]
Output = Annotated[Format, typer.Option("--format", help="How to print.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Knowledge time: a day or an ISO-8601 instant; default latest.")
]


@app.command()
def check(
    model: Annotated[str | None, typer.Argument(help="One model; all of them by default.")] = None,
) -> None:
    """Validate contracts and monitors; every problem is printed with file and line."""
    found = {folder.name: folder for folder in _folders()}
    if not found:
        _stop("no model is declared; a model is a folder with monitor.yaml and three contracts", 2)
    _known("model", [model] if model else None, found)
    folders = [found[model]] if model else list(found.values())
    problems = [problem for folder in folders for problem in check_folder(folder, METRICS)]
    for problem in problems:
        out.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if problems:
        _stop(_count(len(problems), "problem"), 2)
    names = ", ".join(folder.name for folder in folders)
    out.print(f"{_count(len(folders), 'model')} declared without problems: {names}", highlight=False)


@app.command()
def demo(
    share: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of the flights that is served.")
    ] = 0.2,
    full: Annotated[bool, typer.Option("--full", help="All flights; the same as --share 1.")] = False,
    first: Annotated[
        datetime, typer.Option("--from", formats=DAY, help="First day, from 2013-03-01 on.")
    ] = datetime(2013, 3, 1),  # noqa: DTZ001 - a day
    last: Annotated[
        datetime, typer.Option("--to", formats=DAY, help="Last day, up to 2013-12-31.")
    ] = datetime(2013, 7, 31),  # noqa: DTZ001 - a day
    incident: Annotated[
        list[str] | None, typer.Option(help="Switch on an incident; may be repeated.")
    ] = None,
    landing_only: Annotated[
        bool, typer.Option("--landing-only", help="Build the landing zone, no more.")
    ] = False,
) -> None:
    """Build the demo from real flights, backfill it through Dagster, print its SLIs and write its report.

    Incidents: label-stall, skew-delay, skew-celsius, replay, renamed-column.
    """
    from mlobs_pipelines.demo import INCIDENTS, DemoPlan, build_landing

    _known("incident", incident, INCIDENTS)
    if not landing_only:
        _spec(DEMO_MODEL)
    with _usage():
        plan = DemoPlan(first.date(), last.date(), 1.0 if full else share, frozenset(incident or ()))
    settings = Settings()
    started = time.monotonic()
    with _progress() as show:
        summary = build_landing(plan, settings.landing_root / DEMO_MODEL, show)
    out.print(f"landing zone: {summary.predictions:,} predictions, {_seconds(started)}", highlight=False)
    if landing_only:
        return
    backfill(DEMO_MODEL, first, last)
    out.print("\nService-level indicators by calendar month:")
    rows = _monthly(settings, first.date(), last.date())
    _print(rows, Format.TABLE, [], lambda found: terminal.side_by_side(found, SLIS))
    out.print()
    report(DEMO_MODEL)
    _next_steps()


@app.command()
def backfill(
    model: Model,
    first: Annotated[datetime, typer.Option("--from", formats=DAY, help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=DAY, help="Last day, included.")],
    as_of: AsOf = None,
) -> None:
    """Run the whole walk for a range of days, headless, in as few Dagster runs as it takes."""
    spec, days, moment = _spec(model), (first.date(), last.date()), _moment(as_of)
    from mlobs_pipelines.definitions import build_defs
    from mlobs_pipelines.defs import launch
    from mlobs_pipelines.defs.resources import Site

    site = Site(Settings())
    with _usage():
        launch.plan(spec, *days, moment or spec.monitor.replay_as_of or site.clock())
    with _progress():
        for launched, seconds in _timed(launch.backfill(site, build_defs(site), spec, *days, moment)):
            told = _count(launched.failed_checks, "failed check")
            err.print(f"{launched.job}: run {launched.run_id[:8]}, {seconds:.1f} s, {told}", highlight=False)
            if not launched.success:
                _stop(f"run {launched.run_id} of {launched.job} failed: {launched.error}", 1)


@app.command()
def metrics(
    model: Model,
    metric: Annotated[list[str] | None, typer.Option(help="Metric name; may be repeated.")] = None,
    version: Annotated[list[str] | None, typer.Option(help="Model version; may be repeated.")] = None,
    window: Annotated[list[Window] | None, typer.Option(help="Window; may be repeated.")] = None,
    feature: Annotated[list[str] | None, typer.Option(help="Feature; may be repeated.")] = None,
    segment: Annotated[
        str, typer.Option(help="Segment column, or 'any'; all rows together by default.")
    ] = "",
    verdict: Annotated[list[Verdict] | None, typer.Option(help="Verdict; may be repeated.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=DAY, help="Windows that end on this day or later.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=DAY, help="Windows that end on this day or earlier.")
    ] = None,
    as_of: AsOf = None,
    form: Output = Format.TABLE,
) -> None:
    """Read the metric store: the latest value of every window, or what was known at a moment."""
    _known("metric", metric, METRICS)
    monitor, moment = _spec(model).monitor, _moment(as_of)
    _known("version", version, monitor.versions)
    _known("segment", [segment] if segment else None, [*monitor.segments, "any"])
    rows = MetricStore(_lake()).query(
        model,
        metrics=metric,
        versions=version,
        windows=None if window is None else [str(item) for item in window],
        segments=None if segment == "any" else [segment],
        features=feature,
        first=first.date() if first else None,
        last=last.date() if last else None,
        as_of=moment,
    )
    _print_metrics([row for row in rows.to_pylist() if not verdict or row["verdict"] in verdict], form)


@app.command()
def report(
    model: Model,
    path: Annotated[Path | None, typer.Option("--out", help="File to write.")] = None,
    as_of: AsOf = None,
) -> None:
    """Write the self-contained HTML report of a model, from the metric store alone."""
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.defs.tell import report_path
    from mlobs_pipelines.steps.tell import write_report

    spec, site = _spec(model), Site(Settings())
    target = path or report_path(site, spec)
    rows = write_report(site.walk(spec, "report", _moment(as_of)), target)
    out.print(f"report of {rows:,} metric rows: {target}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def tables(model: Model, form: Output = Format.TABLE) -> None:
    """List a model's tables with size and content hash, to compare two lakes."""
    from dataclasses import asdict

    _spec(model)
    rows = [asdict(summary) for summary in _lake().summary(model)]
    _print(rows, form, list(rows[0]) if rows else [], terminal.records)


def _folders() -> list[Path]:
    root = Settings().contracts
    if not root.is_dir():
        _stop(f"no folder {root}: work in the project's folder, or set MLOBS_CONTRACTS", 2)
    return [path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] not in "._"]


def _spec(model: str) -> ModelSpec:
    _known("model", [model], [folder.name for folder in _folders()])
    return load_models(Settings().contracts, METRICS)[model]


def _known(what: str, asked: Collection[str] | None, known: Collection[str]) -> None:
    unknown = sorted(set(asked or ()) - set(known))
    if unknown:
        near = suggestion(unknown[0], known)
        guess = f" {near}" if near.startswith("did") else ""
        _stop(
            f"unknown {what} {', '.join(unknown)};{guess} there are: {', '.join(sorted(known)) or 'none'}", 2
        )


def _moment(text: str | None) -> datetime | None:
    from mlobs_pipelines.steps.walk import parse_as_of

    with _usage():
        return parse_as_of(text)


@contextmanager
def _usage() -> Iterator[None]:
    """Let what is wrong with the options end the command as wrong usage."""
    try:
        yield
    except ValueError as error:
        _stop(str(error), 2)


def _lake() -> Lake:
    settings = Settings()
    return Lake(settings.lake_root, settings.lake_options or None)


def _stop(message: str, code: int) -> NoReturn:
    err.print(f"mlobs: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def _seconds(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"


def _timed(items: Iterator[Any]) -> Iterator[tuple[Any, float]]:
    started = time.monotonic()
    for item in items:
        yield item, time.monotonic() - started
        started = time.monotonic()


def _monthly(settings: Settings, first: date, last: date) -> list[dict[str, Any]]:
    store = MetricStore(Lake(settings.lake_root, settings.lake_options or None))
    rows = store.query(DEMO_MODEL, metrics=SLIS, windows=[str(Window.MONTH)], segments=[""], first=first)
    return [row for row in rows.to_pylist() if row["window_start"] <= last]


def _next_steps() -> None:
    out.print(
        "\nNext:\n"
        "  make ui                                             open Dagster on this data\n"
        "  mlobs metrics flight_delays --verdict fail          list what failed, and why\n"
        "  mlobs demo --incident skew-delay --to 2013-07-31    see an incident\n"
        "  data_contracts/flight_delays/                       copy it for a model of yours",
        highlight=False,
        soft_wrap=True,
    )


def _print_metrics(rows: Sequence[dict[str, Any]], form: Format) -> None:
    _print(rows, form, METRIC_COLUMNS.names, terminal.metric_rows)


def _print(
    rows: Sequence[dict[str, Any]],
    form: Format,
    columns: Sequence[str],
    sheet: Callable[[Sequence[dict[str, Any]]], terminal.Sheet],
) -> None:
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


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


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
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far long work is on a terminal; keep quiet in a pipe."""
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        meter, logger = _Meter(progress), logging.getLogger("mlobs.progress")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(meter)
        try:
            yield meter.show
        finally:
            logger.removeHandler(meter)


def main() -> None:
    """Run the command; expected errors become one message on stderr."""
    warnings.simplefilter("ignore")
    try:
        app()
    except ValidationError as error:
        told = (f"MLOBS_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        _fail("; ".join(told), 2)
    except (ContractError, SettingsError) as error:
        _fail(str(error), 2)
    except (LakeError, ValueError, OSError, RuntimeError) as error:
        _fail(str(error), 1)


def _fail(message: str, code: int) -> None:
    err.print(f"mlobs: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
