"""Trends of metrics by day and version: which metric is shown in which window, as figures.

How a trend looks is charts.py; which trends a view has is the view's business.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from mlobs_pipelines.destinations import charts
from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.report_facts import Figure, ReportFacts
from mlobs_pipelines.destinations.report_rows import DAY, MetricRows


def span(facts: ReportFacts) -> tuple[date, date]:
    """First day of the report, and the day after its last."""
    return facts.first_day, facts.last_day + DAY


def trends(
    metrics: MetricRows,
    shown: Sequence[tuple[str, str]],
    colours: Mapping[str, str],
    facts: ReportFacts,
    *,
    feature: str = "",
) -> list[Figure]:
    """A figure for every metric that has values, in the window that is judged, else the preferred one."""
    figures = (_trend(metrics, *one, colours, facts, feature) for one in shown)
    return [figure for figure in figures if figure]


def _trend(
    metrics: MetricRows,
    metric: str,
    preferred: str,
    colours: Mapping[str, str],
    facts: ReportFacts,
    feature: str,
) -> Figure | None:
    window = metrics.window_for(metric, preferred)
    rows = metrics.select([metric], window, feature=feature)
    if not any(row["value"] is not None for row in rows):
        return None
    unit = words.scale(metric, rows[0]["unit"]).unit
    what = f"{words.title(metric)}{' of the score' if feature else ''}{f' ({unit})' if unit else ''}"
    title = f"{what}, {words.window(window)}"
    return Figure(title, f"{title}, by day and model version", charts.trend(rows, colours, span(facts)))
