"""The command `triangle`: how windows developed, metric values at each declared age beside those known now.

What is computed is `steps.maturities`; other readings of the metric store are in `read`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlobs_pipelines.cli.output import Format, Output, print_rows
from mlobs_pipelines.cli.root import AsOf, From, Model, To, app, known, lake, moment_of, out, spec_of, usage
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.destinations import terminal

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    *("model_version", "metric", "window", "window_start", "window_end", "maturity"),
    *("value", "lower", "upper", "n", "unit", "label_coverage", "as_of"),
)


@app.command()
def triangle(
    model: Model,
    metric: Annotated[str, typer.Option(help="Metric that is kept at fixed maturities.")] = "label_coverage",
    version: Annotated[list[str] | None, typer.Option(help="Model version; may be repeated.")] = None,
    window: Annotated[Window, typer.Option(help="Window.")] = Window.DAY,
    first: From = None,
    last: To = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw one version into this PNG file instead of printing.")
    ] = None,
    as_of: AsOf = None,
    form: Output = Format.TABLE,
) -> None:
    """Show how windows developed: a metric with the labels known at each declared age, and those of now."""
    from mlobs_pipelines.contracts.durations import format_duration
    from mlobs_pipelines.store.metric_store import ANY, MetricStore

    spec = spec_of(model)
    known("version", version, spec.monitor.versions)
    known("metric", [metric], spec.metrics)
    found = MetricStore(lake()).query(
        model,
        metrics=[metric],
        versions=version,
        windows=[str(window)],
        segments=[""],
        maturities=[ANY],
        first=first.date() if first else None,
        last=last.date() if last else None,
        as_of=moment_of(as_of),
    )
    if picture is not None:
        _draw(found, picture)
        return
    ages = [format_duration(horizon) for horizon in spec.monitor.labels.horizons]
    rows = [{name: row[name] for name in COLUMNS} for row in found.to_pylist()]
    print_rows(rows, form, COLUMNS, lambda some: terminal.development(some, ages))


def _draw(rows: "pa.Table", path: Path) -> None:
    from mlobs_pipelines.destinations.plots import triangle_picture

    with usage():
        path.write_bytes(triangle_picture(rows))
    out.print(f"triangle: {path}", markup=False, highlight=False, soft_wrap=True)
