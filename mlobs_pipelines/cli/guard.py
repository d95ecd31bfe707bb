"""`mlobs guard` judges a candidate against the champion; `mlobs releases` lists what was signed off."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mlobs_pipelines.cli.output import Format, Output, count, print_rows, sheet_of
from mlobs_pipelines.cli.root import (
    DAY,
    AsOf,
    Model,
    acted,
    app,
    err,
    known,
    lake,
    moment_of,
    out,
    spec_of,
    stop,
    usage,
)
from mlobs_pipelines.contracts.durations import parse_duration
from mlobs_pipelines.core.vocabulary import Verdict
from mlobs_pipelines.destinations import terminal
from mlobs_pipelines.settings import Settings, operating_user, outside_environment, release_key

if TYPE_CHECKING:
    from mlobs_pipelines.steps.findings import Finding
    from mlobs_pipelines.steps.guard import Judgement
    from mlobs_pipelines.steps.rollback import Advice
    from mlobs_pipelines.store.audit import Detail

CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.UNDECIDED: 3}
COLUMNS = [
    ("check", "check", 0),
    ("what", "what", 0),
    ("group", "group", 0),
    ("candidate", "candidate", 1),
    ("champion", "champion", 2),
    ("limit", "limit", 3),
    ("rows", "rows", 5),
    ("test", "test", 6),
    ("verdict", "verdict", 0),
    ("why", "why", 4),
]
SIGNED = ("at", "candidate", "champion", "verdict", "signed_by", "who", "reason", "key_id", "digest", "file")


class Paper(StrEnum):
    """How a judgement is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


@app.command(epilog="Exit codes: 0 pass, 1 fail, 3 undecided, 2 wrong usage or an unknown version.")
def guard(
    model: Model,
    candidate: Annotated[str | None, typer.Option(help="Version that is to become the champion.")] = None,
    champion: Annotated[
        str | None, typer.Option(help="Version it is held against; the one it last ran beside.")
    ] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=DAY, help="First day; of those beside the champion.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last day, included.")] = None,
    window: Annotated[
        str | None,
        typer.Option(help="So many of the latest days, as in 14d; by default `guard.days`."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(help="Segment whose values are judged; may be repeated; all by default."),
    ] = None,
    sign_off: Annotated[
        str | None, typer.Option(help="Keep what is said as a record signed by this name.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it is signed off.")] = "",
    record: Annotated[Path | None, typer.Option(help="File to write the Markdown record to.")] = None,
    health: Annotated[
        bool, typer.Option("--champion-health", help="Judge the champion: go back to an earlier version?")
    ] = False,
    run_hook: Annotated[
        bool,
        typer.Option("--run-hook", help="Where going back is advised, run `guard.rollback`."),
    ] = False,
    as_of: AsOf = None,
    form: Annotated[Paper, typer.Option("--format", help="How to print.")] = Paper.TABLE,
) -> None:
    """Judge a candidate against the champion on shadow or canary traffic and training data."""
    spec = spec_of(model)
    from mlobs_pipelines.defs.resources import Site

    site = Site(Settings())
    walk = site.walk(spec, "guard", moment_of(as_of))
    if health:
        _health(walk, form, run_hook=run_hook)
    if candidate is None:
        stop("name the version to judge: --candidate; or judge the champion: --champion-health", 2)
    known("version", [candidate, *([champion] if champion else [])], spec.monitor.versions)
    known("group", group, spec.monitor.segments)
    if sign_off is not None and not (sign_off.strip() and reason.strip()):
        stop("--sign-off needs a name, and --reason says why; give both", 2)
    from mlobs_pipelines.steps.guard import Asked, judge_release

    ends = (first.date() if first else None, last.date() if last else None)
    with usage():
        asked = Asked(candidate, champion, *ends, _days(window), tuple(group) if group else None)
        judgement = judge_release(walk, asked)
    _print(judgement, form)
    _write(site, walk, judgement, (sign_off or "", reason), record)
    raise typer.Exit(CODES[judgement.verdict])


def _days(window: str | None) -> int | None:
    if window is None:
        return None
    length = parse_duration(window)
    if length % timedelta(days=1):
        raise ValueError(f"{window} is no number of days; write it as in 14d")
    return length // timedelta(days=1)


def _print(judgement: "Judgement", form: Paper) -> None:
    from mlobs_pipelines.steps.guard import grouped
    from mlobs_pipelines.steps.release_record import markdown

    if form is Paper.JSON:
        typer.echo(terminal.as_json([judgement.row()])[2:-2])
    elif form is Paper.MARKDOWN:
        typer.echo(markdown(judgement), nl=False)
    else:
        _table(judgement, list(grouped(judgement.findings)))


def _table(judgement: "Judgement", findings: "Sequence[Finding]") -> None:
    from mlobs_pipelines.steps.release_record import CELLS, shown
    from mlobs_pipelines.steps.suitability import day_range

    names = [name for _, name, _ in COLUMNS if name != "test"]
    rows = [{**dict(zip(CELLS, shown(one), strict=True)), "test": one.test} for one in findings]
    print_rows(rows, Format.TABLE, names, lambda some: sheet_of(some, COLUMNS))
    roles = " and ".join(judgement.roles) or "no"
    typer.echo(
        f"\n{judgement.model}: {judgement.candidate} against {judgement.champion or 'no champion'}, "
        f"{count(len(judgement.days), 'day')} of {roles} traffic ({day_range(judgement.days)}), "
        f"{judgement.labelled:,} of {judgement.pairs:,} pairs labelled"
    )
    typer.echo("\n".join([f"verdict: {judgement.verdict}", *(f"- {one}" for one in judgement.reasons)]))


def _write(
    site: Any,  # noqa: ANN401 - of a module that is imported late
    walk: Any,  # noqa: ANN401 - as above
    judgement: "Judgement",
    signing: tuple[str, str],
    path: Path | None,
) -> None:
    """Write the record, and sign it where somebody does."""
    from mlobs_pipelines.steps import release_record as records

    name, reason = signing
    if not name:
        if path:
            _to(path, records.markdown(judgement))
        return
    settings = site.settings
    signed = records.Signed(name, reason, operating_user(), site.clock())
    record = records.sealed(judgement, signed, release_key(settings))
    stamp = signed.at.strftime("%Y%m%dT%H%M%SZ")
    target = path or settings.home / "releases" / walk.model / f"{judgement.candidate}-{stamp}.md"
    _to(target, records.document(record))
    records.keep(walk, judgement, signed, record, str(target))
    told = {"verdict": str(judgement.verdict), "champion": judgement.champion, "digest": record.digest}
    acted(walk.model, "guard.sign_off", judgement.candidate, {**told, "signed_by": name})


def _to(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    err.print(f"record: {path}", markup=False, highlight=False, soft_wrap=True)


def _health(walk: Any, form: Paper, *, run_hook: bool) -> NoReturn:  # noqa: ANN401 - as above
    """Judge the champion, and go back where that is advised and asked for."""
    from mlobs_pipelines.steps.rollback import champion_health

    advice = champion_health(walk)
    if form is Paper.JSON:
        typer.echo(terminal.as_json([advice.row()])[2:-2])
    else:
        typer.echo("\n".join(_advice(advice)))
    if run_hook and advice.back_to:
        _go_back(walk, advice)
    raise typer.Exit(CODES[advice.verdict])


def _advice(advice: "Advice") -> list[str]:
    lines = [f"{advice.model}: champion {advice.champion or 'unknown'}", f"verdict: {advice.verdict}"]
    lines += [f"- {one}" for one in advice.breaches]
    lines.append(advice.why)
    for version, found in advice.figures.items():
        lines += [f"{version}: {', '.join(map(str, found)) or 'no figures'}"]
    return lines


def _go_back(walk: Any, advice: "Advice") -> None:  # noqa: ANN401 - as above
    """Run the hook; what it prints is nobody's business."""
    from mlobs_pipelines.destinations.hooks import run

    hook = walk.spec.monitor.guard.rollback
    if hook is None:
        stop("monitor.yaml declares no guard.rollback to run", 2)
    folder = Settings().contracts / advice.model
    ran = run(hook.command, advice.row(), folder, hook.timeout.total_seconds(), outside_environment())
    ended: dict[str, Detail] = {
        "from": advice.champion,
        "ended": ran.said,
        "seconds": round(ran.seconds, 1),
    }
    acted(advice.model, "guard.rollback", advice.back_to, ended)
    err.print(f"hook: {ran.said}, {ran.seconds:.1f} s", markup=False, highlight=False)


@app.command()
def releases(
    model: Model,
    verify: Annotated[Path | None, typer.Option(help="A record's file: is it still what was signed?")] = None,
    form: Output = Format.TABLE,
) -> None:
    """List what was signed off, the latest first, or verify the document of one."""
    from mlobs_pipelines.store.tables import RELEASES

    spec_of(model)
    if verify is not None:
        _verify(model, verify)
        return
    found = sorted(lake().read(model, RELEASES).to_pylist(), key=lambda row: row["at"], reverse=True)
    rows: list[Mapping[str, Any]] = [{name: row[name] for name in SIGNED} for row in found]
    if not rows and form is Format.TABLE:
        err.print("nothing was signed off")
        return
    print_rows([dict(row) for row in rows], form, SIGNED, terminal.records)


def _verify(model: str, path: Path) -> None:
    from mlobs_pipelines.steps.release_record import verified
    from mlobs_pipelines.store.tables import RELEASES

    if not path.is_file():
        stop(f"no file {path}", 2)
    text = path.read_text(encoding="utf-8")
    good, said = verified(text, release_key(Settings()))
    digests = {row["digest"] for row in lake().read(model, RELEASES).to_pylist()}
    listed = any(digest in text for digest in digests)
    rest = "it is in the table of releases" if listed else "it is not in the table of releases"
    if not (good and listed):
        stop(f"{path}: {said}; {rest}", 1)
    out.print(f"{path}: {said}; {rest}", markup=False, highlight=False, soft_wrap=True)
