"""Whether the contracts hold what a model of the declared task is measured by: its scores and its labels.

What every model's documents must agree on is `crosscheck`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.contracts.odcs import Column, Dataset, Kind, Table
from mlobs_pipelines.contracts.problems import Problem, listed, suggestion

LABEL_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "binary": (Kind.INTEGER,),
    "multiclass": (Kind.STRING,),
    "regression": (Kind.NUMBER, Kind.INTEGER),
}
FEWEST_CLASSES = 2
_WHY_NO_THRESHOLD = {
    "multiclass": "the class of the largest score is the predicted one",
    "regression": "it predicts a number",
}


class Documents(Protocol):
    """What could be read of a folder."""

    @property
    def documents(self) -> dict[str, Document]:
        """The documents by file stem."""

    def table(self, dataset: Dataset) -> Table | None:
        """Return the only table of predictions or labels, None where it could not be read."""


def task_columns(task: str, dataset: Dataset) -> dict[str, tuple[Kind, ...]]:
    """Columns that a dataset needs because of the task, and the types that each may have."""
    if dataset == "labels":
        return {"label": LABEL_KINDS[task]}
    return {} if task == "multiclass" else {"score": (Kind.NUMBER,)}


def task_problems(read: Documents, monitor: Monitor, document: Document) -> Iterator[Problem]:
    """Return what the task asks for and the documents do not have, or have and may not."""
    yield from _classes(monitor, document)
    yield from _thresholds(monitor, document)
    yield from _names(monitor, document)
    if monitor.task == "multiclass":
        yield from _class_scores(read.table("predictions"), monitor, document)
        yield from _class_labels(read, monitor)


def _classes(monitor: Monitor, document: Document) -> Iterator[Problem]:
    if monitor.task != "multiclass":
        if monitor.classes:
            said = f"a {monitor.task} model has no classes"
            yield document.problem(("classes",), said, "remove them, or write task: multiclass")
        return
    if len(monitor.classes) < FEWEST_CLASSES:
        said = f"a multiclass model has {len(monitor.classes)} classes here"
        valid = f"write classes: {{name: its score column}}, at least {FEWEST_CLASSES}"
        yield document.problem(("classes",) if monitor.classes else ("task",), said, valid)
    seen: dict[str, str] = {}
    for name, column in monitor.classes.items():
        if column in seen:
            said = f"{column} is the score of {seen[column]!r} already"
            yield document.problem(("classes", name), said, "give every class a column of its own")
        seen.setdefault(column, name)


def _thresholds(monitor: Monitor, document: Document) -> Iterator[Problem]:
    for name, version in monitor.versions.items():
        if monitor.task != "binary" and "threshold" in version.model_fields_set:
            said = f"a {monitor.task} model has no threshold: {_WHY_NO_THRESHOLD[monitor.task]}"
            yield document.problem(("versions", name, "threshold"), said, "remove it")


def _names(monitor: Monitor, document: Document) -> Iterator[Problem]:
    for place, name in enumerate(monitor.feature_names):
        if monitor.task != "binary" and name in ("score", "label"):
            said = f"{name} is what is measured, so it cannot be a feature"
            yield document.problem(("features", place, "name"), said, "take it out of features")


def _class_scores(table: Table | None, monitor: Monitor, document: Document) -> Iterator[Problem]:
    for name, score in monitor.classes.items() if table else ():
        path, column = ("classes", name), _find(table, score)
        if column is None:
            said = f"predictions have no column {score!r}"
            yield document.problem(path, said, suggestion(score, table.names if table else ()))
        elif column.kind is not Kind.NUMBER:
            yield document.problem(path, f"{score} is declared as {column.kind}", f"valid: {Kind.NUMBER}")
        elif not _probability(column):
            said = f"{score} may be less than 0 or more than 1, and scores of classes are probabilities"
            yield document.problem(path, said, "write minimum: 0 and maximum: 1 in the contract")


def _probability(column: Column) -> bool:
    least, most = column.minimum, column.maximum
    return isinstance(least, float) and isinstance(most, float) and least >= 0 and most <= 1


def _class_labels(read: Documents, monitor: Monitor) -> Iterator[Problem]:
    """A label that names no class must not reach the lake: the contract has to keep it out."""
    table = read.table("labels")
    column = _find(table, "label")
    if table is None or column is None or column.kind is not Kind.STRING or not monitor.classes:
        return
    if set(column.allowed) != set(monitor.classes):
        path = ("schema", 0, "properties", table.names.index("label"))
        said = (
            f"label allows {_listed(column.allowed)}, and the classes are {_listed(tuple(monitor.classes))}"
        )
        yield read.documents["labels"].problem(path, said, "write an enum of the classes of monitor.yaml")


def _listed(values: Sequence[object]) -> str:
    return listed([str(value) for value in values]) if values else "any text"


def _find(table: Table | None, name: str) -> Column | None:
    return next((column for column in table.columns if column.name == name), None) if table else None
