"""A simulated year in which fraud is reported late: what young labels say, and what is true.

`python benchmarks/young_labels.py` prints, every fortnight, base rate and AUC of the latest 28 days as known
then, the same corrected for labels that are still to come, and what all labels say in the end. Everything is
counted and computed by the product's own functions, from statistics and not from rows.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.estimates import Z95
from mlobs_pipelines.core.vocabulary import Estimate, Floats, Ints, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.class_lags import units_of
from mlobs_pipelines.engine.scan import ScanPlan, scan_labels
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.cohorts import REACH_DAYS, Cohorts
from mlobs_pipelines.steps.corrected import corrected_summaries
from mlobs_pipelines.steps.windows import score_summary

FIRST, DAYS, WINDOW, EVERY = date(2025, 1, 1), 365, 28, 14
HORIZON, UNIT = 40.0, 0.25  # days
THRESHOLD, DAY_S = 0.5, 86_400.0
PLAN = ScanPlan((), (), {"v1": THRESHOLD}, lag_unit_s=UNIT * DAY_S, horizons_s=(HORIZON * DAY_S,))
NAMES = ("base_rate", "auc")


@dataclass(frozen=True, slots=True)
class Year:
    """Predictions of a year, one entry each; times in days since its start."""

    at: Floats
    score: Floats
    label: Floats
    lag: Floats

    @property
    def day(self) -> Ints:
        """Day of each prediction."""
        return self.at.astype(np.int64)


def simulated(rows: int, seed: int) -> Year:
    """Draw a year of payments.

    A payment that turns out to be fine is known to be so after 3 days on average. Fraud that was flagged is
    confirmed after 7 days on average, other fraud is reported by its victims after 14. No label takes longer
    than the horizon. Both the share of fraud and how well the model knows it change over the year.
    """
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0, DAYS, rows * DAYS))
    season = np.sin(2 * np.pi * at / DAYS)
    label = rng.random(at.size) < 0.2 + 0.06 * season
    sharpness = np.where(label, 1.6 + 0.5 * np.cos(2 * np.pi * at / DAYS), 0.0)
    score = 1 / (1 + np.exp(-(rng.normal(-1.2, 1.0, at.size) + sharpness)))
    slow, fast = rng.gamma(3.0, 14 / 3, at.size), rng.gamma(3.0, 7 / 3, at.size)
    lag = np.where(label, np.where(score >= THRESHOLD, fast, slow), rng.exponential(3.0, at.size))
    return Year(at, score, label.astype(np.float64), np.minimum(lag, HORIZON))


def known(year: Year, moment: float, first: int, last: int) -> pa.Table:
    """Rows of some days with the labels known at a moment, as the join writes them."""
    mine = (year.day >= first) & (year.day < min(last, moment))
    age = moment - year.at[mine]
    there = year.lag[mine] <= age
    days = np.array([(FIRST + timedelta(days=at)).isoformat() for at in range(DAYS)])
    return pa.table(
        {
            "day": days[year.day[mine]],
            "model_version": np.full(age.size, "v1"),
            "role": np.full(age.size, "champion"),
            "score": year.score[mine],
            "label": pa.array(year.label[mine], mask=~there),
            "state": np.where(there, "labelled", "pending"),
            "lag_s": pa.array(year.lag[mine] * DAY_S, mask=~there),
            "age_s": age * DAY_S,
        }
    )


def matured(statistics: pa.Table, moment: int) -> Cohorts:
    """Days before the window of a moment that have reached the horizon by then."""
    start = moment - WINDOW
    last = min(start, moment - int(HORIZON))
    days = [FIRST + timedelta(days=at) for at in range(max(0, last - REACH_DAYS), last)]
    place = pc.index_in(statistics.column("day"), pa.array([day.isoformat() for day in days]))
    epoch = [(date(1970, 1, 1) + timedelta(days=at)).isoformat() for at in range(len(days))]
    numbered = pa.array(epoch).take(place.combine_chunks())
    rows = statistics.set_column(0, "day", numbered).filter(pc.is_valid(place))
    entries = tuple((day.isoformat(), str(moment)) for day in days)
    return Cohorts(rows, entries, np.ones((1, len(days)), dtype=np.bool_))


def estimates(year: Year, moment: int) -> dict[str, Estimate]:
    """Raw, corrected and true values of the 28 days before a moment."""
    start = moment - WINDOW
    statistics = scan_labels(known(year, moment, start - REACH_DAYS - int(HORIZON), moment), PLAN)
    span = Span(Window.FOUR_WEEKS, FIRST + timedelta(days=start), FIRST + timedelta(days=moment))
    counts = arranged(statistics, [span])
    units = units_of(HORIZON, UNIT)
    ((summary, _),) = corrected_summaries(counts, matured(statistics, moment), units, THRESHOLD)
    truth = score_summary(arranged(scan_labels(known(year, np.inf, start, moment), PLAN), [span]))
    raw = score_summary(counts)
    found = {}
    for name in NAMES:
        found[name] = METRICS[name].function(raw)
        found[f"corrected_{name}"] = METRICS[f"corrected_{name}"].function(summary)
        found[f"true_{name}"] = METRICS[name].function(truth)
    return found


def study(rows: int, seed: int, every: int = EVERY) -> Iterator[tuple[int, dict[str, Estimate]]]:
    """Estimates at every moment from when a cohort has matured."""
    year = simulated(rows, seed)
    first = int(HORIZON) + WINDOW + REACH_DAYS
    for moment in range(first, DAYS + 1, every):
        yield moment, estimates(year, moment)


def errors(found: dict[str, Estimate], name: str, of: str) -> float:
    """How many of its own standard errors a value is away from the truth."""
    estimate = found[name]
    error = (estimate.upper - estimate.lower) / (2 * Z95)
    return float(((estimate.value - found[f"true_{of}"].value) / error).item())


def main() -> None:
    """Print the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400, help="predictions per day")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print("as of       " + "".join(f"{name:>9}   raw (errors)   corrected (errors)" for name in NAMES))
    inside = {f"{kind}{name}": 0 for name in NAMES for kind in ("", "corrected_")}
    moments = 0
    for moment, found in study(asked.rows, asked.seed):
        line, moments = str(FIRST + timedelta(days=moment)), moments + 1
        for name in NAMES:
            line += f"{found[f'true_{name}'].value.item():12.4f}"
            for kind in ("", "corrected_"):
                away = errors(found, kind + name, name)
                inside[kind + name] += abs(away) <= 2
                line += f"{found[kind + name].value.item():9.4f} ({away:+6.1f})"
        print(line)
    print(f"within two standard errors of the truth, of {moments} moments:")
    print("\n".join(f"  {name}: {count}" for name, count in inside.items()))


if __name__ == "__main__":
    main()
