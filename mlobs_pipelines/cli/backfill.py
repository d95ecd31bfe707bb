"""The command that walks any days, any part of the walk, again or where it stopped: `backfill`.

What the walk does is in `steps`; which runs it takes and how they run in Dagster is in `defs`.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs_pipelines.cli.output import count, progress
from mlobs_pipelines.cli.root import (
    DAY,
    AsOf,
    Model,
    acted,
    app,
    err,
    known,
    moment_of,
    out,
    spec_of,
    stop,
    usage,
)

if TYPE_CHECKING:
    import dagster as dg

    from mlobs_pipelines.contracts.folder import ModelSpec
    from mlobs_pipelines.defs.backfills import Asked
    from mlobs_pipelines.defs.launch import Launched
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.store.audit import Detail

INTERRUPTED = 130


@app.command()
def backfill(
    model: Model,
    first: Annotated[datetime, typer.Option("--from", formats=DAY, help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=DAY, help="Last day, included.")],
    as_of: AsOf = None,
    assets: Annotated[
        list[str] | None, typer.Option(help="Only these assets of the walk: a,b or repeated.")
    ] = None,
    from_asset: Annotated[
        str | None, typer.Option(help="Only this asset and what depends on it, downstream.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what is done: go on where a backfill has stopped.")
    ] = False,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Only days that have failed, from where they failed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which runs it would take, and run nothing.")
    ] = False,
) -> None:
    """Run the walk for a range of days, headless, in as few Dagster runs as it takes.

    A day that fails does not hold back the others. Ctrl-C leaves every table whole; --resume goes on.
    """
    spec = spec_of(model)
    from mlobs_pipelines.definitions import build_defs
    from mlobs_pipelines.defs import launch
    from mlobs_pipelines.defs.backfills import Asked, parts
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings

    site, days, moment = Site(Settings()), (first.date(), last.date()), moment_of(as_of)
    defs = build_defs(site)
    chosen = _chosen(spec, defs, assets, from_asset)
    if moment is None and resume:
        with launch.instance(site) as opened:
            moment = launch.moment_before(opened, spec, *days)
    asked = Asked(*days, moment or spec.monitor.replay_as_of or site.clock(), chosen, resume, only_failed)
    with usage():
        parts(spec, asked)
    if dry_run:
        _planned(site, spec, asked)
    else:
        _run(site, defs, spec, asked)


def _chosen(
    spec: "ModelSpec", defs: "dg.Definitions", assets: Sequence[str] | None, from_asset: str | None
) -> tuple[str, ...]:
    """Names of the assets that are asked for, in the order of the walk; none for the whole walk."""
    from mlobs_pipelines.defs.backfills import downstream
    from mlobs_pipelines.defs.jobs import made_by

    walk = made_by(spec, "daily")
    named = [name.strip() for text in assets or () for name in text.split(",") if name.strip()]
    if named and from_asset:
        stop("--assets and --from-asset are two ways to say the same: give one of them", 2)
    known("asset", [*named, *([from_asset] if from_asset else [])], walk)
    wanted = downstream(spec, defs, from_asset) if from_asset else named
    return tuple(name for name in walk if name in wanted)


def _planned(site: "Site", spec: "ModelSpec", asked: "Asked") -> None:
    from mlobs_pipelines.defs import launch
    from mlobs_pipelines.defs.backfills import open_parts

    batch = site.walk(spec, "backfill", asked.moment).commit["batch_id"]
    with launch.instance(site) as opened:
        found = list(open_parts(opened, spec, asked, batch))
    for part in found:
        days = f"{part.first} to {part.last} ({count(len(part.days), 'day')})" if part.days else "no days"
        out.print(
            f"{spec.model}_{part.job}: {days}: {', '.join(part.assets)}", highlight=False, soft_wrap=True
        )
    runs = count(len(found), "run")
    out.print(f"{runs}, as of {asked.moment.isoformat()}; nothing was run", highlight=False)


def _run(site: "Site", defs: "dg.Definitions", spec: "ModelSpec", asked: "Asked") -> None:
    from mlobs_pipelines.defs import launch
    from mlobs_pipelines.steps import expired

    for said in expired.told(site.walk(spec, "backfill", asked.moment), asked.first, asked.last):
        err.print(said, highlight=False, soft_wrap=True)
    runs: list[Launched] = []
    try:
        with progress(), launch.instance(site) as opened, launch.interruptible():
            for launched, seconds in _timed(launch.backfill(site, defs, spec, asked, opened)):
                runs.append(launched)
                told = count(launched.failed_checks, "failed check")
                err.print(
                    f"{launched.job}: run {launched.run_id[:8]}, {seconds:.1f} s, {told}", highlight=False
                )
    except KeyboardInterrupt:
        stop(f"interrupted; every table is whole. Go on with: {_again(spec, asked, '--resume')}", INTERRUPTED)
    finally:
        acted(spec.model, "backfill", f"{asked.first} to {asked.last}", _summed(runs, asked))
    failed = [one for one in runs if not one.success]
    if failed:
        again = _again(spec, asked, "--only-failed")
        why = f"run {failed[0].run_id} of {failed[0].job} failed: {failed[0].error}"
        stop(f"{why}. Once it is mended: {again}", 1)
    if not runs:
        err.print("nothing is left to do", highlight=False)


def _again(spec: "ModelSpec", asked: "Asked", how: str) -> str:
    days = f"--from {asked.first} --to {asked.last}"
    chosen = f" --assets {','.join(asked.assets)}" if asked.assets else ""
    as_of = "" if asked.moment == spec.monitor.replay_as_of else f" --as-of {asked.moment.isoformat()}"
    return f"mlobs backfill {spec.model} {days}{as_of}{chosen} {how}"


def _summed(runs: "list[Launched]", asked: "Asked") -> "dict[str, Detail]":
    return {
        "as_of": asked.moment.isoformat(),
        "runs": len(runs),
        "failed_runs": sum(not one.success for one in runs),
        "failed_checks": sum(one.failed_checks for one in runs),
        "last_run": runs[-1].run_id if runs else None,
    }


def _timed(items: Iterator[Any]) -> Iterator[tuple[Any, float]]:
    started = time.monotonic()
    for item in items:
        yield item, time.monotonic() - started
        started = time.monotonic()
