"""One page of numbers: the metric store beside scikit-learn on the raw labelled rows of the same lake.

Every quality and calibration metric of one window of a binary version, for all rows and each value of a
segment, with its 95 % interval, what the rows give, and how far the two are apart. Ends with 1 where that is
more than the metric's bound (0 for an exact one) plus 1e-9. What scikit-learn lacks (*) is written out.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from mlobs_pipelines.contracts.folder import ModelSpec, load_models
from mlobs_pipelines.core.buckets import LOGIT_LIMIT, score_codes
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Floats
from mlobs_pipelines.engine.folding import UNKNOWN
from mlobs_pipelines.engine.groups import WEIGHT
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.store.lake import Between, Lake
from mlobs_pipelines.store.metric_store import MetricStore

FAMILIES = ("quality", "calibration")
EXACT, BINS, LEAST = 1e-9, 15, 200
KEYS = ("segment", "segment_value", "metric", "feature")
LINE = "{:<14}{:<42}{:>10}{:>22}{:>13}{:>11}{:>10}"


@dataclass(frozen=True)
class Rows:
    """Scored rows of a group: score, label (NaN where unknown) and weight; the version's threshold."""

    score: Floats
    label: Floats
    weight: Floats
    threshold: float

    def where(self, kept: np.ndarray) -> "Rows":
        """Some of the rows."""
        return Rows(self.score[kept], self.label[kept], self.weight[kept], self.threshold)

    @property
    def known(self) -> "Rows":
        """The rows whose label is known."""
        return self.where(np.isfinite(self.label))

    @property
    def said(self) -> np.ndarray:
        """Whether a score reaches the threshold."""
        return self.score >= self.threshold


def by_score(function: Callable[..., float]) -> Callable[[Rows], float]:
    """A function of scikit-learn that takes scores."""
    return lambda rows: function(rows.label, rows.score, sample_weight=rows.weight)


def by_class(function: Callable[..., float], **options: object) -> Callable[[Rows], float]:
    """A function of scikit-learn that takes classes; NaN where it is not defined."""
    return lambda rows: function(rows.label, rows.said, sample_weight=rows.weight, **options)


def mean(values: Callable[[Rows], Floats]) -> Callable[[Rows], float]:
    """A weighted mean over the rows."""
    return lambda rows: float(np.average(values(rows), weights=rows.weight))


def gaps(rows: Rows, place: np.ndarray) -> tuple[Floats, Floats]:
    """Share of the rows in each bin that has any, and its |mean score - mean label|."""
    n = np.bincount(place, rows.weight)
    gap = np.bincount(place, rows.weight * (rows.score - rows.label))
    return n[n > 0] / n.sum(), np.abs(gap[n > 0] / n[n > 0])


def equal_width(rows: Rows) -> np.ndarray:
    """Reliability bin of each row."""
    return np.minimum((rows.score * BINS).astype(np.int64), BINS - 1)


def equal_mass(rows: Rows) -> np.ndarray:
    """Bin of each row by the middle rank of its score cell, whose rows stay together."""
    _, cell = np.unique(score_codes(rows.score), return_inverse=True)
    n = np.bincount(cell, rows.weight)
    middle = np.cumsum(n) - n / 2
    return np.minimum((BINS * middle / n.sum()).astype(np.int64), BINS - 1)[cell]


def ece(rows: Rows) -> float:
    """Expected calibration error."""
    share, gap = gaps(rows, equal_width(rows))
    return float(share @ gap)


def ace(rows: Rows) -> float:
    """The same over bins of equal mass."""
    share, gap = gaps(rows, equal_mass(rows))
    return float(share @ gap)


def murphy(part: str) -> Callable[[Rows], float]:
    """One part of the Brier score over the reliability bins."""

    def found(rows: Rows) -> float:
        place, weight = equal_width(rows), rows.weight
        n = np.bincount(place, weight, BINS)
        score, label = (
            np.bincount(place, weight * values, BINS) / np.where(n > 0, n, 1)
            for values in (rows.score, rows.label)
        )
        base = float(np.average(rows.label, weights=weight))
        inside, hit = rows.score - score[place], rows.label - label[place]
        parts = {
            "reliability": n @ (score - label) ** 2 / n.sum(),
            "resolution": n @ (label - base) ** 2 / n.sum(),
            "uncertainty": base * (1 - base),
            "residual": np.average(inside**2 - 2 * inside * hit, weights=weight),
        }
        return float(parts[part])

    return found


def line(rows: Rows) -> LogisticRegression:
    """Logistic recalibration of the scores."""
    with np.errstate(divide="ignore"):
        logit = np.clip(np.log(rows.score) - np.log1p(-rows.score), -LOGIT_LIMIT, LOGIT_LIMIT)
    fit = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    return fit.fit(logit[:, np.newaxis], rows.label, sample_weight=rows.weight)


SCIKIT: dict[str, Callable[[Rows], float]] = {
    "auc": by_score(sk.roc_auc_score),
    "average_precision": by_score(sk.average_precision_score),
    "log_loss": by_score(sk.log_loss),
    "brier_score": by_score(sk.brier_score_loss),
    "accuracy": by_class(sk.accuracy_score),
    "precision": by_class(sk.precision_score, zero_division=np.nan),
    "recall": by_class(sk.recall_score, zero_division=np.nan),
    "specificity": by_class(sk.recall_score, pos_label=0, zero_division=np.nan),
    "f1": by_class(sk.f1_score, zero_division=np.nan),
    "calibration_slope": lambda rows: line(rows).coef_[0, 0],
    "calibration_intercept": lambda rows: line(rows).intercept_[0],
}
PLAIN: dict[str, Callable[[Rows], float]] = {
    "base_rate": mean(lambda rows: rows.label),
    "mean_score": mean(lambda rows: rows.score),
    "ece": ece,
    "ace": ace,
    "mce": lambda rows: float(gaps(rows, equal_width(rows))[1].max()),
    **{f"brier_{part}": murphy(part) for part in ("reliability", "resolution", "uncertainty", "residual")},
}


def curve(name: str, rows: Rows, bin_name: str) -> float:
    """A point of the reliability curve."""
    mine = rows.where(equal_width(rows) == int(bin_name.removeprefix("bin")))
    return PLAIN["base_rate" if name == "reliability_observed" else "mean_score"](mine)


def spread(groups: Sequence[Rows]) -> float:
    """Largest difference of the selection rate between groups whose rows are worth enough."""
    fit = [rows for rows in groups if rows.weight.sum() ** 2 >= LEAST * (rows.weight**2).sum()]
    rates = [np.average(rows.said, weights=rows.weight) for rows in fit]
    return float(max(rates) - min(rates)) if len(rates) > 1 else np.nan


@dataclass(frozen=True)
class Raw:
    """The rows of a window by group, and those of the training set."""

    groups: dict[tuple[str, str], Rows]
    training: dict[tuple[str, str], Rows]

    def recomputed(self, name: str, group: tuple[str, str], feature: str) -> float | None:
        """The metric from the rows; None where nothing here computes it."""
        rows = self.groups[group]
        if name in SCIKIT:
            return float(SCIKIT[name](rows.known))
        if name in PLAIN:
            return PLAIN[name](rows.known)
        if name.startswith("reliability_"):
            return curve(name, rows.known, feature)
        if name == "selection_rate":
            return float(np.average(rows.said, weights=rows.weight))
        if name == "ece_change" and group in self.training:
            return ece(rows.known) - ece(self.training[group].known)
        return self.fairness(name, feature)

    def fairness(self, name: str, segment: str) -> float | None:
        """A difference between the values of a segment."""
        values = [rows for (column, _), rows in self.groups.items() if column == segment and column]
        if name == "demographic_parity_difference":
            return spread(values)
        if name != "equalised_odds_difference":
            return None
        sides = ([rows.where(rows.label == side) for rows in values] for side in (1, 0))
        return max(spread(side) for side in sides)


def grouped(table: pa.Table, segment: str, threshold: float) -> dict[tuple[str, str], Rows]:
    """All rows of a table that have a score, and those of each value of a segment."""
    table = table.filter(pc.is_valid(table.column("score")))
    score, label = (table.column(name).cast(pa.float64()).to_numpy() for name in ("score", "label"))
    weight = table.column(WEIGHT).to_numpy() if WEIGHT in table.column_names else np.ones(score.size)
    rows = Rows(score, label, weight, threshold)
    found = {("", ""): rows}
    if segment in table.column_names:
        values = np.array(table.column(segment).cast(pa.string()).fill_null(UNKNOWN).to_pylist())
        found |= {(segment, str(value)): rows.where(values == value) for value in np.unique(values)}
    return found


def raw_rows(lake: Lake, spec: ModelSpec, asked: argparse.Namespace, end: date) -> Raw:
    """Rows of the version in the window, and of what it was trained on."""
    version = spec.monitor.versions[asked.version]
    days = Between(asked.start.isoformat(), (end - timedelta(days=1)).isoformat())
    labelled = lake.read(spec.model, "labelled_predictions", where={"day": days})
    labelled = labelled.filter(pc.equal(labelled.column("model_version"), asked.version))
    threshold = version.threshold
    groups, training = grouped(labelled, asked.segment, threshold), {}
    if spec.monitor.comparison(asked.version).kind == "training" and version.baseline:
        file = version.baseline.replace("{landing}", str(Settings().landing_root / spec.model))
        training = grouped(pq.read_table(file), asked.segment, threshold)
    return Raw(groups, training)


def stored_rows(lake: Lake, spec: ModelSpec, asked: argparse.Namespace) -> list[dict]:
    """What the metric store holds of the window, group after group."""
    names = [name for name, metric in spec.metrics.items() if metric.family in FAMILIES]
    found = MetricStore(lake).query(
        spec.model,
        metrics=names,
        versions=[asked.version],
        windows=[asked.window],
        segments=["", asked.segment],
    )
    mine = [row for row in found.to_pylist() if row["window_start"] == asked.start]
    return sorted(mine, key=lambda row: [row[key] for key in KEYS])


def compared(rows: Sequence[dict], raw: Raw) -> Iterator[tuple[dict, float | None, float]]:
    """Every stored row, the same from the raw rows, and how far they may be apart."""
    for row in rows:
        with np.errstate(invalid="ignore", divide="ignore"):
            again = raw.recomputed(row["metric"], (row["segment"], row["segment_value"]), row["feature"])
        yield row, again, (row["bound"] or 0.0) + EXACT


def text(row: dict, again: float, allowed: float) -> str:
    """One line of the page."""
    name = row["metric"] + ("" if row["metric"] in SCIKIT else " *")
    ends = [row["lower"], row["upper"]]
    interval = "" if None in ends else "{:.5f} to {:.5f}".format(*ends)
    group = row["segment_value"] or "all rows"
    label = f"{name} {row['feature']}".rstrip()
    told = f"{again:.9f}", f"{abs(row['value'] - again):.1e}", f"{allowed:.1e}"
    return LINE.format(group, label, f"{row['value']:.5f}", interval, *told)


def page(rows: Sequence[dict], raw: Raw) -> int:
    """Print the page; how many numbers lie beyond what is allowed."""
    print(LINE.format("rows", "metric", "value", "95 % interval", "from rows", "apart", "allowed"))
    beyond, count, alone = 0, 0, set()
    for row, again, allowed in compared(rows, raw):
        if again is None:
            alone |= {row["metric"]} if row["value"] is not None else set()
        elif row["value"] is not None or np.isfinite(again):
            wrong = row["value"] is None or not abs(row["value"] - again) <= allowed
            if row["value"] is not None and (wrong or not row["metric"].startswith("reliability_")):
                print(text(row, again, allowed) + (" BEYOND" if wrong else ""))
            beyond, count = beyond + wrong, count + 1
    print(f"\n{count} numbers compared (points of the reliability curve without a line), {beyond} beyond.")
    rest = f" Not compared: {', '.join(sorted(alone))}." if alone else ""
    print(f"* not in scikit-learn: written out.{rest}")
    return beyond


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What to compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="flight_delays")
    parser.add_argument("--version", default="v2")
    parser.add_argument("--window", default="1mo")
    parser.add_argument("--start", default=date(2013, 7, 1), type=date.fromisoformat)
    parser.add_argument("--segment", default="origin")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Compare one version's window; the exit code."""
    asked, settings = arguments(given), Settings()
    lake = Lake(settings.lake_root, settings.lake_options or None)
    spec = load_models(settings.contracts, METRICS)[asked.model]
    rows = stored_rows(lake, spec, asked)
    if not rows:
        print(
            f"nothing stored of {asked.version} in the window {asked.window} from {asked.start}: run it first"
        )
        return 2
    end, as_of = rows[0]["window_end"], max(row["as_of"] for row in rows)
    print(f"{asked.model} {asked.version}, {asked.start} until {end}, labels as of {as_of:%Y-%m-%d}\n")
    return int(page(rows, raw_rows(lake, spec, asked, end)) > 0)


if __name__ == "__main__":
    sys.exit(main())
