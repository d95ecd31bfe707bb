"""Log lines as JSON objects, each with the model, partitions, batch and run that it is about.

What a line is about is kept beside the work (`about`), so that nobody who logs has to know it. Where lines go
and which ones there are is Python's logging.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

Fact = str | int | float | None
ROOT = "mlobs"
_ABOUT: ContextVar[Mapping[str, Fact]] = ContextVar("about", default={})  # noqa: B039 - never changed in place
_RUN_TAGS = {"mlobs/model": "model", "dagster/partition": "partitions", "dagster/backfill": "backfill"}
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@contextmanager
def about(**facts: Fact) -> Iterator[None]:
    """Let every line that is logged meanwhile say these facts too."""
    token = _ABOUT.set({**_ABOUT.get(), **facts})
    try:
        yield
    finally:
        _ABOUT.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object per record: when, how grave, who says it, what, and what it is about.

    A record tells facts of its own as ``extra={"facts": {...}}``. A run's record says which run and step it
    is of.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        said: dict[str, Fact] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **_ABOUT.get(),
            **_of_run(record),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            said["error"] = record.exc_info[0].__name__
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in said.items() if value is not None}, default=str)


def _message(record: logging.LogRecord) -> str:
    # Dagster writes job, run and step in front of what was said; they are fields of their own here.
    meta = getattr(record, "dagster_meta", None)
    return str(meta["orig_message"]) if meta else record.getMessage()


def _of_run(record: logging.LogRecord) -> dict[str, Fact]:
    meta = getattr(record, "dagster_meta", None)
    if not meta:
        return {}
    tags = meta["job_tags"]
    found: dict[str, Fact] = {name: tags[tag] for tag, name in _RUN_TAGS.items() if tag in tags}
    if _RANGE[0] in tags:
        found["partitions"] = "/".join(tags[end] for end in _RANGE)
    event = meta["dagster_event"]
    found["event"] = None if event is None else event.event_type_value
    return found | {"run_id": meta["run_id"], "job": meta["job_name"], "step": meta["step_key"]}


def handler() -> logging.Handler:
    """A handler that writes JSON lines to standard error, wherever that leads when a line is written."""
    made = _StandardError()
    made.setFormatter(JsonFormatter())
    return made


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg] # generic to the type checker only
    def __init__(self) -> None:
        super().__init__(sys.stderr)

    @property
    def stream(self) -> object:
        """Standard error as it is now: Dagster captures each step's."""
        return sys.stderr

    @stream.setter
    def stream(self, _: object) -> None:
        """Stay with standard error."""


def tell(form: str) -> None:
    """Let this process tell what it does in a form, from now on: as JSON lines, or only warnings, as text."""
    logger = logging.getLogger(ROOT)
    for old in [one for one in logger.handlers if isinstance(one, _StandardError)]:
        logger.removeHandler(old)
    if form == "json":
        logger.addHandler(handler())
        logger.setLevel(logging.INFO)
        logger.propagate = False
    else:
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
