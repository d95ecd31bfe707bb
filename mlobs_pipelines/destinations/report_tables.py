"""Tables of the report: tiles per version, what needs attention, months, skew.

Each function turns metric rows into small frozen values whose text the template prints. No markup, no charts.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyarrow.compute as pc

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.destinations import report_checks as checks
from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.report_checks import Concern, Episode
from mlobs_pipelines.destinations.report_rows import MetricRows, Row, as_rows, of_version, versions_of

# Of the metrics of every task, those are shown that a report has rows of.
HEADLINES = ("auc", "auc_macro", "mae")
MONTH_COLUMNS = ("row_count", "base_rate", *HEADLINES, "rmse", "r2", "ece", "brier_score", "label_coverage")
TILE_METRICS = (*HEADLINES, "r2", "ece", "label_coverage")
SKEW = ("skew_mismatch_share", "skew_missing_share", "skew_extra_share", "skew_smape")


@dataclass(frozen=True, slots=True)
class Cell:
    """A number in a table: its text, what stands small beside it, and the verdict that colours it."""

    text: str
    small: str = ""
    verdict: str = "none"


@dataclass(frozen=True, slots=True)
class Tile:
    """One model version at a glance.

    Attributes
    ----------
    latest
        Checks by verdict on the newest day of the report.
    period
        Share of all verdicts of the period, in percent, by verdict.
    figures
        Title, window and newest value of a few metrics.
    """

    version: str
    roles: str
    latest: Mapping[str, int]
    period: Mapping[str, float]
    verdicts: int
    figures: tuple[tuple[str, str, Cell], ...]


def tile(version: str, metrics: MetricRows, episodes: Sequence[Episode]) -> Tile:
    """Summarise one version: verdicts now, verdicts over the period, newest figures."""
    own = [episode for episode in episodes if episode.rows[0]["model_version"] == version]
    tally: Counter[str] = Counter()
    for episode in own:
        tally[episode.verdict] += len(episode.rows)
    total = max(1, tally.total())
    return Tile(
        version=version,
        roles=_role_line(
            checks.roles(of_version(metrics.select(["row_count", "request_count"], "1d"), version))
        ),
        latest=Counter(episode.verdict for episode in own if episode.open),
        period={verdict: 100 * tally[verdict] / total for verdict in checks.WORST_FIRST},
        verdicts=tally.total(),
        figures=tuple(filter(None, (_figure(name, version, metrics) for name in TILE_METRICS))),
    )


def _role_line(spans: Sequence[tuple[str, object, object]]) -> str:
    said = [
        f"{role} since {first}" if i == len(spans) - 1 else role for i, (role, first, _) in enumerate(spans)
    ]
    if len(said) < 2:
        return spans[0][0] if spans else ""
    return f"{said[-1]}, {words.listing(list(dict.fromkeys(said[:-1])))} before"


def _figure(metric: str, version: str, metrics: MetricRows) -> tuple[str, str, Cell] | None:
    window = metrics.window_for(metric, "28d")
    rows = [row for row in of_version(metrics.select([metric], window), version) if row["value"] is not None]
    if not rows:
        return None
    row = rows[-1]
    return words.title(metric), words.window(window), cell(row)


def cell(row: Row | None) -> Cell:
    """A metric row as a number in a table, with its interval and verdict; a dash for none."""
    if row is None:
        return Cell(words.DASH)
    return Cell(words.number(row["value"], row["metric"], row["unit"]), words.interval(row), row["verdict"])


@dataclass(frozen=True, slots=True)
class Line:
    """A check that failed or stayed undecided, in words."""

    verdict: str
    severity: str
    open: bool
    family: str
    title: str
    version: str
    where: str
    segment: str
    window: str
    period: str
    days: str
    value: Cell
    others: str
    limit: str
    n: str
    reason: str


def directions(judged: Sequence[Row]) -> dict[str, str]:
    """Per metric, the side of the limit on which a value passes: read off decided rows, else its nature."""
    found = {
        name: "≥" if metric.direction > 0 else "≤" for name, metric in METRICS.items() if metric.direction
    }
    for row in judged:
        if row["verdict"] in {"pass", "fail"} and None not in (row["value"], row["threshold"]):
            above = row["value"] > row["threshold"]
            found[row["metric"]] = "≥" if above == (row["verdict"] == "pass") else "≤"
    return found


def line(concern: Concern, sides: Mapping[str, str]) -> Line:
    """Describe a check's most urgent episode by its worst row, and say how many more there are."""
    episode = concern.episode
    row = episode.worst
    unit = "month" if row["window"] == "1mo" else "day"
    limit = words.limit(row["threshold"], row["metric"], row["unit"])
    return Line(
        verdict=episode.verdict,
        severity=row["severity"] or "error",
        open=episode.open,
        family=words.family(row["metric"]),
        title=words.title(row["metric"]),
        version=row["model_version"],
        where=words.where(row),
        segment=words.segment(row),
        window=words.window(row["window"]),
        period=words.period(episode.first_day, episode.last_day),
        days=words.count(len(episode.rows), unit),
        value=cell(row),
        others=_others(concern.others, unit),
        limit=f"{sides.get(row['metric'], '')} {limit}".strip(),
        n=f"{row['n']:,}",
        reason=row["reason"] or "",
    )


def _others(episodes: Sequence[Episode], unit: str) -> str:
    if not episodes:
        return ""
    length = words.count(sum(len(episode.rows) for episode in episodes), unit)
    return f"+ {words.count(len(episodes), 'other stretch', 'other stretches')}, {length}"


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month: per version, one cell per column of the month table."""

    name: str
    versions: tuple[tuple[str, bool, tuple[Cell, ...]], ...]


def months(metrics: MetricRows) -> list[Month]:
    """The month table: for every month and version the figures of `month_columns`, and maturity."""
    columns = month_columns(metrics)
    rows = sorted(metrics.select(columns, "1mo"), key=lambda row: row["window_start"])
    return [
        Month(
            start.strftime("%Y-%m"),
            tuple(_month_line(version, found, columns) for version in versions_of(found)),
        )
        for start, group in groupby(rows, key=lambda row: row["window_start"])
        for found in [list(group)]
    ]


def month_columns(metrics: MetricRows) -> tuple[str, ...]:
    """Metrics of the month table: of those that a report may show, the ones that it has."""
    present = {row["metric"] for row in metrics.select(MONTH_COLUMNS, "1mo")}
    return tuple(name for name in MONTH_COLUMNS if name in present)


def headline(metrics: MetricRows) -> str:
    """The metric of quality that a reader looks at first."""
    present = {row["metric"] for row in metrics.select(HEADLINES, "28d")}
    return next((name for name in HEADLINES if name in present), HEADLINES[0])


def _month_line(
    version: str, rows: Sequence[Row], columns: Sequence[str]
) -> tuple[str, bool, tuple[Cell, ...]]:
    found = {row["metric"]: row for row in of_version(rows, version)}
    provisional = any(row["maturity"] == "provisional" for row in found.values())
    return version, provisional, tuple(cell(found.get(name)) for name in columns)


@dataclass(frozen=True, slots=True)
class SkewLine:
    """Training-serving skew of one feature and version over the period: worst day of each measure."""

    version: str
    feature: str
    failing: int
    measured: int
    cells: tuple[Cell, ...]


def skew(metrics: MetricRows) -> tuple[list[SkewLine], int]:
    """Features that ever showed skew, worst first, and how many showed none."""
    found = metrics.part(SKEW, metrics.window_for(SKEW[0], "1d"), feature=None)
    each = found.group_by(["model_version", "feature"]).aggregate([("window_end", "count_distinct")])
    days = {
        (one["model_version"], one["feature"]): one["window_end_count_distinct"] for one in each.to_pylist()
    }
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in as_rows(found.filter(pc.not_equal(found["value"], 0.0))):
        groups[row["model_version"], row["feature"]].append(row)
    lines = [_skew_line(*key, rows, days[key]) for key, rows in sorted(groups.items())]
    return sorted(lines, key=lambda line: -line.failing), len(days) - len(lines)


def _skew_line(version: str, feature: str, rows: Sequence[Row], measured: int) -> SkewLine:
    failing = {row["last_day"] for row in rows if row["verdict"] == "fail"}
    return SkewLine(version, feature, len(failing), measured, tuple(_worst_day(name, rows) for name in SKEW))


def _worst_day(metric: str, rows: Sequence[Row]) -> Cell:
    known = [row for row in rows if row["metric"] == metric and row["value"] is not None]
    if not known:
        return Cell(words.number(0.0, metric))
    row = max(known, key=lambda row: row["value"])
    small = row["last_day"].isoformat() if row["value"] else ""
    return Cell(words.number(row["value"], metric, row["unit"]), small, row["verdict"])
