"""What a prediction log may hold beside what it must: time waited in a queue, words for timeouts.

Whether columns of it may be kept as they are is `crosscheck_privacy`.
"""

from collections.abc import Iterator

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.contracts.odcs import Kind, Table
from mlobs_pipelines.contracts.problems import Problem, suggestion

OPTIONAL = {"queue_ms": Kind.NUMBER}


def optional_problems(table: Table, document: Document) -> Iterator[Problem]:
    """Return optional columns that are there and of another kind than they are read as."""
    for place, column in enumerate(table.columns):
        kind = OPTIONAL.get(column.name, column.kind)
        if column.kind is not kind:
            path = ("schema", 0, "properties", place, "logicalType")
            yield document.problem(path, f"{column.name} is declared as {column.kind}", f"valid: {kind}")


def status_problems(table: Table, monitor: Monitor, document: Document) -> Iterator[Problem]:
    """Return statuses that the monitor gives a meaning and the contract does not allow."""
    known = [str(word) for column in table.columns if column.name == "status" for word in column.allowed]
    for key in ("good_status", "timeout_status"):
        said = key in monitor.model_fields_set or key == "good_status"
        for word in getattr(monitor, key) if known and said else ():
            if word not in known:
                told = f"status is never {word!r} by the contract"
                yield document.problem((key,), told, suggestion(word, known))
