"""`mlobs explain`: what most likely caused an incident, from stored evidence, and what to open.

How suspects are found and ordered is `steps.explain`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mlobs_pipelines.cli.incidents import heading
from mlobs_pipelines.cli.output import Format, Output, print_rows, sheet_of
from mlobs_pipelines.cli.root import Model, app, err, known, lake, spec_of
from mlobs_pipelines.destinations import terminal

LIVE = ("open", "acknowledged")
COLUMNS = [
    ("", "rank", 0),
    ("score", "score", 0),
    ("suspect", "what", 0),
    ("by", "metric", 1),
    ("before", "before", 1),
    ("then", "during", 1),
    ("since", "begin", 0),
    ("until", "end", 2),
    ("may follow from", "may_follow_from", 3),
]
CSV = ("incident", "rank", "score", "kind", "what", "metric", "before", "during", "begin", "end")
FEW = 3  # suspects whose materializations are told in full


@app.command()
def explain(
    model: Model,
    incident: Annotated[
        str | None, typer.Argument(help="Id of the incident; those that are open, the worst first, if none.")
    ] = None,
    form: Output = Format.TABLE,
) -> None:
    """Rank what may have caused an incident, with what each rests on and the materializations to open."""
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.record import explained

    spec, rows = spec_of(model), _asked(model, incident)
    if not rows:
        if form is Format.JSON:
            typer.echo("[]")
        err.print("no incident is open")
        return
    settings = Settings()
    found = explained(Site(settings).walk(spec, "explain"), rows, settings.dagster_url or "")
    if form is Format.JSON:
        typer.echo(terminal.as_json(found))
    elif form is Format.CSV:
        flat = [{"incident": one["incident"], **s} for one in found for s in one["suspects"]]
        typer.echo(terminal.as_csv([{name: s.get(name) for name in CSV} for s in flat], CSV), nl=False)
    else:
        for row, one in zip(rows, found, strict=True):
            _print(row, one)


def _asked(model: str, incident: str | None) -> list[dict[str, Any]]:
    from mlobs_pipelines.steps.incidents import current

    rows = current(lake(), model)
    if incident is not None:
        known("incident", [incident], [row["incident"] for row in rows])
        return [row for row in rows if row["incident"] == incident]
    live = [row for row in rows if row["state"] in LIVE]
    return sorted(live, key=lambda row: (row["severity"] != "critical", -row["failing"], row["opened_on"]))


def _print(row: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    signals = len(json.loads(row["signals"]))
    typer.echo(
        "\n".join([*heading(row), f"{'signals':9} {signals}; mlobs incidents show {row['incident']}", ""])
    )
    told = found["suspects"]
    if not told:
        typer.echo("no suspect: nothing that is upstream of it changed more than by chance when it began\n")
        return
    print_rows(told, Format.TABLE, [], _sheet)
    typer.echo("\nto open:")
    ways = {(way["asset"], way["partition"]): way for one in told[:FEW] for way in one["open"]}
    typer.echo("\n".join([*map(_open, ways.values()), *_alike(found["similar"]), ""]))


def _alike(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Earlier incidents alike, and what was said of them."""
    if not found:
        return []
    told = [
        f"- {one['incident']} ({one['alike']:.0%} alike): {one['title']}; {one['note'] or one['state']}"
        for one in found
    ]
    return ["", "alike, earlier:", *told]


def _open(way: Mapping[str, Any]) -> str:
    run = f", run {way['run_id']}" if way["run_id"] else ""
    version = f", table version {way['table_version']}" if way["table_version"] is not None else ""
    inputs = f", from {'; '.join(way['inputs'])}" if way["inputs"] else ""
    return f"- {way['asset']} of {way['partition']}{run}{version}{inputs} {way['link']}".rstrip()


def _sheet(rows: Sequence[Mapping[str, Any]]) -> terminal.Sheet:
    return sheet_of([_shown(row) for row in rows], COLUMNS)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {
        name: f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name])
        for name in ("before", "during")
    }
    return {**row, **numbers, "score": f"{row['score']:.2f}", "end": row["end"] or ""}
