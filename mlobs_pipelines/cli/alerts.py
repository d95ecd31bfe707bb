"""Commands about messages to people: `alerts send` and `alerts list`.

What is due follows from incidents, routes and what was sent before: `steps.notify`.
"""

from datetime import datetime
from typing import Annotated, Any

import typer

from mlobs_pipelines.cli.output import Format, Output, print_rows, sheet_of
from mlobs_pipelines.cli.root import Model, app, known, lake, moment_of, out, spec_of, stop

STATES = ("sent", "failed", "dead")
COLUMNS = [
    ("at", "at", 0),
    ("channel", "channel", 0),
    ("event", "event", 0),
    ("incident", "incident", 0),
    ("state", "state", 0),
    ("attempt", "attempt", 4),
    ("error", "error", 5),
    ("title", "title", 6),
]
group = typer.Typer(no_args_is_help=True, help="Messages about incidents: what is due, and what was sent.")
app.add_typer(group, name="alerts")


@group.command()
def send(
    model: Model,
    at: Annotated[str | None, typer.Option(help="Moment to take for now; default the clock.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is due, send nothing.")] = False,
) -> None:
    """Send what is due now by the routes of the monitor; ends with 1 if a message did not arrive."""
    spec, moment = spec_of(model), moment_of(at)
    if not spec.monitor.incidents.routes:
        stop(f"{model} has no routes: write incidents.routes in its monitor.yaml", 2)
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.destinations.channels import send as carry
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps import notify

    settings = Settings()
    site = Site(settings)
    walk, now = site.walk(spec, "alerts.send"), moment or site.clock()
    if dry_run:
        found = [(one, one.waits or "due") for one in notify.due(walk, now)]
    else:
        found = notify.notify(walk, settings.channel_addresses, now, carry, settings.dagster_url or "")
    for message, what in found:
        out.print(_line(message, what), markup=False, highlight=False, soft_wrap=True)
    lost = sum(what in {"failed", "dead"} for _, what in found)
    if lost:
        stop(f"{lost} messages did not arrive; mlobs alerts list {model} --state failed says why", 1)


@group.command("list")
def list_(
    model: Model,
    state: Annotated[list[str] | None, typer.Option(help="sent, failed or dead; may be repeated.")] = None,
    form: Output = Format.TABLE,
) -> None:
    """List what was sent, what failed, and what was given up (dead) with its text."""
    from mlobs_pipelines.store.tables import NOTIFICATIONS

    known("state", state, STATES)
    spec_of(model)
    rows = [
        row for row in lake().read(model, NOTIFICATIONS).to_pylist() if not state or row["state"] in state
    ]
    print_rows(
        rows, form, NOTIFICATIONS.schema.names, lambda some: sheet_of([_plain(row) for row in some], COLUMNS)
    )


def _line(message: Any, what: str) -> str:  # noqa: ANN401 - a Message, whose module loads late
    return f"{what}: {message.channel}: {message.event} {message.row['incident']}"


def _plain(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a mapping
    at: datetime = row["at"]
    return {**row, "at": f"{at:%Y-%m-%d %H:%M}"}
