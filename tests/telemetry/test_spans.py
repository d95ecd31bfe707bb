"""Spans and metrics: one trace per run, counts only, sent where an endpoint is set and nowhere else."""

import subprocess
import sys
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from mlobs_pipelines.telemetry import spans
from mlobs_pipelines.telemetry.spans import Ended
from mlobs_pipelines.telemetry.work import working

RUN = "8b2e7c1e-0d1f-4f43-9d5c-0d8a2f1f7a10"
COMMIT = {"run_id": RUN, "batch_id": "b-1"}
DAYS = [date(2013, 5, 1), date(2013, 5, 2)]
ENDED = Ended(
    RUN, "flights_daily", "flights", "2013-05-01/2013-05-02", success=True, started_s=1e9, ended_s=1e9 + 7
)


@pytest.fixture
def told():
    """Give functions for the spans that were made so far, and for the sums of metrics by name and labels."""
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415 - as above
        InMemorySpanExporter,
    )

    from mlobs_pipelines.telemetry.recorder import Recorder  # noqa: PLC0415 - as above

    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    recorder = Recorder(exporter, reader)
    spans.send_to(recorder)

    def made():
        recorder._processor.force_flush()
        return {span.name: span for span in exporter.get_finished_spans()}

    def sums():
        (resource,) = reader.get_metrics_data().resource_metrics
        metrics = [metric for scope in resource.scope_metrics for metric in scope.metrics]
        return {
            (metric.name, *sorted(point.attributes.items())): getattr(point, "value", None) or point.count
            for metric in metrics
            for point in metric.data.data_points
        }

    yield made, sums
    spans.send_to(None)
    recorder.close()


def test_steps_of_a_run_are_one_trace_whose_id_is_the_runs(told):
    """Whoever knows the run finds its trace; steps are children of the run, wherever they ran."""
    made, _ = told
    with working("statistics", "flights", COMMIT, DAYS), working("inner", "flights", COMMIT, DAYS[:1]):
        pass
    spans.run(ENDED)
    found = made()
    run, step, inner = (found[name] for name in ("run flights_daily", "statistics", "inner"))
    assert {format(span.context.trace_id, "032x") for span in found.values()} == {RUN.replace("-", "")}
    assert step.parent.span_id == run.context.span_id
    assert inner.parent.span_id == step.context.span_id
    assert (run.parent, run.end_time - run.start_time) == (None, 7_000_000_000)
    assert run.attributes["mlobs.partitions"] == "2013-05-01/2013-05-02"


def test_a_span_has_counts_and_names_only(told):
    """Model, step, partitions, ids and rows are attributes; nothing else is."""
    made, sums = told
    with working("ingest", "flights", COMMIT, DAYS) as work:
        work.counts.update(rows_in=10, rows_out=8, quarantined=2)
    assert dict(made()["ingest"].attributes) == {
        "mlobs.model": "flights",
        "mlobs.step": "ingest",
        "mlobs.run_id": RUN,
        "mlobs.batch_id": "b-1",
        "mlobs.partitions": "2013-05-01/2013-05-02",
        "mlobs.partition_count": 2,
        "mlobs.rows_in": 10,
        "mlobs.rows_out": 8,
        "mlobs.quarantined": 2,
    }
    with working("metrics:drift", "flights", COMMIT, DAYS) as work:
        work.counts["failed_partitions"] = 1
    spans.run(ENDED)
    known = sums()
    labels = (("mlobs.model", "flights"), ("mlobs.outcome", "quarantined"), ("mlobs.step", "ingest"))
    assert known["mlobs.rows", *labels] == 2
    assert known["mlobs.check.failures", labels[0], ("mlobs.step", "metrics:drift")] == 1
    assert known["mlobs.partitions", labels[0], labels[2]] == 2
    assert known["mlobs.step.duration", labels[0], ("mlobs.state", "ok"), labels[2]] == 1
    of_run = (("mlobs.job", "flights_daily"), ("mlobs.model", "flights"), ("mlobs.state", "ok"))
    assert known["mlobs.run.duration", *of_run] == 1


def test_a_failure_tells_its_class_and_not_its_message(told):
    """The span is an error with the exception's class; neither message nor traceback is in it."""
    made, _ = told
    with pytest.raises(ValueError, match="secret"), working("join", "flights", COMMIT, DAYS):
        raise ValueError("secret")
    span = made()["join"]
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "ValueError")
    assert "secret" not in span.to_json()


def test_work_outside_of_runs_is_told_too(told):
    """What has no run's id has a trace of its own."""
    made, _ = told
    with working("report", "flights", {"run_id": "report"}):
        pass
    spans.run(Ended("report", "x", "flights", None, success=True, started_s=0, ended_s=1))
    assert made()["report"].parent is None
    assert made().keys() == {"report"}


def test_nothing_is_imported_without_an_endpoint():
    """Work is done without OpenTelemetry unless somebody asks for it."""
    code = (
        "import sys; from mlobs_pipelines.telemetry import spans, work; spans.send(None)\n"
        "with work.working('a', 'b', {}): pass\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_extra_is_told_once_and_hinders_no_work(monkeypatch, caplog):
    """An endpoint without the extra is a warning that says what to install."""
    monkeypatch.setitem(sys.modules, "mlobs_pipelines.telemetry.recorder", None)
    spans.send("http://127.0.0.1:9")
    for _ in range(2):
        with working("join", "flights", COMMIT, DAYS):
            pass
    assert caplog.text.count("pip install 'mlobs-pipelines[telemetry]'") == 1


@contextmanager
def _collector():
    """Receive what is sent over HTTP, by path."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def test_spans_and_metrics_reach_a_collector(monkeypatch):
    """Over OTLP's HTTP, to the endpoint of the standard variable, with the service's name and version."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # noqa: PLC0415 - an extra
        ExportMetricsServiceRequest,
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - as above
        ExportTraceServiceRequest,
    )

    with _collector() as (endpoint, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        spans.send(endpoint)
        with working("statistics", "flights", COMMIT, DAYS) as work:
            work.counts["rows_in"] = 7
        spans.run(ENDED)
        spans.close()
        spans.send_to(None)
    bodies = dict(received)
    (traces,) = ExportTraceServiceRequest.FromString(bodies["/v1/traces"]).resource_spans
    service = {one.key: one.value.string_value for one in traces.resource.attributes}
    assert service["service.name"] == "mlobs"
    assert service["service.version"]
    assert service["deployment.environment.name"] == "test"
    names = {span.name for scope in traces.scope_spans for span in scope.spans}
    assert names == {"statistics", "run flights_daily"}
    (metrics,) = ExportMetricsServiceRequest.FromString(bodies["/v1/metrics"]).resource_metrics
    sent = {metric.name for scope in metrics.scope_metrics for metric in scope.metrics}
    assert sent == {"mlobs.rows", "mlobs.partitions", "mlobs.step.duration", "mlobs.run.duration"}
