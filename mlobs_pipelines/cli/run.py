"""The command that builds the demo and walks it. Walking any days is `backfill`."""

import time
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs_pipelines.cli.backfill import backfill
from mlobs_pipelines.cli.output import Format, print_rows, progress
from mlobs_pipelines.cli.read import report
from mlobs_pipelines.cli.root import DAY, app, known, out, spec_of, usage
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.destinations import terminal

if TYPE_CHECKING:
    from mlobs_pipelines.settings import Settings

DEMO_MODEL = "flight_delays"
SLIS = ("auc", "ece", "brier_score", "label_coverage")


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
    from mlobs_pipelines.settings import Settings

    known("incident", incident, INCIDENTS)
    if not landing_only:
        spec_of(DEMO_MODEL)
    with usage():
        plan = DemoPlan(first.date(), last.date(), 1.0 if full else share, frozenset(incident or ()))
    settings = Settings()
    started = time.monotonic()
    with progress() as show:
        summary = build_landing(plan, settings.landing_root / DEMO_MODEL, show)
    out.print(f"landing zone: {summary.predictions:,} predictions, {_seconds(started)}", highlight=False)
    if landing_only:
        return
    backfill(DEMO_MODEL, first, last)
    out.print("\nService-level indicators by calendar month:")
    rows = _monthly(settings, first.date(), last.date())
    print_rows(rows, Format.TABLE, [], lambda found: terminal.side_by_side(found, SLIS))
    out.print()
    report(DEMO_MODEL)
    _next_steps()


def _seconds(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"


def _monthly(settings: "Settings", first: date, last: date) -> list[dict[str, Any]]:
    from mlobs_pipelines.store.lake import Lake
    from mlobs_pipelines.store.metric_store import MetricStore

    store = MetricStore(Lake(settings.lake_root, settings.lake_options or None))
    rows = store.query(DEMO_MODEL, metrics=SLIS, windows=[str(Window.MONTH)], segments=[""], first=first)
    return [row for row in rows.to_pylist() if row["window_start"] <= last]


def _next_steps() -> None:
    out.print(
        "\nNext:\n"
        "  make ui                                             open Dagster on this data\n"
        "  mlobs metrics flight_delays --verdict fail          list what failed, and why\n"
        "  mlobs demo --incident skew-delay --to 2013-07-31    see an incident\n"
        "  mlobs init MODEL --predictions FILE                 a model of yours, from sample files",
        highlight=False,
        soft_wrap=True,
    )
