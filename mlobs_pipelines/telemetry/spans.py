"""Spans and metrics of the work, sent where an endpoint is set; nothing is imported for it otherwise.

Which work there is, is `work`; how OpenTelemetry is told of it is `recorder`.
"""

import importlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

Facts = Mapping[str, str | int | float | None]
_log = logging.getLogger("mlobs.telemetry")


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended.

    Attributes
    ----------
    run_id, job, model, partitions
        Which run it was, and of what.
    success
        Whether it ended well.
    started_s, ended_s
        Seconds since 1970.
    """

    run_id: str
    job: str
    model: str
    partitions: str | None
    success: bool
    started_s: float
    ended_s: float


class Records(Protocol):
    """Whoever makes spans and metrics of what it is told."""

    def step(self, name: str, facts: Facts, counts: Mapping[str, int]) -> "Span":
        """A span around the work of a step; counts are read at its end."""

    def run(self, ended: Ended) -> None:
        """The span of a run, and its metrics."""

    def close(self) -> None:
        """Send what has not been sent."""


class Span(Protocol):
    """What is around some work."""

    def __enter__(self) -> object:
        """Begin."""

    def __exit__(self, *error: object) -> bool | None:
        """End, well or not."""


@dataclass(slots=True)
class _Process:
    """Where this process sends what it does: set once when it starts, opened at the first thing to send."""

    asked: bool = False
    records: Records | None = None


_PROCESS = _Process()


def send(endpoint: str | None) -> None:
    """Let this process send spans and metrics from now on, where an endpoint is given.

    Endpoint, headers and all else are read from the standard ``OTEL_…`` variables by the exporters.
    """
    _PROCESS.asked = bool(endpoint)


def send_to(records: Records | None) -> None:
    """Let this process tell something of your own what it does, or nobody any more."""
    _PROCESS.asked, _PROCESS.records = records is not None, records


def _records() -> Records | None:
    if _PROCESS.asked and _PROCESS.records is None:
        try:
            recorder = importlib.import_module("mlobs_pipelines.telemetry.recorder")
        except ModuleNotFoundError:
            _PROCESS.asked = False
            _log.warning(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set in vain: pip install 'mlobs-pipelines[telemetry]'"
            )
            return None
        _PROCESS.records = recorder.over_http()
    return _PROCESS.records


@contextmanager
def step(name: str, facts: Facts, counts: Mapping[str, int]) -> Iterator[None]:
    """Put a span around the work of a step, where somebody is told."""
    records = _records()
    if records is None:
        yield
        return
    with records.step(name, facts, counts):
        yield


def run(ended: Ended) -> None:
    """Tell of a run that has ended, where somebody is told."""
    records = _records()
    if records is not None:
        records.run(ended)


def close() -> None:
    """Send what has not been sent; processes that end do so by themselves."""
    if _PROCESS.records is not None:
        _PROCESS.records.close()
