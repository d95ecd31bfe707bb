"""The report: one HTML file that works offline, made from the metric store's rows and nothing else.

This module decides what the page contains and in which order. How numbers read, which rows are taken and how
charts look lives beside it; nothing here reads the lake, a clock or the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import jinja2
import pyarrow as pa
import vl_convert

from mlobs_pipelines.destinations import charts, curves
from mlobs_pipelines.destinations import report_checks as checks
from mlobs_pipelines.destinations import report_tables as tables
from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.report_rows import (
    DAY,
    MetricRows,
    Row,
    of_version,
    split,
    versions_of,
    weekly,
)
from mlobs_pipelines.destinations.triangles import triangle

TRENDS = (
    ("auc", "28d"),
    ("auc_macro", "28d"),
    ("mae", "28d"),
    ("rmse", "28d"),
    ("r2", "28d"),
    ("ece", "28d"),
    ("brier_score", "28d"),
    ("log_loss", "28d"),
    ("accuracy", "28d"),
    ("label_coverage", "1d"),
    ("label_lag_p50", "1d"),
    ("latency_p95", "7d"),
    ("error_share", "7d"),
    ("row_count", "7d"),
)
DEVELOPED = ("label_coverage", "auc", "auc_macro", "mae")
SHOWN_LINES = 15
MOST_LINES = 400


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What a model version was trained on and decides by; None where no threshold decides."""

    baseline_id: str
    threshold: float | None


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the report says about the model besides its metrics.

    Attributes
    ----------
    as_of
        The clock of the report: labels known by then count.
    first_day, last_day
        Days of predictions that the report covers, both included.
    importance
        Per version, the importance of every feature to the model, as its training facts give it.
    """

    model: str
    description: str
    owners: tuple[str, ...]
    runbook: str
    as_of: datetime
    first_day: date
    last_day: date
    code_version: str
    contract_hash: str
    versions: Mapping[str, VersionFacts]
    importance: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart in the page: its title, a description for who cannot see it, and its specification."""

    title: str
    alt: str
    spec: charts.Spec


@dataclass(frozen=True, slots=True)
class Attention:
    """Checks of one verdict, as the page lists them.

    Attributes
    ----------
    shown, more
        Those shown at once, and those behind a click.
    left_out
        How many more there are.
    over
        How many had the verdict on earlier days only and are not listed.
    """

    shown: tuple[tables.Line, ...]
    more: tuple[tables.Line, ...]
    left_out: int
    over: int = 0

    @property
    def total(self) -> int:
        """All checks that are to be listed."""
        return len(self.shown) + len(self.more) + self.left_out


def render_report(facts: ReportFacts, metrics: pa.Table) -> str:
    """Render the report of one model as a self-contained HTML page.

    Parameters
    ----------
    facts
        The model, its owners and the clock.
    metrics
        The latest metric rows, with the columns of the metric store.

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
        page |= _content(facts, rows) | {"triangle": _triangles(aged)}
    return _template().render(page)


@cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, from the installed vl-convert."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=charts.VEGA_LITE)
    return bundle.replace("</script", "<\\/script")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlobs_pipelines.destinations", package_path=""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    return environment.get_template("report.html.j2")


def _content(facts: ReportFacts, metrics: MetricRows) -> dict[str, Any]:
    judged = metrics.judged()
    episodes = checks.fold(judged)
    versions = sorted({*facts.versions, *versions_of(metrics.select([name for name, _ in TRENDS]))})
    colours = charts.colour_of(versions)
    skew, clean = tables.skew(metrics)
    return {
        "colours": colours,
        "tiles": [tables.tile(version, metrics, episodes) for version in versions],
        "attention": _attention(episodes, tables.directions(judged)),
        "timeline": _timeline(judged),
        "trends": _trends(metrics, colours, facts),
        "months": tables.months(metrics),
        "month_titles": [words.title(name) for name in tables.month_columns(metrics)],
        "reliability": _reliability(metrics, colours),
        "drift": _heat_maps(metrics, facts, "psi"),
        "score_drift": _score_drift(metrics, colours, facts),
        "skew": skew,
        "skew_clean": clean,
        "skew_titles": [_capital(words.title(name).removeprefix("Skew: ")) for name in tables.SKEW],
        "label_lag": _label_lag(metrics),
        "volume": _volume(metrics, colours, facts),
        "psi_key": curves.PSI_LOOK.key,
        "null_key": curves.NULL_LOOK.key,
        "nulls": _heat_maps(metrics, facts, "null_share"),
    }


def _attention(episodes: Sequence[checks.Episode], sides: Mapping[str, str]) -> dict[str, Attention]:
    undecided = checks.attention(episodes, "undecided")
    still = [concern for concern in undecided if concern.episode.open]
    return {
        "fail": _listed(checks.attention(episodes, "fail"), sides),
        "undecided": _listed(still, sides, over=len(undecided) - len(still)),
    }


def _listed(concerns: Sequence[checks.Concern], sides: Mapping[str, str], over: int = 0) -> Attention:
    lines = tuple(tables.line(concern, sides) for concern in concerns[:MOST_LINES])
    return Attention(lines[:SHOWN_LINES], lines[SHOWN_LINES:], len(concerns) - len(lines), over)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _days(facts: ReportFacts) -> tuple[date, date]:
    return facts.first_day, facts.last_day + DAY


def _timeline(judged: Sequence[Row]) -> list[Figure]:
    spans = checks.stretches(judged)
    about = "One line per check and version, coloured by its worst verdict of each day"
    return [Figure("", about, charts.timeline(spans))] if spans else []


def _trends(metrics: MetricRows, colours: Mapping[str, str], facts: ReportFacts) -> list[Figure]:
    shown = [*TRENDS, *((metric, "28d") for metric in metrics.own())]
    figures = (_trend(metrics, metric, preferred, colours, facts) for metric, preferred in shown)
    return [figure for figure in figures if figure]


def _trend(
    metrics: MetricRows,
    metric: str,
    preferred: str,
    colours: Mapping[str, str],
    facts: ReportFacts,
    *,
    feature: str = "",
) -> Figure | None:
    window = metrics.window_for(metric, preferred)
    rows = metrics.select([metric], window, feature=feature)
    if not any(row["value"] is not None for row in rows):
        return None
    unit = words.scale(metric, rows[0]["unit"]).unit
    what = f"{words.title(metric)}{' of the score' if feature else ''}{f' ({unit})' if unit else ''}"
    title = f"{what}, {words.window(window)}"
    return Figure(title, f"{title}, by day and model version", charts.trend(rows, colours, _days(facts)))


def _reliability(metrics: MetricRows, colours: Mapping[str, str]) -> list[Figure]:
    rows = metrics.select(["reliability_score", "reliability_observed"], "1mo", feature=None)
    if not curves.reliability_points(rows):
        return []
    about = "Observed rate against mean score, per month and model version"
    return [Figure("", about, curves.reliability(rows, colours))]


def _heat_maps(metrics: MetricRows, facts: ReportFacts, metric: str) -> list[Figure]:
    window = metrics.window_for(metric, "7d")
    rows = weekly(
        [row for row in metrics.select([metric], window, feature=None) if row["feature"] != "score"]
    )
    look = curves.PSI_LOOK if metric == "psi" else curves.NULL_LOOK
    figures = []
    for version in versions_of(rows):
        importance = facts.importance.get(version, {}) if metric == "psi" else {}
        own = [row for row in of_version(rows, version) if metric == "psi" or _ever_missing(row, rows)]
        if own:
            about = f"{words.title(metric)} of every feature and week, version {version}"
            figures.append(Figure(version, about, curves.heat_map(own, importance, look)))
    return figures


def _ever_missing(row: Row, rows: Sequence[Row]) -> bool:
    return any(other["value"] for other in rows if other["feature"] == row["feature"])


def _score_drift(metrics: MetricRows, colours: Mapping[str, str], facts: ReportFacts) -> list[Figure]:
    figures = (_trend(metrics, metric, "7d", colours, facts, feature="score") for metric in ("psi", "ks"))
    return [figure for figure in figures if figure]


def _label_lag(metrics: MetricRows) -> list[Figure]:
    rows = metrics.select(["label_lag_cdf"], "1mo", feature=None)
    about = "Share of labels known by time since the prediction, a line per month"
    return [Figure("", about, curves.label_lag(rows))] if rows else []


def _triangles(metrics: MetricRows) -> list[Figure]:
    """Label coverage by day, and what quality is told by first by week, of every version at each age."""
    shown = [(DEVELOPED[0], "1d"), *((name, "7d") for name in DEVELOPED[1:])]
    figures = []
    for metric, window in shown:
        found = metrics.select([metric], window)
        rows = [row for row in (weekly(found) if window == "7d" else found) if row["value"] is not None]
        for version in versions_of(rows):
            title = f"{words.title(metric)}, {words.window(window)}, {version}"
            about = f"{title}, by the age at which labels were known"
            figures.append(Figure(title, about, triangle(of_version(rows, version))))
    return figures


def _volume(metrics: MetricRows, colours: Mapping[str, str], facts: ReportFacts) -> list[Figure]:
    rows = metrics.select(["row_count"], "1d") or metrics.select(["request_count"], "1d")
    return (
        [Figure("", "Predictions per day, per version", charts.bars(rows, colours, _days(facts)))]
        if rows
        else []
    )
