"""Commands about incidents: `incidents list`, `show`, `ack`, `mute`, `resolve`, `record` and `similar`.

How an incident is explained is `explain`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mlobs_pipelines.cli.output import Format, Output, print_rows, sheet_of
from mlobs_pipelines.cli.root import DAY, app, err, folders, known, lake, out, spec_of, stop, usage
from mlobs_pipelines.destinations import terminal
from mlobs_pipelines.destinations.records import about

ALIKE = ("incident", "alike", "title", "state", "opened_on", "resolved_on", "acted_by", "note")
STATES = ("open", "acknowledged", "muted", "resolved")
COLUMNS = [
    ("incident", "incident", 0),
    ("severity", "severity", 0),
    ("state", "state", 0),
    ("opened", "opened_on", 0),
    ("resolved", "resolved_on", 0),
    ("versions", "of", 4),
    ("what", "title", 0),
]
Which = Annotated[str, typer.Argument(help="Id of the incident, as `list` prints it.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the incident and in `audit`.")]
group = typer.Typer(
    no_args_is_help=True, help="What failed and belongs together: since when, how bad, whose."
)
app.add_typer(group, name="incidents")


@group.command("list")
def list_(
    model: Annotated[str | None, typer.Argument(help="Name of the model; all by default.")] = None,
    state: Annotated[list[str] | None, typer.Option(help="State; may be repeated; all by default.")] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=DAY, help="Those that were there on this day or later."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=DAY, help="As they stood on this day.")
    ] = None,
    form: Output = Format.TABLE,
) -> None:
    """List incidents as they stood last, the latest first."""
    from mlobs_pipelines.store.standing import current

    known("state", state, STATES)
    names = [folder.name for folder in folders()]
    known("model", [model] if model else None, names)
    ends = (first.date() if first else None, last.date() if last else None)
    rows = [row for name in ([model] if model else names) for row in current(lake(), name, *ends)]
    shown = _shown()
    mine = [{name: row[name] for name in shown} for row in rows if not state or row["state"] in state]
    if not mine and form is Format.TABLE:
        err.print("no incident")
        return
    print_rows(mine, form, shown, _sheet)


@group.command()
def show(incident: Which, form: Output = Format.TABLE) -> None:
    """Say all about one incident: its signals with their numbers, since when, where Dagster shows them."""
    row = _find(incident)
    signals = json.loads(row["signals"])
    if form is Format.JSON:
        causes = json.loads(row["suspects"] or "[]")
        plain = {**{name: row[name] for name in _shown()}, "signals": signals, "suspects": causes}
        typer.echo(terminal.as_json([plain]))
        return
    if form is Format.TABLE:
        typer.echo("\n".join([*heading(row), ""]))
    lines = [_signal(one) for one in signals]
    print_rows(
        lines, form, list(lines[0]), lambda some: sheet_of(some, [(name, name, 0) for name in lines[0]])
    )
    if form is Format.TABLE:
        typer.echo(f"\nDagster: {_links(row, signals)}")


@group.command()
def ack(incident: Which, reason: Reason = "") -> None:
    """Say that somebody is on it."""
    _act(incident, "ack", reason)


@group.command()
def mute(
    incident: Which,
    until: Annotated[
        datetime, typer.Option(formats=DAY, help="First day on which it is not muted any more.")
    ],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident and in `audit`.")],
) -> None:
    """Do not call anybody for it until a day."""
    _act(incident, "mute", reason, until.date())


@group.command()
def resolve(
    incident: Which,
    reason: Reason = "",
    to: Annotated[
        Path | None, typer.Option("--record", help="Write its record here, as `record` does.")
    ] = None,
) -> None:
    """Close it now; should any of its signals fail again within days, it comes back."""
    after = _act(incident, "resolve", reason)
    if to is not None:
        _write(after, to)


@group.command()
def record(
    incident: Which,
    output: Annotated[Path | None, typer.Option(help="File to write; the screen if none.")] = None,
) -> None:
    """Write the record of an incident: timeline, evidence, causes, actions, and a form to fill in."""
    _write(_find(incident), output)


@group.command()
def similar(incident: Which, form: Output = Format.TABLE) -> None:
    """List earlier incidents alike: what failed and what was suspected; what was said of them."""
    from mlobs_pipelines.steps.incidents import current
    from mlobs_pipelines.steps.record import similar as alike

    row = _find(incident)
    found = alike(row, current(lake(), row["model"]))
    if not found and form is Format.TABLE:
        err.print("no earlier incident is like it")
        return
    print_rows(found, form, ALIKE, lambda some: sheet_of(some, [(name, name, 0) for name in ALIKE]))


def _write(row: Mapping[str, Any], to: Path | None) -> None:
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.destinations.records import record as written
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.record import recorded

    settings = Settings()
    walk = Site(settings).walk(spec_of(row["model"]), "incidents.record")
    text = written(recorded(walk, row, settings.dagster_url or ""))
    if to is None:
        typer.echo(text, nl=False)
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text, encoding="utf-8")
    out.print(f"written: {to}", markup=False, highlight=False, soft_wrap=True)


def _act(incident: str, kind: str, reason: str, until: date | None = None) -> dict[str, Any]:
    row = _find(incident)
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings, operating_user
    from mlobs_pipelines.steps.incidents import act

    site = Site(Settings())
    walk = site.walk(spec_of(row["model"]), f"incidents.{kind}")
    with usage():
        after = act(walk, row, kind, operating_user(), site.clock(), reason, until)
    ends = f" until {after['muted_until']}" if after["state"] == "muted" else ""
    out.print(f"{after['incident']}: {after['state']}{ends}", markup=False, highlight=False, soft_wrap=True)
    return after


def _find(incident: str) -> dict[str, Any]:
    """An incident as it stood last; ends the command where there is none."""
    from mlobs_pipelines.store.standing import current

    models = [folder.name for folder in folders()]
    mine = next((name for name in models if incident.startswith(f"{name}-")), None)
    rows = current(lake(), mine) if mine else []
    found = next((row for row in rows if row["incident"] == incident), None)
    if found is None:
        known("incident", [incident], [row["incident"] for row in rows])
        stop(f"unknown incident {incident}", 2)
    return found


def _shown() -> list[str]:
    """Names of an incident's columns that are printed."""
    from mlobs_pipelines.store.tables import INCIDENTS

    return [name for name in INCIDENTS.schema.names if name not in {"run_id", "signals", "suspects"}]


def _sheet(rows: Sequence[Mapping[str, Any]]) -> terminal.Sheet:
    return sheet_of([{**row, "of": " ".join(row["versions"])} for row in rows], COLUMNS)


def heading(row: Mapping[str, Any]) -> list[str]:
    """What an incident is and where it stands, a line each."""
    ended = f", resolved {row['resolved_on']}" if row["resolved_on"] else ""
    again = f", reopened {row['reopened']} times" if row["reopened"] else ""
    acted = f"{row['acted_by']}: {row['note'] or 'no reason given'}" if row["acted_by"] else ""
    facts = {
        "what": row["title"],
        "severity": row["severity"],
        "state": row["state"] + (f" until {row['muted_until']}" if row["state"] == "muted" else ""),
        "since": f"{row['opened_on']}{ended}{again}; last looked at {row['day']}",
        "suspects": "; ".join(one["text"] for one in json.loads(row["suspects"] or "[]")),
        "owners": ", ".join(row["owners"]),
        "runbook": row["runbook"],
        "action": acted,
    }
    return [f"{name:9} {text}" for name, text in {"incident": row["incident"], **facts}.items() if text]


def _signal(stored: Mapping[str, Any]) -> dict[str, Any]:
    """One signal in words: what it is, since when, and its last failing value."""
    told = stored["signal"]["told"]
    numbers = {"value": told.get("value", told.get("count")), "limit": told.get("threshold")}
    plain = {name: "" if value is None else f"{value:.4g}" for name, value in numbers.items()}
    seen = {"first": stored["first"], "last": stored["last"], "days": stored["failures"]}
    return {"signal": about(told), **seen, **plain, "why": str(told.get("reason", ""))}


def _links(row: Mapping[str, Any], signals: Sequence[Mapping[str, Any]]) -> str:
    first: dict[str, str] = {}
    for one in signals:
        first.setdefault(one["signal"]["check"], one["first"])
    return "; ".join(f"{row['model']}/{check} of {day}" for check, day in first.items())
