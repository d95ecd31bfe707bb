"""Whether the four documents of a folder agree: what the monitor names must exist in the contracts, and fit.

What one document may say on its own is `monitor` and `odcs_checks`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mlobs_pipelines.contracts.crosscheck_log import attribution_problems, optional_problems, status_problems
from mlobs_pipelines.contracts.crosscheck_privacy import privacy_problems
from mlobs_pipelines.contracts.crosscheck_slos import slo_references
from mlobs_pipelines.contracts.crosscheck_task import task_columns, task_problems
from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.monitor import Feature, FeatureView, Monitor
from mlobs_pipelines.contracts.odcs import Column, Contract, Dataset, Kind, Privacy, Table
from mlobs_pipelines.contracts.problems import KeyPath, Problem, listed, suggestion

ROLES = ("champion", "shadow", "canary")
PREDICTIONS = {
    "prediction_id": Kind.STRING,
    "correlation_id": Kind.STRING,
    "predicted_at": Kind.TIMESTAMP,
    "model_version": Kind.STRING,
    "role": Kind.STRING,
    "training_dataset_id": Kind.STRING,
    "feature_set_version": Kind.STRING,
    "status": Kind.STRING,
    "latency_ms": Kind.NUMBER,
}
LABELS = {
    "prediction_id": Kind.STRING,
    "outcome": Kind.STRING,
    "arrived_at": Kind.TIMESTAMP,
    "revision": Kind.INTEGER,
    "source": Kind.STRING,
}
KEYS = {"predictions": ("prediction_id", "model_version"), "labels": ("prediction_id", "revision")}
REQUIRED = {"predictions": ("predicted_at", "role", "status"), "labels": ("arrived_at", "outcome")}
_FITS = {
    "numeric": (Kind.NUMBER, Kind.INTEGER),
    "categorical": (Kind.STRING, Kind.INTEGER, Kind.BOOLEAN),
}
_UNSEEN = {
    Privacy.HASH: "its distribution is one of hashes",
    Privacy.DROP: "its values are not stored",
}
_ORIGIN = ("day", "delivered_on", "delivery", "delivery_row", "reason")
RESERVED: dict[Dataset, tuple[str, ...]] = {
    "predictions": (*_ORIGIN, "decision", "sample_weight"),
    "features": (*_ORIGIN, "view"),
    "labels": _ORIGIN,
}


@dataclass(frozen=True, slots=True)
class Read:
    """What could be read of a folder.

    Attributes
    ----------
    monitor
        The monitor, None where it cannot be used.
    contracts
        The contracts that can be used.
    documents
        The documents by file stem: "monitor" and the datasets.
    """

    monitor: Monitor | None
    contracts: dict[Dataset, Contract]
    documents: dict[str, Document]

    def table(self, dataset: Dataset) -> Table | None:
        """Return the only table of predictions or labels, None where it could not be read."""
        contract = self.contracts.get(dataset)
        return contract.tables[0] if contract and contract.tables else None


def cross_problems(read: Read) -> list[Problem]:
    """Return where the documents that could be read do not agree."""
    problems: list[Problem] = []
    for dataset in read.contracts:
        problems += _reserved(read, dataset)
        problems += _canonical(read, dataset)
    if read.monitor is not None:
        for check in (task_problems, _features, _feature_views, _columns, _crosses, _objectives, _words):
            problems += check(read, read.monitor, read.documents["monitor"])
        problems += slo_references(read.monitor, read.documents["monitor"])
    problems += privacy_problems(read.contracts, read.documents, read.monitor)
    return problems


def _reserved(read: Read, dataset: Dataset) -> Iterator[Problem]:
    document = read.documents[dataset]
    for position, table in enumerate(read.contracts[dataset].tables):
        for place, name in enumerate(table.names):
            if name in RESERVED[dataset]:
                path = ("schema", position, "properties", place, "name")
                said = f"the lake keeps a column of its own under the name {name}"
                yield document.problem(path, said, "rename the column")


def _canonical(read: Read, dataset: Dataset) -> Iterator[Problem]:
    table = read.table(dataset)
    if table is None or dataset == "features":
        return
    document, here = read.documents[dataset], ("schema", 0, "properties")
    for name, kinds in _needed(read, dataset).items():
        column, valid = _find(table, name), " or ".join(kinds)
        if column is None:
            yield document.problem(here, f"the column {name} is missing", f"{dataset} need it, as {valid}")
        elif column.kind not in kinds:
            place = (*here, table.names.index(name), "logicalType")
            yield document.problem(place, f"{name} is declared as {column.kind}", f"valid: {valid}")
    if set(KEYS[dataset]) - set(table.primary_key):
        said = f"the primary key is {listed(table.primary_key) or 'not declared'}"
        yield document.problem(here, said, f"write primaryKey: true on {listed(KEYS[dataset])}")
    yield from optional_problems(table, document) if dataset == "predictions" else ()
    for name in REQUIRED[dataset]:
        column = _find(table, name)
        if column is not None and not column.required:
            yield document.problem(
                (*here, table.names.index(name)), f"{name} may be null", "write required: true"
            )


def _needed(read: Read, dataset: Dataset) -> dict[str, tuple[Kind, ...]]:
    """Columns that a dataset needs, and the types that each may have."""
    always = PREDICTIONS if dataset == "predictions" else LABELS
    by_task = task_columns(read.monitor.task, dataset) if read.monitor else {}
    return {**{name: (kind,) for name, kind in always.items()}, **by_task}


def _features(read: Read, monitor: Monitor, document: Document) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, feature in enumerate(monitor.features):
        path = ("features", place)
        if feature.name in seen:
            yield document.problem((*path, "name"), f"{feature.name} is declared twice", "keep one")
        seen.add(feature.name)
        yield from _served(read.table("predictions"), feature, document, path)
        yield from _viewed(read, monitor, feature, document, path)


def _served(table: Table | None, feature: Feature, document: Document, path: KeyPath) -> Iterator[Problem]:
    if table is None:
        return
    column = _find(table, feature.name)
    if column is None:
        said = f"predictions have no column {feature.name!r}"
        yield document.problem((*path, "name"), said, suggestion(feature.name, table.names))
        return
    if column.kind not in _FITS[feature.kind]:
        said = f"{feature.name} is {feature.kind} here and {column.kind} in the contract"
        yield document.problem((*path, "kind"), said, f"{feature.kind} fits {listed(_FITS[feature.kind])}")
    if column.privacy in _UNSEEN:
        said = f"{feature.name} is {column.classification}: {_UNSEEN[column.privacy]}"
        yield document.problem((*path, "name"), said, "take it out of features")


def _viewed(
    read: Read, monitor: Monitor, feature: Feature, document: Document, path: KeyPath
) -> Iterator[Problem]:
    contract = read.contracts.get("features")
    if feature.view is None:
        return
    if feature.view not in monitor.feature_views:
        said = f"unknown feature view {feature.view!r}"
        yield document.problem((*path, "view"), said, suggestion(feature.view, monitor.feature_views))
    elif contract is not None and feature.view in contract.names:
        table, served = contract.table(feature.view), read.table("predictions")
        column = _find(table, feature.name)
        if column is None:
            said = f"feature view {feature.view!r} has no column {feature.name!r}"
            yield document.problem((*path, "view"), said, suggestion(feature.name, table.names))
        elif served is not None:
            yield from _same(column, _find(served, feature.name), document, (*path, "view"))


def _same(column: Column, served: Column | None, document: Document, path: KeyPath) -> Iterator[Problem]:
    if served is None:
        return
    if column.kind is not served.kind:
        said = f"{column.name} is {column.kind} in the feature view and {served.kind} in the predictions"
        yield document.problem(path, said, "declare one type in both contracts")
    if (column.privacy, column.bucket) != (served.privacy, served.bucket):
        once = Privacy.HASH in (column.privacy, served.privacy)
        how = "hashed on one side only" if once else f"stored as {column.privacy} and {served.privacy}"
        said = f"{column.name} is {how}, so that the two can never be matched"
        yield document.problem(path, said, "give it one classification and privacy in both contracts")


def _feature_views(read: Read, monitor: Monitor, document: Document) -> Iterator[Problem]:
    contract = read.contracts.get("features")
    if contract is None:
        return
    for name, view in monitor.feature_views.items():
        path = ("feature_views", name)
        if name not in contract.names:
            said = "features.odcs.yaml has no table of this name"
            yield document.problem(path, said, suggestion(name, contract.names))
        else:
            yield from _view(read, contract.table(name), view, document, path)
    for name in contract.names:
        if name not in monitor.feature_views:
            said = f"the table {name!r} of features.odcs.yaml is not declared"
            yield document.problem(
                ("feature_views",), said, "declare its entity and ttl, or remove the table"
            )


def _view(
    read: Read, table: Table, view: FeatureView, document: Document, path: KeyPath
) -> Iterator[Problem]:
    for key in ("entity", "event_time", "created_at"):
        name = getattr(view, key)
        column = _find(table, name)
        if column is None:
            said = f"feature view {table.name!r} has no column {name!r}"
            yield document.problem((*path, key), said, suggestion(name, table.names))
        elif key != "entity" and column.kind is not Kind.TIMESTAMP:
            yield document.problem((*path, key), f"{name} is declared as {column.kind}", "valid: timestamp")
        elif not column.required:
            yield document.problem(
                (*path, key), f"{name} may be null", "write required: true in the contract"
            )
    yield from _entity(read, table, view, document, (*path, "entity"))


def _entity(
    read: Read, table: Table, view: FeatureView, document: Document, path: KeyPath
) -> Iterator[Problem]:
    served, column = read.table("predictions"), _find(table, view.entity)
    if served is None or column is None:
        return
    if view.entity not in served.names:
        said = f"predictions have no column {view.entity!r}"
        yield document.problem(path, said, suggestion(view.entity, served.names))
    yield from _same(column, _find(served, view.entity), document, path)


def _columns(read: Read, monitor: Monitor, document: Document) -> Iterator[Problem]:
    table = read.table("predictions")
    if table is None:
        return
    for key in ("entities", "segments"):
        for place, name in enumerate(getattr(monitor, key)):
            column, path = _find(table, name), (key, place)
            if column is None:
                said = f"predictions have no column {name!r}"
                yield document.problem(path, said, suggestion(name, table.names))
            elif key == "segments":
                yield from _segment(column, document, path)


def _crosses(_: Read, monitor: Monitor, document: Document) -> Iterator[Problem]:
    for place, pair in enumerate(monitor.crosses):
        for name in set(pair) - set(monitor.segments):
            said = f"{name!r} is no segment, so it cannot be crossed with another"
            yield document.problem(("crosses", place), said, suggestion(name, monitor.segments))


def _segment(column: Column, document: Document, path: KeyPath) -> Iterator[Problem]:
    if column.restricted:
        said = f"{column.name} is {column.classification}: its values must not appear in reports"
        yield document.problem(path, said, "segment by a column that is not restricted")
    elif column.kind not in _FITS["categorical"]:
        said = f"{column.name} is declared as {column.kind}"
        yield document.problem(path, said, f"segments fit {listed(_FITS['categorical'])}")


def _objectives(_: Read, monitor: Monitor, document: Document) -> Iterator[Problem]:
    known = (*monitor.feature_names, "score", *monitor.classes)
    for place, objective in enumerate(monitor.objectives):
        path = ("objectives", place)
        if objective.window not in monitor.windows:
            said = f"the window {objective.window} is not computed"
            yield document.problem(
                (*path, "window"), said, f"add it to windows, or use {listed(monitor.windows)}"
            )
        if objective.segments and not monitor.segments:
            yield document.problem((*path, "segments"), "no segment is declared", "declare segments")
        for name in objective.features or ():
            if name not in known:
                said = f"unknown feature {name!r}"
                yield document.problem((*path, "features"), said, suggestion(name, known))


def _words(read: Read, monitor: Monitor, document: Document) -> Iterator[Problem]:
    table = read.table("predictions")
    role = _find(table, "role") if table else None
    for check in (status_problems, attribution_problems) if table else ():
        yield from check(table, monitor, document)  # type: ignore[arg-type] # the table is there
    if table and role and set(role.allowed or ("any",)) - set(ROLES):
        place = ("schema", 0, "properties", table.names.index("role"))
        said = "role must be limited to the roles that are known here"
        yield read.documents["predictions"].problem(place, said, f"an enum of {listed(ROLES)}")


def _find(table: Table, name: str) -> Column | None:
    return next((column for column in table.columns if column.name == name), None)
