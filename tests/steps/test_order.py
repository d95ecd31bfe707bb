"""Whatever the order of the runs, the tables say the same."""

import json
import shutil

import polars as pl
import pyarrow.compute as pc
import pytest

from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.log import log
from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps import journey, loans

MONTHS_END = loans.DAYS[3:6]  # a leap day, the day before and the first of a month


@pytest.fixture(scope="module")
def few(landing, tmp_path_factory):
    """A walk whose lake holds the days around the end of the month, run as one range."""
    walk = loans.walk_of(tmp_path_factory.mktemp("few"), landing)
    journey.go(walk, predicted=MONTHS_END)
    return walk


def contents(walk):
    """Rows and content hash of every table."""
    return {item.table: (item.rows, item.content_hash) for item in walk.lake.summary(walk.model)}


def differences(walk, other):
    """Names of the tables that differ."""
    mine, theirs = contents(walk), contents(other)
    return sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))


def test_runs_of_one_day_equal_one_run_of_all_days(few, landing, tmp_path):
    """Day by day backward, every table holds byte for byte what one range run makes."""
    walk = loans.walk_of(tmp_path, landing, run_id="another")
    journey.go(walk, journey.backward, MONTHS_END)
    assert differences(walk, few) == []


def test_a_day_may_be_walked_to_its_end_before_the_next(few, landing, tmp_path):
    """Scoring each day before the next one is joined, in a shuffled order, ends in the same tables."""
    walk = loans.walk_of(tmp_path, landing, run_id="another")
    measure_baselines(walk)
    journey.deliver_all(walk, predicted=MONTHS_END)
    for position in (2, 0, 1):
        journey.days_of(walk, [MONTHS_END[position]])
    assert differences(walk, few) == []


def test_running_again_changes_nothing(few, landing, tmp_path):
    """Day by day forward equals one range run, and a second run publishes no version of any partition."""
    walk = loans.walk_of(tmp_path, landing)
    journey.go(walk, journey.forward, MONTHS_END)
    assert differences(walk, few) == []
    before = {name: walk.lake.version(walk.model, name) for name in walk.lake.tables(walk.model)}
    outcomes = journey.go(loans.walk_of(tmp_path, landing, run_id="again"), predicted=MONTHS_END)
    assert not any(item.version.changed for step in outcomes.values() for item in step.values())
    assert {name: walk.lake.version(walk.model, name) for name in before} == before


def test_late_labels_add_history_and_keep_what_was_known(landing, tmp_path):
    """A later knowledge time adds rows; reading as of the earlier one still gives the earlier numbers."""
    early = loans.AS_OF.replace(day=1)
    walk = loans.walk_of(tmp_path, landing, as_of=early)
    journey.go(walk, predicted=MONTHS_END)
    store = MetricStore(walk.lake)
    first = store.query(walk.model, as_of=early)
    journey.go(loans.walk_of(tmp_path, landing), predicted=MONTHS_END)
    assert store.query(walk.model, as_of=early).drop(["run_id"]).equals(first.drop(["run_id"]))
    latest = store.query(walk.model)
    known = [pc.sum(t.filter(pc.equal(t["metric"], "base_rate"))["n"]).as_py() for t in (first, latest)]
    assert known[1] > known[0]


def test_rescoring_some_days_of_a_scored_lake_keeps_the_rest(scored, landing, tmp_path):
    """Scoring one day again replaces the windows that hold it and leaves all others alone."""
    shutil.copytree(scored.lake.root, tmp_path / "lake")
    walk = loans.walk_of(tmp_path, landing, run_id="again")
    journey.days_of(walk, [loans.DAYS[3]])
    assert differences(walk, scored) == []


def test_a_withdrawn_day_leaves_no_metric_behind(few, landing, tmp_path):
    """Once an empty file stands in for a day's predictions, all tables are as if it had always been empty."""
    emptied = loans.copy_of(landing, tmp_path / "landing")
    path = loans.day_file(emptied, MONTHS_END[1])
    pl.read_parquet(path).clear().write_parquet(path)
    never, withdrawn = (loans.walk_of(tmp_path / name, emptied) for name in ("never", "withdrawn"))
    journey.go(never, predicted=MONTHS_END)
    shutil.copytree(few.lake.root, withdrawn.lake.root)
    ingest(withdrawn, "predictions", [MONTHS_END[1]])
    journey.days_of(withdrawn, [MONTHS_END[1]])
    assert differences(withdrawn, never) == []


def test_a_label_from_before_its_prediction_is_found_however_many_days_a_run_covers(landing, tmp_path):
    """An early label that arrived on the day before counts in a run of one day as in a run of many."""
    early = loans.copy_of(landing, tmp_path / "landing")
    day, before = loans.DAYS[3], loans.DAYS[1]
    for target, number in ((loans.DAYS[2], "0001"), (before, "0002")):
        path = early / "labels" / f"{target.isoformat()}.jsonl"
        at = f"{target.isoformat()}T12:00:00Z"
        row = {"prediction_id": f"loan-{day}-{number}", "label": 1, "outcome": "bad", "arrived_at": at}
        path.write_text(path.read_text() + json.dumps(row | {"revision": 0, "source": "live"}) + "\n")
    whole, single = (loans.walk_of(tmp_path / name, early) for name in ("whole", "single"))
    days = loans.DAYS[1:4]
    for dataset, delivered in (("labels", loans.DAYS[1:6]), ("predictions", days)):
        ingest(whole, dataset, delivered)
    log(whole, days)
    shutil.copytree(whole.lake.root, single.lake.root)
    outcomes = join(whole, days)
    for one in days:
        join(single, [one])
    assert differences(whole, single) == []
    assert outcomes[day].facts["early_labels"] == 1
