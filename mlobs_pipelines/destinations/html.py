"""The report: one HTML file that works offline, made from stored metrics, error budgets and incidents.

It has two views, one for the data scientist and one for the operator; what each contains is decided in
report_science.py and report_operator.py. Nothing here reads the lake, a clock or the network.
"""

from functools import cache

import jinja2
import pyarrow as pa
import pyarrow.compute as pc
import vl_convert
from markupsafe import Markup

from mlobs_pipelines.destinations import charts, packing
from mlobs_pipelines.destinations import report_needs as needs
from mlobs_pipelines.destinations import report_tables as tables
from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.report_facts import Operations, ReportFacts, VersionFacts
from mlobs_pipelines.destinations.report_operator import operator
from mlobs_pipelines.destinations.report_rows import MetricRows, split
from mlobs_pipelines.destinations.report_science import science

__all__ = ["Operations", "ReportFacts", "VersionFacts", "needs", "render_report", "vega_bundle"]

NOTHING = Operations()


def render_report(facts: ReportFacts, metrics: pa.Table, operations: Operations = NOTHING) -> str:
    """Render the report of one model as a self-contained HTML page.

    Parameters
    ----------
    facts
        The model, its owners and the clock.
    metrics
        The latest metric rows, with the columns of the metric store.
    operations
        Error budgets and incidents.

    Returns
    -------
    str
        The page. The same input gives the same text.
    """
    rows, aged = split(metrics)
    page = {
        "facts": facts,
        "words": words,
        "empty": rows.empty,
        "headline": tables.headline(rows),
        "bundle": "" if rows.empty else vega_bundle(),
    }
    if not rows.empty:
        colours = _colours(facts, rows)
        shades = {
            version: f"var(--v{at % len(charts.VERSION_COLOURS)})" for at, version in enumerate(colours)
        }
        page |= {"colours": colours, "shades": shades, "segments_there": _segments(rows)}
        page |= science(facts, rows, aged, colours) | operator(facts, rows, operations, colours)
    return _template().render(page)


@cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, from the installed vl-convert."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=charts.VEGA_LITE)
    return bundle.replace("</script", "<\\/script")


def _colours(facts: ReportFacts, metrics: MetricRows) -> dict[str, str]:
    there = pc.unique(metrics.part(["row_count", "request_count", *tables.HEADLINES])["model_version"])
    return charts.colour_of([*facts.versions, *there.to_pylist()])


def _segments(metrics: MetricRows) -> list[str]:
    """Every segment value that a line of the page may be about."""
    pairs = metrics.table.group_by(["segment", "segment_value"]).aggregate([]).to_pylist()
    return sorted(words.segment(pair) for pair in pairs if pair["segment"])


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlobs_pipelines.destinations", package_path="report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["packed"] = lambda spec: Markup(packing.as_text(spec))  # noqa: S704 - cannot end a script
    return environment.get_template("page.html.j2")
