"""`mlobs init` drafts a model's contracts and monitor from sample files; `mlobs land` lands later files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlobs_pipelines.cli.root import Model, acted, app, err, folders, known, out, stop, usage
from mlobs_pipelines.settings import Settings

if TYPE_CHECKING:
    from mlobs_pipelines.steps.draft.plan import Plan
    from mlobs_pipelines.steps.draft.writing import Files

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
Predictions = Annotated[
    list[Path], typer.Option(help="File of predictions: CSV, Parquet or JSON lines; may be repeated.")
]
LabelFiles = Annotated[list[Path] | None, typer.Option(help="File of labels; may be repeated.")]
FeatureFiles = Annotated[
    list[Path] | None,
    typer.Option(help="File of feature values by entity and time; may be repeated."),
]


@app.command()
def init(
    model: Annotated[str, typer.Argument(help="Name of the new model: letters, digits and underscores.")],
    predictions: Predictions,
    labels: LabelFiles = None,
    features: FeatureFiles = None,
    training: Annotated[
        list[Path] | None, typer.Option(help="File of training rows with scores; the first days by default.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder that the model's folder is made in.")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that names each prediction.")] = None,
    time_column: Annotated[str | None, typer.Option(help="Column of when it was made.")] = None,
    score_column: Annotated[str | None, typer.Option(help="Column of what the model said.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of what came true.")] = None,
    positive: Annotated[
        str | None, typer.Option(help="Label that means yes, where labels are words.")
    ] = None,
    label_delay: Annotated[
        str, typer.Option(help="How long after predictions labels come that have no time.")
    ] = "1d",
    owner: Annotated[
        str, typer.Option(help="Who answers for the model: an address or team:NAME.")
    ] = "team:owners",
    force: Annotated[bool, typer.Option("--force", help="Write over a draft that is there.")] = False,
) -> None:
    """Draft contracts and a monitor from sample files, land the files, and say what to do next."""
    if not _NAME.fullmatch(model):
        stop(f"{model} is no name of a model: small letters, digits and underscores, a letter first", 2)
    from datetime import UTC, datetime

    from mlobs_pipelines.contracts.durations import parse_duration
    from mlobs_pipelines.steps.draft.plan import Asked
    from mlobs_pipelines.steps.draft.writing import Places, draft

    settings = Settings()
    places = Places((output or settings.contracts) / model, settings.landing_root / model)
    _free(places.contracts, places.landing, force=force)
    named = {
        "prediction_id": id_column,
        "predicted_at": time_column,
        "score": score_column,
        "label": label_column,
    }
    columns = {what: column for what, column in named.items() if column}
    files = _files(predictions, labels, features, training)
    with usage():
        asked = Asked(model, owner, columns, task, positive, parse_duration(label_delay))
        plan, landed = draft(asked, files, places, datetime.now(UTC))
    _checked(places.contracts)
    if output is None:
        acted(model, "init", str(places.contracts), {"predictions": plan.rows})
    _told(plan, landed, places.contracts)


@app.command()
def land(
    model: Model,
    predictions: Annotated[
        list[Path] | None, typer.Option(help="File of predictions; may be repeated.")
    ] = None,
    labels: LabelFiles = None,
    features: FeatureFiles = None,
) -> None:
    """Land later files, of the form of those that the model was drafted from."""
    known("model", [model], [folder.name for folder in folders()])
    if not (predictions or labels or features):
        stop("name a file: --predictions, --labels or --features", 2)
    from mlobs_pipelines.steps.draft.writing import land as landed

    settings = Settings()
    with usage():
        told = landed(
            settings.contracts / model,
            _files(predictions or [], labels, features, None),
            settings.landing_root / model,
        )
    acted(model, "land", ", ".join(told), {})
    out.print(f"landed {', '.join(told)}", highlight=False, soft_wrap=True)


def _files(
    predictions: Sequence[Path],
    labels: Sequence[Path] | None,
    features: Sequence[Path] | None,
    training: Sequence[Path] | None,
) -> "Files":
    from mlobs_pipelines.steps.draft.writing import Files

    views = {re.sub(r"\W+", "_", path.stem.lower(), flags=re.ASCII): path for path in features or ()}
    wrong = [name for name in views if not _NAME.fullmatch(name)]
    if wrong:
        stop(f"features {', '.join(wrong)}: a view is named like its file; begin the name with a letter", 2)
    return Files(predictions, labels or (), training or (), views)


def _free(contracts: Path, landing: Path, *, force: bool) -> None:
    there = [str(path) for path in (contracts, landing) if path.is_dir() and any(path.iterdir())]
    if there and not force:
        stop(f"{' and '.join(there)} is not empty; --force writes over it", 2)


def _checked(folder: Path) -> None:
    """What was drafted must be a declaration without problems."""
    from mlobs_pipelines.contracts.folder import check_folder
    from mlobs_pipelines.core.metrics import METRICS

    problems = check_folder(folder, METRICS)
    for problem in problems:
        err.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if problems:
        stop("the draft has problems that only a person can decide; mend them, then `mlobs check`", 1)


def _told(plan: "Plan", landed: Sequence[str], folder: Path) -> None:
    from mlobs_pipelines.steps.draft.monitor import next_days

    model, first, last = plan.asked.model, *next_days(plan)
    kinds = [sum(one.kind == kind for one in plan.features) for kind in ("numeric", "categorical")]
    hidden = [one.column for one in plan.others if one.kind in ("entity", "identifying")]
    segments = ", ".join(plan.segments) or "none"
    lines = [f"{model}: {plan.task} ({plan.task_why})"]
    for name, one in plan.sources.items():
        lines.append(f"  {name}: {one.column} ({one.why})" if one.column else f"  {name}: {one.why}")
    lines.append(f"  features: {kinds[0]} numeric, {kinds[1]} categorical; segments: {segments}")
    if plan.labels:
        column, arrived = (plan.labels.sources[name] for name in ("label", "arrived_at"))
        lines.append(f"  label: {column.column} ({column.why}); {plan.labels.why}")
        lines.append(f"  arrived_at: {arrived.column or arrived.why}; label horizon {plan.labels.horizon}d")
    if hidden:
        lines.append(f"  classified restricted, so hashed: {', '.join(hidden)}")
    lines += [
        f"landed {', '.join(landed)}",
        f"drafted {folder}: every choice is explained there",
        "",
        "Next:",
        f"  mlobs check {model}",
        f"  mlobs backfill {model} --from {first} --to {last}",
        f"  mlobs metrics {model} --window 7d",
    ]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
