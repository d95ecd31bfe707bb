"""Knowledge time: a run tagged with an earlier instant sees what was known then, and history is kept."""

import shutil
from datetime import UTC, date, datetime

import pytest

from mlobs_pipelines.defs.jobs import range_tags
from mlobs_pipelines.defs.resources import AS_OF_TAG
from mlobs_pipelines.store.metric_store import MetricStore
from tests.defs.conftest import MODEL, execute, materialized

DAY = date(2013, 6, 21)
EARLY = datetime(2013, 6, 22, tzinfo=UTC)
REPLAYED = datetime(2014, 2, 1, tzinfo=UTC)


@pytest.fixture
def looked_twice(season, site, defs, instance):
    """Walk a day as of the next midnight, and again with everything that became known later."""
    shutil.copytree(season.before, site.settings.lake_root)
    assert execute(defs, instance, "labels", range_tags(EARLY.date(), date(2013, 6, 26))).success
    tags = range_tags(DAY, DAY)
    early = execute(defs, instance, "daily", {**tags, AS_OF_TAG: EARLY.isoformat()})
    return early, execute(defs, instance, "daily", tags)


def _labelled(run):
    found = [one for (name, _), one in materialized(run).items() if name == "labelled_predictions"]
    return sum(one.metadata["labelled"].value for one in found)


def test_an_earlier_knowledge_time_knows_fewer_labels(looked_twice, site):
    """The run as of the past joins fewer labels and says so; the store answers for both instants."""
    early, late = looked_twice
    assert early.success
    assert late.success
    assert 0 < _labelled(early) < _labelled(late)
    told = materialized(early)["labels", DAY.isoformat()].metadata
    assert told["as_of"].value == EARLY.isoformat()
    asked = {"metrics": ["brier_score"], "windows": ["1d"], "segments": [""]}
    store = MetricStore(site.lake)
    then = store.query(MODEL, **asked, as_of=EARLY).to_pylist()
    now = store.query(MODEL, **asked).to_pylist()
    assert len(then) == len(now) > 0
    assert {row["as_of"] for row in then} == {EARLY}
    assert {row["as_of"] for row in now} == {REPLAYED}
    assert sum(row["n"] for row in then) < sum(row["n"] for row in now)


def test_a_tag_that_is_no_instant_is_refused(defs, instance):
    """A mistyped knowledge time makes the run fail with a sentence that says how to write it."""
    run = execute(defs, instance, "features", {AS_OF_TAG: "June"}, partition_key="2013-06-21")
    assert not run.success
    failure = next(event for event in run.all_events if event.is_step_failure)
    assert "write it as 2013-06-13" in failure.step_failure_data.error.to_string()
