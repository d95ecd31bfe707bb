"""Status of SLOs over the loan model's scored lake, against counts made by hand from its metric rows."""

import dataclasses
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from mlobs_pipelines.steps.judge import judge_slos
from mlobs_pipelines.store.latest import latest
from mlobs_pipelines.store.tables import SLO_STATUS
from tests.steps.journey import days_of
from tests.steps.loans import AS_OF, DAYS
from tests.steps.redeclared import metrics_of, redeclared

SLOS = """slos:
  - {name: answered, sli: {metric: error_share, roles: [champion, shadow]}, budgeting: occurrences,
     target: 0.9, period: 7d, min_events: 50}
  - {name: labelled, sli: {metric: label_coverage, segment: region}, budgeting: occurrences, target: 0.5,
     owners: [team:labels]}
  - {name: ranked, sli: {metric: auc, window: 7d}, budgeting: timeslices, target: 0.6}
"""


@pytest.fixture(scope="module")
def declared(scored, tmp_path_factory):
    """The scored lake under a monitor with SLOs, judged once."""
    walk = redeclared(scored, tmp_path_factory.mktemp("slos"), before=SLOS)
    judge_slos(walk, DAYS)
    return walk


def statuses(walk, as_of=None) -> pl.DataFrame:
    """The newest status of every SLO and day."""
    return pl.DataFrame(latest(walk.lake, walk.model, SLO_STATUS, as_of=as_of)).drop("run_id")


def test_events_are_those_of_the_metric_rows(declared):
    """Events and bad ones of a period are the sums of n, and of n x value, over its days."""
    found = statuses(declared).filter(pl.col("slo") == "answered")
    rows = metrics_of(declared, metrics=["error_share"], windows=["1d"], segments=[""])
    assert found.height
    for status in found.to_dicts():
        days = rows.filter(
            (pl.col("model_version") == status["model_version"])
            & pl.col("window_start").is_between(status["period_start"], status["period_end"], closed="left")
        )
        assert status["events"] == days["n"].sum()
        assert status["bad"] == pytest.approx((days["n"] * days["value"]).sum())
        assert status["budget_left"] == pytest.approx(1 - status["bad"] / (0.1 * status["events"]))


def test_each_segment_value_has_its_own_budget(declared):
    """An SLO by segment has a row for each of its values, and its own owners."""
    found = statuses(declared).filter(pl.col("slo") == "labelled")
    assert found["segment_value"].n_unique() == 4
    assert found["owners"].to_list()[0] == ["team:labels"]


def test_windows_are_good_or_bad_as_their_verdicts_say(declared):
    """Time slices are counted from the verdicts of the metric store; undecided windows do not count."""
    found = statuses(declared).filter(pl.col("slo") == "ranked")
    rows = metrics_of(declared, metrics=["auc"], windows=["7d"], segments=[""])
    judged = rows.filter(pl.col("verdict").is_in(["pass", "fail"]) & (pl.col("role") == "champion"))
    last = found.filter(pl.col("day") == DAYS[-1].isoformat())
    assert last["events"].sum() == judged.height
    assert last["bad"].sum() == judged.filter(pl.col("verdict") == "fail").height
    assert set(found["alert"]) <= {"none", "ticket", "undecided"}


def test_the_order_of_days_does_not_matter(declared, scored, tmp_path):
    """Days judged one by one, the last first, give the same rows; judging again changes nothing."""
    other = redeclared(scored, tmp_path, before=SLOS)
    for day in reversed(DAYS):
        judge_slos(other, [day])
    assert statuses(other).equals(statuses(declared))
    again = judge_slos(declared, DAYS[-2:])
    assert not any(outcome.version.changed for outcome in again.values())


def test_late_labels_judge_days_anew_and_keep_what_was_said(declared, scored, tmp_path):
    """A later look at a day adds a status under its own as_of; the earlier one can still be read."""
    walk = redeclared(scored, tmp_path, before=SLOS)
    judge_slos(walk, DAYS)
    later = dataclasses.replace(walk, as_of=AS_OF + timedelta(days=1))
    days_of(later, DAYS[-1:])
    judge_slos(later, DAYS[-1:])
    assert statuses(walk, AS_OF).equals(statuses(declared))
    newest = statuses(walk).filter(pl.col("day") == DAYS[-1].isoformat())
    assert set(newest["as_of"]) == {later.as_of}


def test_without_metrics_there_is_no_status(scored, tmp_path):
    """A day before the first has no rows, and judging it is no error."""
    walk = redeclared(scored, tmp_path, before=SLOS)
    outcomes = judge_slos(dataclasses.replace(walk, as_of=datetime(2023, 1, 1, tzinfo=UTC)), [DAYS[0]])
    assert [outcome.rows_out for outcome in outcomes.values()] == [0]
