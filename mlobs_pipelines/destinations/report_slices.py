"""Tables that compare: segments of a version, versions on the same predictions, features that drift less.

Each function turns metric rows into small frozen values whose text the template prints.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.report_rows import MetricRows, Row, newest, newest_of_each
from mlobs_pipelines.destinations.report_tables import HEADLINES, Cell, cell

SLICED = ("row_count", *HEADLINES, "ece", "base_rate", "label_coverage")
PAIRED = (
    *("paired_count", "auc_difference", "delong_p", "accuracy_difference", "mcnemar_p"),
    *("brier_difference", "log_loss_difference", "mae_difference", "mse_difference"),
)
MOST_SLICES = 60
BY_DRIFT, BY_IMPORTANCE = 12, 8
WINDOW = "28d"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table: titles of its columns, and lines of a version, what the line is about, and cells."""

    titles: tuple[str, ...]
    lines: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    left_out: int = 0


def slices(metrics: MetricRows) -> Comparison:
    """The newest four weeks of every segment value and version, those with most rows first."""
    found = newest_of_each(
        metrics.slices(SLICED, WINDOW), "model_version", "segment", "segment_value", "metric"
    )
    last = max((row["window_end"] for row in found), default=None)
    groups: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in found:
        if row["window_end"] == last:
            groups[row["model_version"], words.segment(row)][row["metric"]] = row
    ranked = sorted(groups.items(), key=lambda one: (-_rows(one[1]), one[0]))
    return _table(SLICED, ranked[:MOST_SLICES], len(ranked) - len(ranked[:MOST_SLICES]))


def paired(metrics: MetricRows) -> Comparison:
    """Every version against the champion on predictions that both made, in the newest four weeks."""
    groups: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in newest(metrics.select(PAIRED, WINDOW)):
        groups[row["model_version"], f"28 days to {row['last_day']}"][row["metric"]] = row
    return _table(PAIRED, sorted(groups.items()))


def strongest(rows: Sequence[Row], importance: Mapping[str, float]) -> list[str]:
    """Features that are drawn: those that drift most (failing ones first), and the most important ones."""
    worst: dict[str, tuple[bool, float]] = {}
    for row in rows:
        seen = (row["verdict"] == "fail", row["value"] or 0.0)
        worst[row["feature"]] = max(worst.get(row["feature"], (False, 0.0)), seen)
    drifting = sorted(worst, key=lambda name: (not worst[name][0], -worst[name][1], name))[:BY_DRIFT]
    rest = sorted(set(worst) - set(drifting), key=lambda name: (-importance.get(name, 0.0), name))
    return [*drifting, *rest[:BY_IMPORTANCE]]


def lesser(rows: Sequence[Row], importance: Mapping[str, float], shown: Sequence[str]) -> Comparison:
    """The features that are not drawn: importance, newest and worst week."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["feature"] not in shown and row["value"] is not None:
            groups[row["feature"]].append(row)
    lines = [_lesser(name, found, importance) for name, found in groups.items()]
    return Comparison(("Importance", "Newest week", "Worst week"), tuple(sorted(lines, key=_feature)))


def _feature(line: tuple[str, str, tuple[Cell, ...]]) -> str:
    return line[1]


def _lesser(
    name: str, rows: Sequence[Row], importance: Mapping[str, float]
) -> tuple[str, str, tuple[Cell, ...]]:
    worst = max(rows, key=lambda row: row["value"])
    weight = Cell(words.number(importance.get(name), "importance"))
    return rows[0]["model_version"], name, (weight, _week(rows[-1]), _week(worst))


def _week(row: Row) -> Cell:
    return Cell(words.number(row["value"], row["metric"]), f"to {row['last_day']}", row["verdict"])


def _rows(found: Mapping[str, Row]) -> float:
    return float(found["row_count"]["value"] or 0) if "row_count" in found else 0.0


def _table(
    names: Sequence[str], groups: Sequence[tuple[tuple[str, str], Mapping[str, Row]]], left_out: int = 0
) -> Comparison:
    there = [name for name in names if any(name in found for _, found in groups)]
    lines = tuple((*key, tuple(cell(found.get(name)) for name in there)) for key, found in groups)
    return Comparison(tuple(words.title(name) for name in there), lines, left_out)
