"""Commands that hand metrics to other systems: `export` writes a file, `serve-metrics` answers scrapes.

What OpenMetrics looks like is `destinations.openmetrics`; the mirror in PostgreSQL is `publish`.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs_pipelines.cli.output import count
from mlobs_pipelines.cli.root import From, Model, To, acted, app, folders, known, lake, out, spec_of, stop
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.destinations import terminal

if TYPE_CHECKING:
    import pyarrow as pa


class Kind(StrEnum):
    """What a file of metrics is."""

    OPENMETRICS = "openmetrics"
    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"


Names = list[str] | None


@app.command()
def export(
    model: Model,
    output: Annotated[
        Path, typer.Option(help="File to write; a reader sees the old one or the new one whole.")
    ],
    form: Annotated[Kind, typer.Option("--format", help="Of the file.")] = Kind.OPENMETRICS,
    metric: Annotated[Names, typer.Option(help="Metric name; may be repeated.")] = None,
    version: Annotated[Names, typer.Option(help="Model version; may be repeated.")] = None,
    window: Annotated[list[Window] | None, typer.Option(help="Window; may be repeated.")] = None,
    feature: Annotated[Names, typer.Option(help="Feature; may be repeated.")] = None,
    segment: Annotated[
        str, typer.Option(help="Segment column, or 'any'; all rows together by default.")
    ] = "",
    first: From = None,
    last: To = None,
) -> None:
    """Write metrics to a file: the newest day for OpenMetrics, every window else.

    OpenMetrics also tells error budgets and incidents, and suits the textfile collector of Prometheus' node
    exporter.
    """
    filters: dict[str, Any] = {
        "metrics": metric,
        "versions": version,
        "windows": None if window is None else [str(item) for item in window],
        "segments": None if segment == "any" else [segment],
        "features": feature,
    }
    _check(model, filters)
    ends = {"first": first.date() if first else None, "last": last.date() if last else None}
    if form is Kind.OPENMETRICS and any(ends.values()):
        stop("OpenMetrics tell the newest day: leave out --from and --to, or take another --format", 2)
    rows, content = _now(model, filters) if form is Kind.OPENMETRICS else _all(model, filters | ends, form)
    _replace(output, content)
    acted(model, "export", "metrics", {"rows": rows, "format": str(form)})
    out.print(f"{count(rows, 'value')}: {output}", markup=False, highlight=False, soft_wrap=True)


def _check(model: str, filters: Mapping[str, Any]) -> None:
    """End the command where it asks for what the model has not."""
    from mlobs_pipelines.engine.folding import CROSS

    spec = spec_of(model)
    crosses = [CROSS.join(pair) for pair in spec.monitor.crosses]
    known("metric", filters["metrics"], spec.metrics)
    known("version", filters["versions"], spec.monitor.versions)
    known("segment", filters["segments"], ["", *spec.monitor.segments, *crosses])


def _now(model: str, filters: Mapping[str, Any]) -> tuple[int, bytes]:
    from mlobs_pipelines.destinations.openmetrics import exposition
    from mlobs_pipelines.steps.expose import known_now

    found = known_now(lake(), model, **filters)
    return len(found.metrics), exposition([found]).encode()


def _all(model: str, filters: Mapping[str, Any], form: Kind) -> tuple[int, bytes]:
    from mlobs_pipelines.store.metric_store import MetricStore

    table = MetricStore(lake()).query(model, **filters)
    return table.num_rows, _content(table, form)


@app.command("serve-metrics")
def serve_metrics(
    model: Annotated[Names, typer.Argument(help="Models; all by default.")] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 9464,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    every: Annotated[float, typer.Option(help="Seconds for which an answer is kept.")] = 60.0,
) -> None:
    """Answer scrapes of Prometheus at /metrics until it is stopped."""
    import time

    from mlobs_pipelines.destinations.scrape import server
    from mlobs_pipelines.steps.expose import Cached, text_of

    names = [folder.name for folder in folders()]
    known("model", model, names)
    tables, asked = lake(), model or names
    cached = Cached(lambda: text_of(tables, asked), every, time.monotonic)
    cached.get()  # what is wrong with the lake is told now, not to Prometheus
    with server(host, port, cached.get) as listening:
        address = f"http://{host}:{listening.server_address[1]}/metrics"
        out.print(f"metrics of {count(len(asked), 'model')}: {address}", markup=False, highlight=False)
        listening.serve_forever()


def _content(table: "pa.Table", form: Kind) -> bytes:
    if form is Kind.PARQUET:
        from io import BytesIO

        import pyarrow.parquet as pq

        buffer = BytesIO()
        pq.write_table(table, buffer)
        return buffer.getvalue()
    rows: Sequence[dict[str, Any]] = table.to_pylist()
    text = terminal.as_json(rows) if form is Kind.JSON else terminal.as_csv(rows, table.column_names)
    return text.encode()


def _replace(path: Path, content: bytes) -> None:
    """Write a file at once: a collector never reads half of it."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as aside:
        aside.write(content)
    try:
        Path(aside.name).chmod(0o644)
        Path(aside.name).replace(path)
    except OSError:
        Path(aside.name).unlink()
        raise
