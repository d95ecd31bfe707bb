"""Late labels: which days wait for them is known exactly, and joining those reads nothing else."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from mlobs_pipelines.steps.arrivals import WAITING, spelled_days, to_read, waiting
from mlobs_pipelines.steps.health import State, clock_lines
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.join import behind, join, rejoin
from mlobs_pipelines.steps.labelled import known_rows
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps import late, loans
from tests.steps.late import DAYS, FIRST, SECOND, THIRD
from tests.steps.test_order import differences

ARRIVALS = [*DAYS, loans.DAYS[6]]
LATE = loans.DAYS[8]


@pytest.fixture(scope="module")
def walked(unlabelled, tmp_path_factory):
    """A walk over a lake that was scored with the labels that came in time; not to be changed."""
    walk = late.lake_of(unlabelled, tmp_path_factory.mktemp("walked"))
    ingest(walk, "labels", ARRIVALS)
    for step in (join, measure, score):
        step(walk, DAYS)
    return walk


@pytest.fixture
def walk(walked, tmp_path):
    """The same over a lake and a landing zone of the test's own, where a day's labels are still to come."""
    mine = late.lake_of(walked, tmp_path)
    return replace(mine, landing=loans.copy_of(walked.landing, tmp_path / "landing"))


def say(walk, arrived, *rows):
    """Make a delivery of labels: prediction ids with a label each."""
    at = f"{arrived.isoformat()}T12:00:00Z"
    common = {"arrived_at": at, "revision": 3, "source": "live"}
    told = [{"prediction_id": one, "label": label, "outcome": "bad", **common} for one, label in rows]
    path = walk.landing / "labels" / f"{arrived.isoformat()}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in told))


def loan(day, number=3):
    """Id of a prediction of a day."""
    return f"loan-{day.isoformat()}-{number:04d}"


def told(outcomes):
    """The days that an ingest says are waiting, by day of arrival."""
    found = {day: outcome.facts.get(WAITING, "") for day, outcome in outcomes.items()}
    return {day: spelled_days(text) for day, text in found.items() if text}


def test_a_delivery_names_the_joined_days_it_belongs_to(walk):
    """Labels of two days that were joined and of one that never was name the two, until these are joined."""
    say(walk, LATE, (loan(FIRST), 1), (loan(THIRD), 1), (loan(date(2024, 2, 20)), 1))
    assert told(ingest(walk, "labels", [LATE])) == {LATE: [FIRST, THIRD]}
    assert behind(walk, DAYS) == [FIRST, THIRD]
    rejoin(walk, [FIRST, THIRD])
    assert told(ingest(walk, "labels", [LATE])) == {}
    assert behind(walk, DAYS) == []


def test_what_was_known_already_asks_for_nothing(walk):
    """Deliveries that come again, in any order, leave no day waiting."""
    assert told(ingest(walk, "labels", ARRIVALS[::-1])) == {}
    assert waiting(walk, ARRIVALS) == {day: [] for day in ARRIVALS}


def test_a_withdrawn_label_asks_for_its_day(walk):
    """A delivery that comes again without a label names the day that was joined with it."""
    say(walk, LATE, (loan(SECOND), 1))
    ingest(walk, "labels", [LATE])
    rejoin(walk, [SECOND])
    say(walk, LATE, (loan(date(2024, 2, 20)), 1))
    assert told(ingest(walk, "labels", [LATE])) == {LATE: [SECOND]}


def test_measuring_the_waiting_days_equals_measuring_all(walk, walked, tmp_path):
    """After a late delivery, every table is what a run over all days makes of the same labels."""
    say(walk, LATE, (loan(FIRST), 0), (loan(FIRST, 5), 1))
    whole = late.lake_of(walked, tmp_path / "whole")
    whole = replace(whole, landing=walk.landing)
    for some, joining, days in ((walk, rejoin, [FIRST]), (whole, join, DAYS)):
        ingest(some, "labels", [LATE])
        for step in (joining, measure, score):
            step(some, days)
    assert differences(walk, whole) == []


def test_only_arrivals_that_matter_are_read(walk):
    """A join reads the days of arrival it has used before and those that have changed since, no others."""
    files = {day.isoformat(): walk.landing / "labels" / f"{day}.jsonl" for day in ARRIVALS}
    used = {day for day, path in files.items() if f"loan-{THIRD}" in path.read_text()}
    assert SECOND.isoformat() not in used
    assert set(to_read(walk, [THIRD])) == used | {LATE.isoformat()}  # the day of the join's own moment
    assert SECOND.isoformat() in to_read(walk, [SECOND, THIRD])
    say(walk, SECOND, (loan(THIRD), 1))
    ingest(walk, "labels", [SECOND])
    assert set(to_read(walk, [THIRD])) == used | {LATE.isoformat(), SECOND.isoformat()}


def test_a_run_that_ended_between_join_and_metrics_is_made_up_for(walk):
    """A day that was joined with its late labels and not scored with them is still behind."""
    moment = walk.as_of.replace(hour=20)
    later = replace(walk, as_of=moment)
    rejoin(later, [FIRST])
    assert behind(later, [FIRST, SECOND]) == [FIRST]
    measure(later, [FIRST])
    score(later, [FIRST])
    assert behind(later, [FIRST, SECOND]) == []


def current(walk):
    """Latest metric rows, whenever they were looked at."""
    rows = MetricStore(walk.lake).query(walk.model)
    return sorted(map(str, rows.drop_columns(["as_of"]).to_pylist()))


def test_a_clock_that_is_ahead_delays_late_labels_and_loses_none(walk, walked, tmp_path):
    """Labels that a right clock's run cannot join yet wait, until one is past the wrong clock's moment."""
    steady, hour = late.lake_of(walked, tmp_path / "steady"), timedelta(hours=1)
    for step in (rejoin, measure, score):
        step(replace(walk, as_of=walk.as_of + 2 * hour), [FIRST])
    say(walk, LATE, (loan(FIRST), 1))
    right, passed = replace(walk, as_of=walk.as_of + hour), replace(walk, as_of=walk.as_of + 3 * hour)
    assert told(ingest(right, "labels", [LATE])) == {LATE: [FIRST]}
    for step in (rejoin, measure, score):
        step(right, [FIRST])
    assert behind(right, DAYS) == [FIRST]
    (line,) = clock_lines(walk.lake, walk.model, right.as_of)
    assert (line.state, "60 min ahead" in line.says) == (State.WARN, True)
    ingest(replace(steady, landing=walk.landing), "labels", [LATE])
    for step in (rejoin, measure, score):
        step(passed, [FIRST])
        step(replace(steady, as_of=passed.as_of), [FIRST])
    assert behind(passed, DAYS) == []
    assert list(clock_lines(walk.lake, walk.model, passed.as_of)) == []
    assert current(walk) == current(steady)


def test_a_run_of_an_earlier_moment_leaves_what_was_known_later(walk):
    """It counts the labels known then, says that the table keeps the later ones, and changes no row of it."""
    before = walk.lake.partition_versions(walk.model, "labelled_predictions")
    known = join(walk, DAYS)[FIRST].facts["labelled"]
    earlier = replace(walk, as_of=walk.as_of.replace(month=2, day=29))
    found = join(earlier, DAYS)[FIRST]
    assert 0 < found.facts["labelled"] < known
    assert "keeps what was known later" in found.note
    states = known_rows(earlier, DAYS, ("day", "state")).to_pylist()
    assert states.count({"day": FIRST.isoformat(), "state": "labelled"}) == found.facts["labelled"]
    after = walk.lake.partition_versions(walk.model, "labelled_predictions")
    assert [one.content_hash for one in after.values()] == [one.content_hash for one in before.values()]
