"""A plan as documents: three contracts by the Open Data Contract Standard, with a comment on every choice.

The monitor is `monitor`. The only values of rows that are written down are names of versions, statuses and
classes, which contracts have to name.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import polars as pl

from mlobs_pipelines.steps.draft.columns import Described
from mlobs_pipelines.steps.draft.plan import Plan, View

ROLES = ("champion", "shadow", "canary")
_TYPES = {
    "prediction_id": "string",
    "correlation_id": "string",
    "predicted_at": "timestamp",
    "model_version": "string",
    "role": "string",
    "training_dataset_id": "string",
    "feature_set_version": "string",
    "score": "number",
    "status": "string",
    "latency_ms": "number",
}
_TOLD = {
    "prediction_id": "Names the prediction; labels carry the same.",
    "correlation_id": "Ties the answer to the request in the logs of the serving system.",
    "predicted_at": "When the answer was given (UTC).",
    "model_version": "Version of the model that answered.",
    "role": "Whether the answer was used (champion, canary) or only kept (shadow).",
    "training_dataset_id": "The rows this version was trained on.",
    "feature_set_version": "Version of the feature definitions this version was trained with.",
    "score": "What the model said; null unless the request was answered.",
    "status": "How the request ended.",
    "latency_ms": "Time the answer took, in milliseconds.",
}
_CLASSIFIED = {"identifying": "restricted", "entity": "restricted"}


def quoted(text: object) -> str:
    """A text, number or truth value as YAML, whatever is in it."""
    return json.dumps(text, ensure_ascii=True)


def predictions_contract(plan: Plan, statuses: Sequence[str]) -> str:
    """The contract of the predictions.

    Parameters
    ----------
    statuses
        Values of the column `status`.
    """
    lines = [*_head(plan, "predictions", "parquet", "{landing}/predictions/{date}/*.parquet")]
    lines += [
        "schema:",
        "  - name: predictions",
        *_object("One row per prediction and version of the model."),
    ]
    for name, kind in _TYPES.items():
        if name == "score" and plan.classes:
            lines += _class_scores(plan)
        else:
            lines += _canonical(plan, name, kind, statuses)
    lines += [line for one in plan.others for line in _property(one)]
    return "\n".join(lines) + "\n"


def _canonical(plan: Plan, name: str, kind: str, statuses: Sequence[str]) -> Iterator[str]:
    source = plan.sources[name]
    said = f"column {source.column}, {source.why}" if source.column else source.why
    key = {"prediction_id": 1, "model_version": 2}.get(name)
    yield f"      - name: {name} # {said}"
    yield f"        logicalType: {kind}"
    if key:
        yield "        primaryKey: true"
        yield f"        primaryKeyPosition: {key}"
    if name != "score" and (name != "latency_ms" or source.column):
        yield "        required: true"
    yield "        classification: internal"
    yield f"        description: {_TOLD[name]}"
    if name == "score" and plan.task == "binary":
        yield "        logicalTypeOptions: {minimum: 0, maximum: 1} # a probability"
    if name == "latency_ms":
        yield "        logicalTypeOptions: {minimum: 0}"
    levels = {"role": ROLES, "status": tuple(dict.fromkeys(["ok", *statuses]))}.get(name, ())
    if levels:
        yield f"        enum: [{', '.join(f'{{value: {quoted(level)}}}' for level in levels)}]"


def _class_scores(plan: Plan) -> Iterator[str]:
    for name, column in plan.classes.items():
        yield f"      - name: {column} # probability of a class, by the prefix that all share"
        yield "        logicalType: number"
        yield "        classification: internal"
        yield f"        description: {quoted(f'Probability of class {name}.')}"
        yield "        logicalTypeOptions: {minimum: 0, maximum: 1}"


def _property(one: Described) -> Iterator[str]:
    classification = _CLASSIFIED.get(one.kind, "internal")
    hashed = ": stored as a keyed hash; write internal if it names nobody" if one.kind in _CLASSIFIED else ""
    yield f"      - name: {one.column} # {one.why}"
    yield f"        logicalType: {one.logical}"
    yield f"        classification: {classification}" + (f" # a guess{hashed}" if hashed else "")
    yield f"        description: {quoted(f'{one.column}, to be described.')}"


def labels_contract(plan: Plan) -> str:
    """The contract of the labels."""
    kind = {"binary": "integer", "multiclass": "string", "regression": "number"}[plan.task]
    classes = f"[{', '.join(f'{{value: {quoted(name)}}}' for name in plan.classes)}]"
    told = plan.labels.sources if plan.labels else {}
    why = {name: f" # {_whence(one.column, one.why)}" for name, one in told.items()}
    lines = [
        *_head(plan, "labels", "jsonl", "{landing}/labels/{date}/*.jsonl"),
        "schema:",
        "  - name: labels",
    ]
    lines += _object("One row per label as it became known; a correction has a higher revision.")
    label_rules = [f"enum: {classes}"] if plan.classes else _zero_one(plan)
    needed, levels = "required: true", "enum: [{value: known}, {value: void}]"
    keys = [["primaryKey: true", f"primaryKeyPosition: {place}", needed] for place in (1, 2)]
    rows = [
        ("prediction_id", "string", keys[0], "Names the prediction."),
        ("label", kind, label_rules, "What came true; null for a void outcome."),
        ("outcome", "string", [needed, levels], "Whether there is a label."),
        ("arrived_at", "timestamp", [needed], "When the label became known (UTC)."),
        ("revision", "integer", keys[1], "Rises with corrections."),
        ("source", "string", [needed], "The feed it came by."),
    ]
    for name, logical, rules, description in rows:
        lines += [f"      - name: {name}{why.get(name, '')}", f"        logicalType: {logical}"]
        lines += [f"        {rule}" for rule in rules]
        lines += ["        classification: internal", f"        description: {description}"]
    return "\n".join(lines) + "\n"


def _zero_one(plan: Plan) -> list[str]:
    return ["logicalTypeOptions: {minimum: 0, maximum: 1}"] if plan.task == "binary" else []


def _whence(column: str, why: str) -> str:
    return f"column {column}, {why}" if column else why


def features_contract(plan: Plan) -> str:
    """The contract of the features: a table per view, none where values come with the request."""
    lines = [*_head(plan, "features", "csv", "{landing}/features/{table}/{date}/*.csv")]
    if not plan.views:
        return "\n".join([*lines, "schema: [] # no feature view: all features come with the request"]) + "\n"
    lines.append("schema:")
    for view in plan.views:
        lines += _table(view)
    return "\n".join(lines) + "\n"


def _table(view: View) -> Iterator[str]:
    yield f"  - name: {view.name} # a table per file of features"
    yield from _object(f"Feature values of {view.name} by {view.entity}.")
    times = dict.fromkeys([view.event_time, view.created_at])
    for place, name in enumerate([view.entity, *times], start=1):
        one = next((column for column in view.columns if column.column == name), None)
        lines = list(_property(one)) if one else _clock(name, view)
        yield lines[0] if one is None else f"      - name: {name} # what the rows are about"
        yield from [
            "        primaryKey: true",
            f"        primaryKeyPosition: {place}",
            "        required: true",
        ]
        yield from lines[1:]
    for one in view.columns:
        if one.column != view.entity:
            yield from _property(one)


def _clock(name: str, view: View) -> list[str]:
    said = "when a value held" if name == view.event_time else "when it could be known"
    rest = (
        ", and when it could be known: no other time is there" if view.event_time == view.created_at else ""
    )
    kind = ["        logicalType: timestamp", "        classification: internal"]
    return [f"      - name: {name} # {said}{rest}", *kind, f"        description: {said.capitalize()} (UTC)."]


def _object(description: str) -> list[str]:
    return [
        "    logicalType: object",
        "    physicalType: file",
        f"    description: {quoted(description)}",
        "    properties:",
    ]


def _head(plan: Plan, dataset: str, form: str, path: str) -> Iterable[str]:
    model, named = plan.asked.model, plan.asked.model.replace("_", "-")
    team = plan.asked.owner.removeprefix("team:")
    member = team if "@" in team else f"{team}@example.org"
    return [
        f"# Drafted by `mlobs init` from {plan.rows:,} predictions. Read it, mend it,",
        f"# and `mlobs check {model}` until it is silent.",
        "apiVersion: v3.2.0",
        "kind: DataContract",
        f"id: {named}-{dataset}",
        f"name: {quoted(f'{model} {dataset}')}",
        "version: 1.0.0",
        "status: draft",
        f"domain: {named}",
        "description:",
        f"  purpose: {quoted(f'{dataset.capitalize()} of {model}, to be described.')}",
        "team:",
        f"  name: {quoted(team)}",
        f"  members: [{{username: {quoted(member)}, role: owner}}]",
        "servers: # where deliveries are looked for; `mlobs land` writes them there",
        f'  - {{server: landing, type: local, format: {form}, path: "{path}"}}',
        "slaProperties:",
        "  - {property: latency, value: 24, unit: h} # how late a day's delivery may be",
        "  - {property: retention, value: 730, unit: d} # how long rows are kept",
    ]


def statuses(plan: Plan, predictions: pl.DataFrame) -> list[str]:
    """Values of the status column; none where there is no such column."""
    column = plan.sources["status"].column
    return sorted(predictions[column].drop_nulls().cast(pl.String).unique()) if column else ["error"]


def day_count(plan: Plan) -> int:
    """Days from the first prediction to the last."""
    return (plan.days[1] - plan.days[0]) // timedelta(days=1) + 1
