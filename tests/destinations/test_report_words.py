"""Numbers, intervals and places as the report writes them."""

import math

import pytest

from mlobs_pipelines.destinations import report_words as words


@pytest.mark.parametrize(
    ("value", "metric", "unit", "said"),
    [
        (0.7391, "auc", "1", "0.739"),
        (8.1234, "psi", "1", "8.123"),
        (0.0004, "ece", "1", "0.0004"),
        (0.0, "psi", "1", "0.000"),
        (0.2134, "base_rate", "1", "21.3 %"),
        (0.00004, "error_share", "1", "0.004 %"),
        (1.0, "label_coverage", "1", "100.0 %"),
        (27775.0, "row_count", "rows", "27,775"),
        (171.2, "label_lag_p99", "h", "171 h"),
        (118.04, "latency_p95", "ms", "118 ms"),
        (None, "auc", "1", words.DASH),
        (math.nan, "auc", "1", words.DASH),
        (math.inf, "psi", "1", words.DASH),
    ],
)
def test_numbers_are_rounded_with_their_unit(value, metric, unit, said):
    """A number is written as precisely as a reader can use it, an undefined one as a dash."""
    assert words.number(value, metric, unit) == said


def test_limits_are_written_as_declared():
    """A threshold carries no padding zeros."""
    said = [
        words.limit(0.05, "ece"),
        words.limit(0.9, "label_coverage"),
        words.limit(24.0, "label_lag_p50", "h"),
    ]
    assert said == ["0.05", "90 %", "24 h"]


def test_interval_names_its_unit_once():
    """Both ends of an interval share one unit."""
    row = {"metric": "base_rate", "unit": "1", "value": 0.2, "lower": 0.19, "upper": 0.21}
    assert words.interval(row) == "19.0 to 21.0 %"


def test_unknown_metrics_get_a_readable_name():
    """A metric that the report has never heard of still reads like words."""
    assert words.title("parity_gap") == "Parity gap"
    assert words.family("parity_gap") == "other"
