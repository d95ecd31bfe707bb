"""The daily schedule: which days a tick asks for, when it asks for none, and that its run is a run."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from tests.defs.conftest import MODEL, execute

NAME = f"{MODEL}_daily_schedule"


@pytest.fixture
def tick(defs, instance):
    """Evaluate the schedule at a moment."""
    repository = defs.get_repository_def()

    def evaluate(*moment, zone=UTC):
        at = datetime(*moment, tzinfo=zone)
        context = dg.build_schedule_context(instance, scheduled_execution_time=at, repository_def=repository)
        return repository.get_schedule_def(NAME).evaluate_tick(context)

    return evaluate


def test_a_tick_asks_for_yesterday_and_the_days_still_maturing(tick):
    """One run request covers yesterday and the seven days before it, and can be asked for once only."""
    (request,) = tick(2013, 6, 28, 11, 30).run_requests
    assert request.run_key == "2013-06-27"
    assert request.tags["dagster/asset_partition_range_start"] == "2013-06-20"
    assert request.tags["dagster/asset_partition_range_end"] == "2013-06-27"


def test_a_tick_claims_no_label_it_has_not_read(tick):
    """Labels are read up to the end of the last day, and that is the knowledge time the run says."""
    (request,) = tick(2013, 6, 28, 11, 30).run_requests
    assert request.tags["mlobs/as_of"] == "2013-06-28T00:00:00+00:00"


def test_the_last_day_is_over_in_utc_wherever_the_tick_is(tick):
    """A morning tick east of Greenwich falls on the evening before in UTC: that day is not over."""
    (request,) = tick(2013, 6, 28, 6, 0, zone=ZoneInfo("Asia/Tokyo")).run_requests
    assert request.run_key == "2013-06-26"


def test_the_first_days_reach_back_no_further_than_the_start(tick):
    """Near the start date the range is cut there."""
    (request,) = tick(2013, 2, 3, 11, 30).run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "2013-02-01"


@pytest.mark.parametrize(
    ("moment", "said"),
    [((2013, 2, 1, 11, 30), "starts on 2013-02-01"), ((2014, 1, 16, 11, 30), "ended on 2014-01-14")],
)
def test_outside_the_model_s_days_a_tick_says_why_it_skips(tick, moment, said):
    """A tick before the first or after the last day asks for nothing, with the reason."""
    found = tick(*moment)
    assert not found.run_requests
    assert said in found.skip_message


def test_the_run_of_a_tick_runs(tick, defs, instance):
    """The tags of a tick make one successful run over exactly its days."""
    (request,) = tick(2013, 2, 3, 11, 30).run_requests
    # February has no landed files: empty days are days too, and the baseline is all they need.
    assert execute(defs, instance, "baseline").success
    run = execute(defs, instance, "daily", request.tags)
    assert run.success
    found = {event.materialization.partition for event in run.get_asset_materialization_events()}
    assert found == {"2013-02-01", "2013-02-02", "2013-02-28"}  # the month's window ends on its last day
