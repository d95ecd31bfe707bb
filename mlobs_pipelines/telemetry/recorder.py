"""Spans and metrics in OpenTelemetry's terms: a trace per run, a span per step, counters of rows.

Imported only where an endpoint is set, since it takes the extra `telemetry`. A trace has the id of its run,
so that processes that know nothing of each other add to one trace, and a run's page leads to its trace.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from uuid import UUID, uuid4

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from mlobs_pipelines.telemetry.spans import Ended

_NAME = "mlobs_pipelines"
ROWS, FAILED = ("rows_in", "rows_out", "quarantined"), "failed_partitions"
Facts = Mapping[str, str | int | float | None]


class Recorder:
    """Makes spans and metrics, and hands them to an exporter and a reader.

    Parameters
    ----------
    exporter, reader
        Where spans and metrics go.
    """

    def __init__(self, exporter: SpanExporter, reader: MetricReader) -> None:
        own = {"service.name": "mlobs", "service.version": version("mlobs-pipelines")}
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say of the service goes first.
        instance = Resource(own | {"service.instance.id": str(uuid4())})
        self._resource = instance.merge(OTELResourceDetector().detect())
        self._processor = BatchSpanProcessor(exporter)
        self._traces = TracerProvider(resource=self._resource)
        self._traces.add_span_processor(self._processor)
        self._metrics = MeterProvider([reader], resource=self._resource)
        self._tracer = self._traces.get_tracer(_NAME)
        meter = self._metrics.get_meter(_NAME)
        self._rows = meter.create_counter("mlobs.rows", "{row}", "Rows by step and what became of them")
        self._partitions = meter.create_counter("mlobs.partitions", "{partition}", "Partitions by step")
        self._failed = meter.create_counter("mlobs.check.failures", "{partition}", "Partitions that failed")
        self._step_s = meter.create_histogram("mlobs.step.duration", "s", "Time that a step took")
        self._run_s = meter.create_histogram("mlobs.run.duration", "s", "Time that a run took")

    @contextmanager
    def step(self, name: str, facts: Facts, counts: Mapping[str, int]) -> Iterator[None]:
        """A span around the work of a step, child of its run's; counts are read at its end."""
        labels = {"mlobs.step": name, "mlobs.model": str(facts.get("model") or "")}
        inside, started, state = _inside(str(facts.get("run_id") or "")), time.monotonic(), "ok"
        known = {f"mlobs.{key}": value for key, value in facts.items() if value is not None}
        with self._tracer.start_as_current_span(
            # An exception's message is not ours to tell: its class alone is.
            name, inside, attributes=known, record_exception=False, set_status_on_exception=False
        ) as span:  # fmt: skip
            try:
                yield
            except BaseException as error:
                state = "error"
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
            finally:
                span.set_attributes({f"mlobs.{key}": value for key, value in counts.items()})
                self._count(labels, facts, counts)
                self._step_s.record(time.monotonic() - started, labels | {"mlobs.state": state})

    def _count(self, labels: Mapping[str, str], facts: Facts, counts: Mapping[str, int]) -> None:
        for key in ROWS:
            if key in counts:
                self._rows.add(counts[key], {**labels, "mlobs.outcome": key})
        if FAILED in counts:
            self._failed.add(counts[FAILED], labels)
        partitions = facts.get("partition_count")
        if isinstance(partitions, int):
            self._partitions.add(partitions, labels)

    def run(self, ended: Ended) -> None:
        """The span of a run, parent of its steps' spans, and its duration."""
        of = _run_context(ended.run_id)
        if of is None:
            return
        facts = {"mlobs.job": ended.job, "mlobs.model": ended.model, "mlobs.run_id": ended.run_id}
        facts |= {"mlobs.partitions": ended.partitions} if ended.partitions else {}
        span = ReadableSpan(
            f"run {ended.job}",
            context=of,
            resource=self._resource,
            attributes=facts,
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.OK if ended.success else StatusCode.ERROR),
            start_time=int(ended.started_s * 1e9),
            end_time=int(ended.ended_s * 1e9),
        )
        self._processor.on_end(span)
        labels = {"mlobs.job": ended.job, "mlobs.model": ended.model}
        state = "ok" if ended.success else "error"
        self._run_s.record(ended.ended_s - ended.started_s, labels | {"mlobs.state": state})

    def close(self) -> None:
        """Send what has not been sent, and nothing after that."""
        self._traces.shutdown()
        self._metrics.shutdown()


def over_http() -> Recorder:
    """A recorder that sends to the endpoint of the ``OTEL_…`` variables, over HTTP."""
    return Recorder(OTLPSpanExporter(), PeriodicExportingMetricReader(OTLPMetricExporter()))


def _inside(run_id: str) -> context.Context | None:
    """The context of a step's span: the surrounding span's, or else its run's."""
    if trace.get_current_span().get_span_context().is_valid:
        return None
    of = _run_context(run_id)
    return None if of is None else trace.set_span_in_context(NonRecordingSpan(of))


def _run_context(run_id: str) -> SpanContext | None:
    try:
        trace_id = UUID(run_id).int
    except ValueError:
        return None
    span_id = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big")
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
