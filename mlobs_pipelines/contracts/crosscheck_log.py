"""What a prediction log may hold beside what it must: waiting times, words for timeouts, attributions.

Whether columns of it may be kept as they are is `crosscheck_privacy`.
"""

from collections.abc import Iterator

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.contracts.odcs import Kind, Privacy, Table
from mlobs_pipelines.contracts.problems import Problem, suggestion

OPTIONAL = {"queue_ms": Kind.NUMBER}


def optional_problems(table: Table, document: Document) -> Iterator[Problem]:
    """Return optional columns that are there and of another kind than they are read as."""
    for place, column in enumerate(table.columns):
        kind = OPTIONAL.get(column.name, column.kind)
        if column.kind is not kind:
            path = ("schema", 0, "properties", place, "logicalType")
            yield document.problem(path, f"{column.name} is declared as {column.kind}", f"valid: {kind}")


def attribution_problems(table: Table, monitor: Monitor, document: Document) -> Iterator[Problem]:
    """Return features whose attributions the contract does not have, or not as numbers that are kept."""
    columns = {column.name: column for column in table.columns}
    for feature, name in monitor.attribution_columns.items():
        column = columns.get(name)
        if column is None:
            told = f"predictions have no column {name!r} for the attributions of {feature}"
            yield document.problem(("attributions",), told, suggestion(name, table.names))
        elif column.kind not in (Kind.NUMBER, Kind.INTEGER):
            told = f"{name} is declared as {column.kind}"
            yield document.problem(("attributions",), told, f"valid: {Kind.NUMBER}, {Kind.INTEGER}")
        elif column.restricted or column.privacy is not Privacy.KEEP:
            told = f"{name} is {column.classification} and stored as {column.privacy}: it cannot be read"
            yield document.problem(("attributions",), told, "give it a classification that is kept")


def status_problems(table: Table, monitor: Monitor, document: Document) -> Iterator[Problem]:
    """Return statuses that the monitor gives a meaning and the contract does not allow."""
    known = [str(word) for column in table.columns if column.name == "status" for word in column.allowed]
    for key in ("good_status", "timeout_status"):
        said = key in monitor.model_fields_set or key == "good_status"
        for word in getattr(monitor, key) if known and said else ():
            if word not in known:
                told = f"status is never {word!r} by the contract"
                yield document.problem((key,), told, suggestion(word, known))
