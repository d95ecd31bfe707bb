"""The data scientist's view: what needs attention, trends, versions, slices, calibration, drift, labels.

Decides what the view contains; how numbers read, rows are chosen and charts look lives beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlobs_pipelines.destinations import charts, comparisons, curves
from mlobs_pipelines.destinations import report_checks as checks
from mlobs_pipelines.destinations import report_slices as slices
from mlobs_pipelines.destinations import report_tables as tables
from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.report_facts import Figure, ReportFacts
from mlobs_pipelines.destinations.report_rows import MetricRows, Row, of_version, versions_of, weekly
from mlobs_pipelines.destinations.report_trends import span, trends
from mlobs_pipelines.destinations.triangles import triangle

TRENDS = (
    *(("auc", "28d"), ("auc_macro", "28d"), ("mae", "28d"), ("rmse", "28d"), ("r2", "28d")),
    *(("ece", "28d"), ("brier_score", "28d"), ("log_loss", "28d"), ("accuracy", "28d")),
    *(("label_coverage", "1d"), ("row_count", "7d")),
)
SCORE_DRIFT = (("psi", "7d"), ("ks", "7d"))
ESTIMATED = ("auc", "accuracy", "precision", "recall", "base_rate")
DEVELOPED = ("label_coverage", "auc", "auc_macro", "mae")
SHOWN_LINES, MOST_LINES, MOST_VALUES = 15, 400, 8


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


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A metric of a version's features by week: those that are drawn, and the rest as a table."""

    figure: Figure
    rest: slices.Comparison


def science(
    facts: ReportFacts, metrics: MetricRows, aged: MetricRows, colours: Mapping[str, str]
) -> dict[str, Any]:
    """What the template prints of this view.

    Parameters
    ----------
    metrics, aged
        Rows with the labels known now, and those with the labels known at fixed ages.
    colours
        Of the versions.
    """
    judged = metrics.judged()
    episodes = checks.fold(judged)
    skew, clean = tables.skew(metrics)
    return {
        "tiles": [tables.tile(version, metrics, episodes) for version in colours],
        "attention": _attention(episodes, tables.directions(judged)),
        "timeline": _timeline(judged),
        "trends": trends(metrics, [*TRENDS, *((own, "28d") for own in metrics.own())], colours, facts),
        "skew": skew,
        "skew_clean": clean,
        "skew_titles": [_capital(words.title(name).removeprefix("Skew: ")) for name in tables.SKEW],
        **_compared(facts, metrics, colours),
        **_moved(facts, metrics, colours),
        "label_lag": _label_lag(metrics),
        "triangle": _triangles(aged),
        "volume": _volume(metrics, colours, facts),
    }


def _compared(facts: ReportFacts, metrics: MetricRows, colours: Mapping[str, str]) -> dict[str, Any]:
    return {
        "months": tables.months(metrics),
        "month_titles": [words.title(name) for name in tables.month_columns(metrics)],
        "paired": slices.paired(metrics),
        "slices": slices.slices(metrics),
        "segments": _by_segment(facts, metrics),
        "estimates": _estimates(facts, metrics, colours),
        "reliability": _reliability(metrics, colours),
    }


def _moved(facts: ReportFacts, metrics: MetricRows, colours: Mapping[str, str]) -> dict[str, Any]:
    return {
        "drift": _drift(metrics, facts),
        "score_drift": trends(metrics, SCORE_DRIFT, colours, facts, feature="score"),
        "psi_key": curves.PSI_LOOK.key,
        "null_key": curves.NULL_LOOK.key,
        "nulls": _nulls(metrics),
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


def _timeline(judged: Sequence[Row]) -> list[Figure]:
    spans = checks.stretches(judged)
    about = "One line per check and version, coloured by its worst verdict of each day"
    return [Figure("", about, charts.timeline(spans))] if spans else []


def _reliability(metrics: MetricRows, colours: Mapping[str, str]) -> list[Figure]:
    rows = metrics.select(["reliability_score", "reliability_observed"], "1mo", feature=None)
    if not curves.reliability_points(rows):
        return []
    about = "Observed rate against mean score, per month and model version"
    return [Figure("", about, curves.reliability(rows, colours))]


def _by_segment(facts: ReportFacts, metrics: MetricRows) -> list[Figure]:
    """The headline metric of the newest champion, a line per value (the largest ones)."""
    metric = tables.headline(metrics)
    whole = metrics.select([metric], slices.WINDOW)
    reigning = [row for row in whole if row["role"] == "champion"] or whole
    version = max(reigning, key=lambda row: row["window_end"])["model_version"] if reigning else ""
    rows = of_version(metrics.slices([metric], slices.WINDOW), version)
    figures = []
    for name in sorted({row["segment"] for row in rows}):
        shown = _largest([row for row in rows if row["segment"] == name and row["value"] is not None])
        if shown:
            title = f"{words.title(metric)}, {words.window(slices.WINDOW)}, by {name}, {version}"
            spec = comparisons.by_segment(shown, span(facts))
            figures.append(Figure(title, f"{title}, a line per value", spec, version))
    return figures


def _largest(rows: Sequence[Row]) -> list[Row]:
    most: dict[str, int] = {}
    for row in rows:
        most[row["segment_value"]] = max(row["n"], most.get(row["segment_value"], 0))
    kept = sorted(most, key=lambda value: (-most[value], value))[:MOST_VALUES]
    return [row for row in rows if row["segment_value"] in kept]


def _estimates(facts: ReportFacts, metrics: MetricRows, colours: Mapping[str, str]) -> list[Figure]:
    figures = []
    for name in ESTIMATED:
        guessed = metrics.select([f"estimated_{name}"], slices.WINDOW)
        known = [row for row in metrics.select([name], slices.WINDOW) if row["maturity"] == "mature"]
        if any(row["value"] is not None for row in guessed):
            title = f"{words.title(name)}, {words.window(slices.WINDOW)}"
            about = f"{title}: estimated and, where labels have come, known, by day and version"
            spec = comparisons.estimated(guessed, known, colours, span(facts))
            figures.append(Figure(title, about, spec))
    return figures


def _drift(metrics: MetricRows, facts: ReportFacts) -> list[HeatMap]:
    found = metrics.weekly("psi", metrics.window_for("psi", "7d"))
    rows = [row for row in found if row["feature"] != "score"]
    maps = []
    for version in versions_of(rows):
        own, importance = of_version(rows, version), facts.importance.get(version, {})
        shown = slices.strongest(own, importance)
        about = f"{words.title('psi')} of the features that drift or matter most, by week, version {version}"
        drawn = [row for row in own if row["feature"] in shown]
        figure = Figure(version, about, curves.heat_map(drawn, importance, curves.PSI_LOOK), version)
        maps.append(HeatMap(figure, slices.lesser(own, importance, shown)))
    return maps


def _nulls(metrics: MetricRows) -> list[Figure]:
    rows = metrics.weekly("null_share", metrics.window_for("null_share", "7d"))
    ever = {row["feature"] for row in rows if row["value"]}
    figures = []
    for version in versions_of(rows):
        own = [row for row in of_version(rows, version) if row["feature"] in ever]
        if own:
            about = f"{words.title('null_share')} of every feature and week, version {version}"
            figures.append(Figure(version, about, curves.heat_map(own, {}, curves.NULL_LOOK), version))
    return figures


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
            figures.append(Figure(title, about, triangle(of_version(rows, version)), version))
    return figures


def _volume(metrics: MetricRows, colours: Mapping[str, str], facts: ReportFacts) -> list[Figure]:
    rows = metrics.select(["row_count"], "1d") or metrics.select(["request_count"], "1d")
    about = "Predictions per day, per version"
    return [Figure("", about, charts.bars(rows, colours, span(facts)))] if rows else []
