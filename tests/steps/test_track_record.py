"""What earlier errors leave of a verdict on an estimate."""

from datetime import date, timedelta

import numpy as np
import pytest

from mlobs_pipelines.core.verdicts import Limits, Rule
from mlobs_pipelines.core.vocabulary import Estimate, Window
from mlobs_pipelines.core.windows import month_of, span_ending
from mlobs_pipelines.steps.track_record import FACT, record_of, record_steps, records, tempered

HORIZON = timedelta(days=7)
MONTHS = [month_of(date(2024, month, 1)) for month in range(1, 10)]
ERRORS = np.array([[0.5, 0.01, -0.02, np.nan, 0.03, -0.01, 0.02, np.nan, np.nan]])


def errors(sufficient=True):  # noqa: FBT002 - of every window at once
    """Errors of nine months of one group."""
    return Estimate(ERRORS, np.full(ERRORS.shape, 900), sufficient=np.array(sufficient))


def test_the_record_is_the_root_mean_square_of_the_six_months_before():
    """Of September: March to August, of which two are unknown; of January: nothing."""
    found = records(MONTHS, HORIZON, 0, errors())
    expected = np.sqrt(np.mean(np.square([-0.02, 0.03, -0.01, 0.02])))
    assert found[0, 8] == {"windows": 4, "rms_error": pytest.approx(expected, abs=1e-9)}
    assert found[0, 0] == {"windows": 0}


def test_too_few_rows_are_no_record():
    """An error of a window that is too small to be judged itself says nothing."""
    assert all(one == {"windows": 0} for one in records(MONTHS, HORIZON, 0, errors(sufficient=False))[0])


@pytest.mark.parametrize(("window", "first"), [(Window.DAY, 7), (Window.WEEK, 1), (Window.FOUR_WEEKS, 1)])
def test_the_record_begins_where_labels_are_due(window, first):
    """Days look back beyond the horizon, longer windows at the one before."""
    assert record_steps(span_ending(date(2024, 3, 10), window), HORIZON)[0] == first


@pytest.mark.parametrize(("value", "record", "verdict"), [
    (0.58, {"windows": 6, "rms_error": 0.01}, "fail"),
    (0.62, {"windows": 6, "rms_error": 0.01}, "undecided"),
    (0.58, {"windows": 2, "rms_error": 0.01}, "undecided"),
    (0.58, {"windows": 6, "rms_error": 0.05}, "undecided"),
])  # fmt: skip
def test_an_alert_is_as_loud_as_the_record_bears_out(value, record, verdict):
    """Beyond 1.96 times the error of at least three windows a failure stands; the value 0.62 is 0.01 away."""
    facts = np.array([{FACT: record}], dtype=object)
    estimate = Estimate(np.array([value]), np.array([900]), facts=facts)
    limits = Limits.of(Rule(fail_below=0.63)).spread((1,))
    told = np.array(["fail"], dtype=object), np.array(["it fails"], dtype=object)
    verdicts, reasons = tempered("estimated_auc", estimate, limits, *told)
    assert verdicts.tolist() == [verdict]
    assert reasons[0].startswith("it fails")
    assert (reasons[0] == "it fails") == (verdict == "fail")


def test_what_has_no_record_is_left_alone():
    """A realised metric is judged by its interval alone, and so is the record itself."""
    assert (record_of("auc"), record_of("estimated_auc_error")) == ("", "")
    told = np.array(["fail"], dtype=object), np.array(["it fails"], dtype=object)
    estimate = Estimate(np.array([0.1]), np.array([900]))
    assert tempered("auc", estimate, Limits.of(Rule(fail_below=0.5)), *told) == told
