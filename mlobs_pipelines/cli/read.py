"""Commands that read what runs left, and what it means: `metrics`, `define`, `report` and `tables`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs_pipelines.cli.output import Format, Output, print_rows, rows_of
from mlobs_pipelines.cli.root import AsOf, From, Model, To, acted, app, known, lake, moment_of, out, spec_of
from mlobs_pipelines.core.vocabulary import Maturity, Verdict, Window
from mlobs_pipelines.destinations import terminal

if TYPE_CHECKING:
    from mlobs_pipelines.core.metrics import Metric


@app.command()
def metrics(
    model: Model,
    metric: Annotated[list[str] | None, typer.Option(help="Metric name; may be repeated.")] = None,
    version: Annotated[list[str] | None, typer.Option(help="Model version; may be repeated.")] = None,
    window: Annotated[list[Window] | None, typer.Option(help="Window; may be repeated.")] = None,
    feature: Annotated[list[str] | None, typer.Option(help="Feature; may be repeated.")] = None,
    segment: Annotated[
        str, typer.Option(help="Segment column, or 'any'; all rows together by default.")
    ] = "",
    verdict: Annotated[list[Verdict] | None, typer.Option(help="Verdict; may be repeated.")] = None,
    maturity: Annotated[
        list[str] | None,
        typer.Option(help="With the labels known at a declared age, such as 7d, or 'any'; those known now."),
    ] = None,
    first: From = None,
    last: To = None,
    as_of: AsOf = None,
    form: Output = Format.TABLE,
) -> None:
    """Read the metric store: the latest value of every window, or what was known at a moment."""
    from mlobs_pipelines.contracts.durations import format_duration
    from mlobs_pipelines.engine.folding import CROSS
    from mlobs_pipelines.store.metric_store import ANY, MetricStore

    spec, moment = spec_of(model), moment_of(as_of)
    monitor = spec.monitor
    known("metric", metric, spec.metrics)
    known("version", version, monitor.versions)
    crosses = [CROSS.join(pair) for pair in monitor.crosses]
    known("segment", [segment] if segment else None, [*monitor.segments, *crosses, "any"])
    known("maturity", maturity, [*Maturity, *map(format_duration, monitor.labels.horizons), ANY])
    rows = MetricStore(lake()).query(
        model,
        metrics=metric,
        versions=version,
        windows=None if window is None else [str(item) for item in window],
        segments=None if segment == "any" else [segment],
        features=feature,
        maturities=maturity,
        first=first.date() if first else None,
        last=last.date() if last else None,
        as_of=moment,
    )
    _print_metrics([row for row in rows_of(rows) if not verdict or row["verdict"] in verdict], form)


@app.command()
def define(
    metric: Annotated[list[str] | None, typer.Argument(help="Names of metrics; all by default.")] = None,
    model: Annotated[str | None, typer.Option(help="A model whose own metrics count too.")] = None,
    form: Output = Format.TABLE,
) -> None:
    """Say what metrics are: unit, better direction, definition and the source of the formula."""
    from mlobs_pipelines.core.metrics import METRICS

    known("metric", metric, registered := spec_of(model).metrics if model else METRICS)
    chosen = [registered[name] for name in metric or sorted(registered)]
    rows = [_defined(one) for one in chosen]
    if form is Format.TABLE and metric:
        heads = (
            "{metric}: {family}, unit {unit}, better {better}\n\n{definition}".format(**row) for row in rows
        )
        typer.echo("\n\n\n".join(heads))
        return
    short = [{**row, "definition": row["definition"].partition("\n\n")[0].replace("\n", " ")} for row in rows]
    print_rows(short if form is Format.TABLE else rows, form, list(rows[0]), terminal.records)


@app.command()
def report(
    model: Model,
    path: Annotated[Path | None, typer.Option("--out", help="File to write.")] = None,
    as_of: AsOf = None,
) -> None:
    """Write the self-contained HTML report of a model, from the metric store alone."""
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.defs.tell import report_path
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.tell import write_report

    spec, site = spec_of(model), Site(Settings())
    target = path or report_path(site, spec)
    rows = write_report(site.walk(spec, "report", moment_of(as_of)), target)
    acted(model, "report", str(target), {"rows": rows, "as_of": as_of})
    out.print(f"report of {rows:,} metric rows: {target}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def tables(model: Model, form: Output = Format.TABLE) -> None:
    """List a model's tables with size and content hash, to compare two lakes; without the audit."""
    from dataclasses import asdict

    from mlobs_pipelines.store.tables import AUDIT

    spec_of(model)
    rows = [asdict(summary) for summary in lake().summary(model) if summary.table != AUDIT.name]
    print_rows(rows, form, list(rows[0]) if rows else [], terminal.records)


def _print_metrics(rows: Sequence[dict[str, Any]], form: Format) -> None:
    from mlobs_pipelines.store.tables import METRIC_COLUMNS

    print_rows(rows, form, METRIC_COLUMNS.names, terminal.metric_rows)


def _defined(metric: "Metric") -> dict[str, Any]:
    """One metric as a row."""
    better = {1: "higher", -1: "lower", 0: "neither"}[metric.direction]
    return {
        "metric": metric.name,
        "family": metric.family,
        "unit": metric.unit,
        "better": better,
        "definition": metric.definition,
    }
