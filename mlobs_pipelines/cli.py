"""The `mlobs` command: each subcommand reads its options, calls a step or a job, and prints.

Exit codes: 0 done, 1 something failed (a run, a document), 2 wrong usage or a declaration with problems.
Heavy imports stay inside the commands that need them, so that reading commands start fast.
"""

import csv
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlobs_pipelines.contracts.folder import ModelSpec, check_folder, load_models
from mlobs_pipelines.contracts.problems import ContractError
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.store.lake import Lake, LakeError
from mlobs_pipelines.store.metric_store import MetricStore

app = typer.Typer(
    help="Monitor machine-learning models with Dagster: contracts, drift, skew, calibration, late labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 something failed, 2 wrong usage or a declaration with problems.",
)
out, err = Console(), Console(stderr=True)
DEMO_MODEL = "flight_delays"
SLIS = ("auc", "ece", "brier_score", "label_coverage")


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
    root = Settings().contracts
    folders = [root / model] if model else sorted(path for path in root.glob("*") if path.is_dir())
    if not folders:
        _stop(f"no model folders in {root}; a model is a folder with monitor.yaml and three contracts", 2)
    problems = [problem for folder in folders for problem in check_folder(folder, METRICS)]
    for problem in problems:
        out.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if problems:
        _stop(f"{len(problems)} problems", 1)
    out.print(f"{len(folders)} model(s) are declared without problems: {', '.join(f.name for f in folders)}")


@app.command()
def demo(
    share: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of the flights that is served.")
    ] = 0.2,
    full: Annotated[bool, typer.Option("--full", help="All flights; the same as --share 1.")] = False,
    first: Annotated[datetime, typer.Option("--from", formats=DAY)] = datetime(2013, 3, 1),  # noqa: DTZ001 - a day
    last: Annotated[datetime, typer.Option("--to", formats=DAY)] = datetime(2013, 7, 31),  # noqa: DTZ001 - a day
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

    unknown = sorted(set(incident or ()) - set(INCIDENTS))
    if unknown:
        _stop(f"unknown incident {', '.join(unknown)}; there are {', '.join(INCIDENTS)}", 2)
    plan = DemoPlan(first.date(), last.date(), 1.0 if full else share, frozenset(incident or ()))
    settings = Settings()
    started = time.monotonic()
    with _progress() as show:
        summary = build_landing(plan, settings.landing_root / DEMO_MODEL, show)
    out.print(f"landing zone: {summary.predictions:,} predictions, {_seconds(started)}")
    if landing_only:
        return
    backfill(DEMO_MODEL, first, last)
    _print_rows(_monthly(settings, first.date(), last.date()), Format.TABLE)
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
    from mlobs_pipelines.definitions import build_defs
    from mlobs_pipelines.defs import launch
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.steps.walk import parse_as_of

    spec, site = _spec(model), Site(Settings())
    with _progress():
        runs = launch.backfill(site, build_defs(site), spec, first.date(), last.date(), parse_as_of(as_of))
        for launched, seconds in _timed(runs):
            told = f"{launched.failed_checks} failed checks" if launched.failed_checks else "no failed check"
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
    verdict: Annotated[list[str] | None, typer.Option(help="pass, fail, undecided or none.")] = None,
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
    from mlobs_pipelines.steps.walk import parse_as_of

    _spec(model)
    unknown = sorted(set(metric or ()) - set(METRICS))
    if unknown:
        _stop(f"unknown metric {', '.join(unknown)}; there are {', '.join(sorted(METRICS))}", 2)
    rows = MetricStore(_lake()).query(
        model,
        metrics=metric,
        versions=version,
        windows=None if window is None else [str(item) for item in window],
        segments=None if segment == "any" else [segment],
        features=feature,
        first=first.date() if first else None,
        last=last.date() if last else None,
        as_of=parse_as_of(as_of),
    )
    found = [row for row in rows.to_pylist() if not verdict or row["verdict"] in verdict]
    _print_rows(found, form)


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
    from mlobs_pipelines.steps.walk import parse_as_of

    spec, site = _spec(model), Site(Settings())
    target = path or report_path(site, spec)
    rows = write_report(site.walk(spec, "report", parse_as_of(as_of)), target)
    out.print(f"report of {rows:,} metric rows: {target}", soft_wrap=True)


@app.command()
def tables(model: Model, form: Output = Format.TABLE) -> None:
    """List a model's tables with size and content hash, to compare two lakes."""
    from dataclasses import asdict

    _spec(model)
    _print_rows([asdict(summary) for summary in _lake().summary(model)], form)


def _spec(model: str) -> ModelSpec:
    root = Settings().contracts
    models = load_models(root, METRICS)
    if model not in models:
        _stop(f"no model {model!r} under {root}; there are {', '.join(models) or 'none'}", 2)
    return models[model]


def _lake() -> Lake:
    settings = Settings()
    return Lake(settings.lake_root, settings.lake_options or None)


def _stop(message: str, code: int) -> None:
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
        "\nNext: `make ui` opens Dagster on this data; `mlobs metrics flight_delays --verdict fail` lists what "
        "failed;\n`mlobs demo --incident label-stall --incident skew-delay` shows two incidents; "
        "data_contracts/flight_delays/ is what to copy for a model of yours.",
        highlight=False,
    )


SHOWN = ("model_version", "role", "segment_value", "feature", "metric", "window", "window_start")
NUMBERS = ("value", "lower", "upper", "n", "label_coverage")


def _print_rows(rows: Sequence[dict[str, Any]], form: Format) -> None:
    if form is Format.JSON:
        typer.echo(json.dumps(rows, default=_plain, indent=2))
    elif form is Format.CSV:
        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif not rows:
        err.print("nothing found; has the range been backfilled?")
    else:
        _print_table(rows)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    wanted = (*SHOWN, *NUMBERS, "maturity", "verdict") if "metric" in rows[0] else tuple(rows[0])
    columns = [name for name in wanted if any(row[name] not in ("", None) for row in rows)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(
            name, justify="right" if isinstance(rows[0][name], int | float) else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    (out if out.is_terminal else Console(width=240)).print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return (
        f"{value:.4f}"
        if isinstance(value, float)
        else _plain(value)
        if isinstance(value, date)
        else str(value)
    )


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
    except ContractError as error:
        _fail(str(error), 2)
    except (LakeError, ValueError, FileExistsError, RuntimeError) as error:
        _fail(str(error), 1)


def _fail(message: str, code: int) -> None:
    err.print(f"mlobs: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
