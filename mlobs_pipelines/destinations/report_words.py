"""How the report says things: titles, units, numbers and periods as a person reads them.

No metric is computed here and no row is chosen; every function turns one value into words.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from mlobs_pipelines.core.metrics import METRICS

DASH = "\N{EN DASH}"
TITLES = {
    "auc": "AUC",
    "attribution_mean": "Mean attribution",
    "attribution_share": "Share of all attributions",
    "attribution_p95": "Attribution, 95 %",
    "attribution_ndcg": "Attribution drift (NDCG)",
    "ece": "Calibration error (ECE)",
    "mce": "Largest calibration error (MCE)",
    "brier_score": "Brier score",
    "log_loss": "Log loss",
    "f1": "F1",
    "average_precision": "Average precision",
    "ace": "Calibration error, equal mass (ACE)",
    "ece_change": "Change of calibration error (ECE)",
    "calibration_slope": "Calibration slope",
    "auc_macro": "AUC, mean of the classes",
    "auc_weighted": "AUC, mean by rows of the classes",
    "class_auc": "AUC of a class",
    "class_f1": "F1 of a class",
    "mae": "Mean absolute error (MAE)",
    "rmse": "Root mean squared error (RMSE)",
    "mape": "Mean absolute percentage error (MAPE)",
    "mape_undefined_share": "Labels of 0, not in MAPE",
    "r2": "R\N{SUPERSCRIPT TWO}",
    "psi": "PSI",
    "prediction_psi": "PSI of predicted classes",
    "label_psi": "PSI of labels",
    "js_distance": "Jensen-Shannon distance",
    "hellinger": "Hellinger distance",
    "linf": "Largest change of a bin (L\N{INFINITY})",
    "wasserstein": "Wasserstein distance, normed",
    "chi_square_p": "Chi-square test, p",
    "cramers_v": "Cram\N{LATIN SMALL LETTER E WITH ACUTE}r's V",
    "drift_q": "Drift, q over all features",
    "drifted_share": "Drifted features",
    "drifted_importance": "Importance of drifted features",
    "unseen_share": "Categories not in the baseline",
    "out_of_range_share": "Values beyond the baseline's range",
    "cardinality": "Distinct categories",
    "value_mean": "Mean value",
    "value_std": "Standard deviation",
    "value_min": "Least value",
    "value_max": "Greatest value",
    "value_p50": "Median value",
    **{f"value_p{level}": f"Value, {int(level)} %" for level in ("01", "05", "25", "75", "95", "99")},
    "ks": "KS distance",
    "label_lag_p50": "Label lag, median",
    "label_lag_p90": "Label lag, 90 %",
    "label_lag_p95": "Label lag, 95 %",
    "label_lag_p99": "Label lag, 99 %",
    "label_backlog": "Overdue labels",
    "overdue_share": "Overdue share of labels",
    "latency_p50": "Latency, median",
    "latency_p95": "Latency, 95 %",
    "latency_p99": "Latency, 99 %",
    "row_count": "Predictions",
    "request_count": "Requests",
    "error_share": "Failed requests",
    "timeout_share": "Requests that timed out",
    **{f"queue_time_p{level}": f"Time in queue, {level} %" for level in (95, 99)},
    "queue_time_p50": "Time in queue, median",
    "null_share": "Missing values",
    "auc_difference": "AUC, difference",
    "accuracy_difference": "Accuracy, difference",
    "brier_difference": "Brier score, difference",
    "log_loss_difference": "Log loss, difference",
    "mae_difference": "MAE, difference",
    "mse_difference": "MSE, difference",
    "delong_p": "DeLong test, p",
    "mcnemar_p": "McNemar test, p",
    "paired_count": "Predictions of both",
    "estimated_auc": "AUC, estimated",
    "skew_mismatch_share": "Skew: rows that differ",
    "skew_missing_share": "Skew: lost in serving",
    "skew_extra_share": "Skew: only in serving",
    "skew_smape": "Skew: relative size (SMAPE)",
}
SHARES = frozenset(
    {
        "availability",
        "accuracy",
        "precision",
        "recall",
        "specificity",
        "base_rate",
        "base_rate_change",
        "mean_score",
        "selection_rate",
        "demographic_parity_difference",
        "equalised_odds_difference",
        "drifted_importance",
        "label_coverage",
        "skew_smape",
    }
)
WINDOWS = {"1d": "1 day", "7d": "7 days", "28d": "28 days", "1mo": "calendar month"}

UNITS = {
    "1": "",
    "h": "hours",
    "ms": "milliseconds",
    "1/h": "per hour",
    "label": "unit of the label",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How the values of one metric are written: on an axis (d3 format) and in text."""

    axis: str
    unit: str


def family(metric: str) -> str:
    """The check family that a metric belongs to; "other" for one this report does not know."""
    return METRICS[metric].family.replace("_", " ") if metric in METRICS else "other"


def title(metric: str) -> str:
    """The metric's name for a reader, made from its snake-case name where none is written down."""
    return TITLES.get(metric) or metric.replace("_", " ").capitalize()


def window(name: str) -> str:
    """A window in words; a name that is not known stays as it is."""
    return WINDOWS.get(name, name)


def is_share(metric: str) -> bool:
    """Whether the metric is a share of rows, written in percent."""
    return metric in SHARES or metric.endswith("_share")


def scale(metric: str, unit: str = "1") -> Scale:
    """The axis format of a metric, and its unit where the axis does not show it."""
    if is_share(metric):
        return Scale("~%", "")
    if unit == "rows":
        return Scale("~s", "")
    return Scale(",~f", UNITS.get(unit, unit))


def number(value: float | None, metric: str, unit: str = "1") -> str:
    """One value with its unit, rounded to what a reader can use.

    Examples
    --------
    >>> number(0.18612, "ece"), number(0.0312, "null_share"), number(27775.0, "row_count", "rows")
    ('0.186', '3.1 %', '27,775')
    >>> number(5.62, "label_lag_p50", "h"), number(0.05, "error_share")
    ('5.6 h', '5.0 %')
    """
    if value is None or not math.isfinite(value):
        return DASH
    if is_share(metric):
        return f"{_significant(100 * value, 1)} %"
    if unit == "rows":
        return f"{value:,.0f}"
    if unit in {"h", "ms", "1/h"}:
        return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.1f} {unit}"
    return _significant(value, 3)


def _significant(value: float, decimals: int) -> str:
    if abs(value) >= 10:
        return f"{value:,.1f}"
    if value and abs(value) < 10**-decimals:
        return f"{value:.1g}" if abs(value) >= 1e-4 else f"{value:.0e}"
    return f"{value:.{decimals}f}"


def limit(value: float | None, metric: str, unit: str = "1") -> str:
    """A threshold as somebody wrote it down, without padding zeros: "0.05", "90 %", "24 h"."""
    if value is None:
        return DASH
    if is_share(metric):
        return f"{100 * value:g} %"
    return f"{value:,g} {unit}" if unit in {"h", "ms", "1/h"} else f"{value:,g}"


def interval(row: Mapping[str, Any]) -> str:
    """The 95 % interval of a metric row in words, empty where it has none."""
    if row["lower"] is None or row["upper"] is None:
        return ""
    low, high = (number(row[end], row["metric"], row["unit"]) for end in ("lower", "upper"))
    return f"{low.removesuffix(' %')} to {high}"


def where(row: Mapping[str, Any]) -> str:
    """Which rows and which feature a check looks at."""
    feature = "score" if row["feature"] == "score" else row["feature"]
    return ", ".join(part for part in (feature, segment(row)) if part) or "all rows"


def segment(row: Mapping[str, Any]) -> str:
    """The segment and its value that a row is about; "" for all rows."""
    return f"{row['segment']} = {row['segment_value']}" if row["segment"] else ""


def period(first: date, last: date) -> str:
    """A span of days, both ends included."""
    return first.isoformat() if first == last else f"{first.isoformat()} {DASH} {last.isoformat()}"


def count(how_many: int, singular: str, plural: str = "") -> str:
    """A number with its noun: "1 day", "73 days"."""
    return f"{how_many:,} {singular if how_many == 1 else plural or singular + 's'}"


def instant(at: datetime) -> str:
    """A moment in UTC, to the minute."""
    return at.strftime("%Y-%m-%d %H:%M UTC")


def listing(words: Sequence[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""
