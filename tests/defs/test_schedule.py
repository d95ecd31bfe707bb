"""Schedules: which days a tick of each job asks for, when it asks for none, and that its runs run."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pytest

from mlobs_pipelines.definitions import build_defs
from mlobs_pipelines.defs.jobs import JOINED, RANGE_END, RANGE_START, made_by
from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT
from mlobs_pipelines.store.tables import as_of_key
from tests.defs.conftest import MODEL, execute, site_at

MORNING = (2013, 6, 28, 11, 30)
LAST = date(2013, 6, 27)
DAY = timedelta(days=1)
INGESTED = ("predictions", "features", "labels")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Give an installation to which nothing is delivered."""
    home = tmp_path_factory.mktemp("ticking")
    for dataset in INGESTED:
        (home / "landing" / MODEL / dataset).mkdir(parents=True)
    return site_at(home, home / "landing")


@pytest.fixture(scope="module")
def defs(site):
    """Give its code location."""
    return build_defs(site)


@pytest.fixture
def instance(kept_instance):
    """Give an instance of the test's own that schedules can open."""
    return kept_instance


@pytest.fixture
def tick(defs, instance):
    """Evaluate the schedule of a job at a moment."""
    repository = defs.get_repository_def()

    def evaluate(part, *moment, zone=UTC):
        at = datetime(*moment, tzinfo=zone)
        context = dg.build_schedule_context(instance, scheduled_execution_time=at, repository_def=repository)
        return repository.get_schedule_def(f"{MODEL}_{part}_schedule").evaluate_tick(context)

    return evaluate


def _done(instance, names, first, last=None):
    """Let Dagster know of days that some run has materialized."""
    for offset in range(((last or first) - first).days + 1):
        for name in names:
            key, day = dg.AssetKey([MODEL, name]), (first + offset * DAY).isoformat()
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))


def _spans(found):
    return [(one.tags[RANGE_START], one.tags[RANGE_END]) for one in found.run_requests]


def test_a_new_model_s_first_tick_asks_for_a_month_in_one_run(tick):
    """Nothing is there yet: days as far back as `catch_up` says are one range, and one run."""
    found = tick("ingest", *MORNING)
    assert _spans(found) == [("2013-05-28", "2013-06-27")]
    assert found.run_requests[0].run_key == "2013-06-28:2013-05-28:2013-06-27"


def test_missed_ticks_are_caught_up(tick, instance):
    """Days that nothing ran for are asked for with yesterday, done ones are not: a run for each stretch."""
    _done(instance, INGESTED, date(2013, 5, 28), date(2013, 6, 20))
    _done(instance, INGESTED, date(2013, 6, 23))
    found = tick("ingest", *MORNING)
    assert _spans(found) == [("2013-06-21", "2013-06-22"), ("2013-06-24", "2013-06-27")]
    _done(instance, INGESTED, date(2013, 6, 21), LAST)
    again = tick("ingest", *MORNING)
    assert not again.run_requests
    assert again.skip_message == "nothing is missing from 2013-05-28 to 2013-06-27"


def test_a_tick_claims_no_label_it_has_not_read(tick):
    """Labels are read up to the end of the last day, and that is the knowledge time the run says."""
    (request,) = tick("ingest", *MORNING).run_requests
    assert request.tags["mlobs/as_of"] == "2013-06-28T00:00:00+00:00"


def test_a_day_is_over_after_its_cut_off_and_in_utc(tick):
    """Yesterday is due six hours after midnight UTC, and not before, wherever the clock that ticks is."""
    ends = [
        _spans(tick("ingest", *moment, zone=zone))[0][1]
        for moment, zone in [
            ((2013, 6, 28, 6, 0), UTC),
            ((2013, 6, 28, 5, 59), UTC),
            ((2013, 6, 28, 6, 0), ZoneInfo("Asia/Tokyo")),
        ]
    ]
    assert ends == ["2013-06-27", "2013-06-26", "2013-06-26"]


def test_the_first_days_reach_back_no_further_than_the_start(tick):
    """Near the start date the range is cut there."""
    assert _spans(tick("ingest", 2013, 2, 3, 11, 30)) == [("2013-02-01", "2013-02-02")]


@pytest.mark.parametrize(
    ("moment", "said"),
    [((2013, 2, 1, 11, 30), "starts on 2013-02-01"), ((2014, 1, 16, 11, 30), "ended on 2014-01-14")],
)
def test_outside_the_model_s_days_a_tick_says_why_it_skips(tick, moment, said):
    """A tick before the first or after the last day asks for nothing, with the reason."""
    found = tick("ingest", *moment)
    assert not found.run_requests
    assert said in found.skip_message


def test_a_job_waits_for_the_one_before_it(tick, instance):
    """Days are joined once all they need is ingested; until then the tick says what is not there."""
    _done(instance, ("predictions", "features"), date(2013, 5, 28), LAST)
    assert tick("join", *MORNING).skip_message == "labels not there yet: 2013-05-28..2013-06-27"
    _done(instance, ["labels"], date(2013, 6, 25), date(2013, 6, 26))
    assert _spans(tick("join", *MORNING)) == [("2013-06-25", "2013-06-26")]


def test_nothing_is_measured_before_the_baseline(tick, instance):
    """Joined days wait for the training set's statistics, and the tick says which job makes them."""
    _done(instance, JOINED, LAST)
    assert "run flight_delays_baseline once" in tick("quality", *MORNING).skip_message
    instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey([MODEL, "baseline"])))
    assert _spans(tick("quality", *MORNING)) == [("2013-06-27", "2013-06-27")]


def _measured(site, days, known):
    """Let the lake have statistics of days, as known at a moment."""
    schema, rows = STATISTICS_LAYOUT.schema, []
    for day in days:
        row = {field.name: _some(field) for field in schema if not field.nullable}
        rows.append({**row, "day": day.isoformat(), "as_of": known, "as_of_key": as_of_key(known)})
    keys = [(row["day"], row["as_of_key"]) for row in rows]
    table = pa.Table.from_pylist(rows, schema=schema)
    site.lake.replace(MODEL, STATISTICS_LAYOUT, keys, table, commit={})


def _some(field):
    return pa.scalar("0" if pa.types.is_string(field.type) else 0).cast(field.type).as_py()


def test_each_day_is_measured_again_by_one_job(tick, site, instance):
    """Young days are label lag's, those whose labels are due now calibration's; none is asked for by both."""
    first = date(2013, 6, 15)
    days = [first + number * DAY for number in range((LAST - first).days + 1)]
    for day in days:
        _measured(site, [day], datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY)
    assert "no labels are ingested" in tick("label_lag", *MORNING).skip_message
    _done(instance, ["labels"], first, LAST)
    assert _spans(tick("label_lag", *MORNING)) == [("2013-06-21", "2013-06-26")]
    assert _spans(tick("calibration", *MORNING)) == [("2013-06-15", "2013-06-20")]
    _measured(site, days, datetime(2013, 6, 28, tzinfo=UTC))
    assert not tick("label_lag", *MORNING).run_requests
    assert not tick("calibration", *MORNING).run_requests


def test_the_runs_of_ticks_run(tick, defs, instance):
    """Ticks of ingestion and of the join make runs of exactly their days, after which nothing is due."""
    for part in ("ingest", "join"):
        (request,) = tick(part, 2013, 2, 3, 11, 30).run_requests
        run = execute(defs, instance, part, request.tags)  # no landed files: empty days are days too
        assert run.success
        found = run.get_asset_materialization_events()
        assert {event.materialization.partition for event in found} == {"2013-02-01", "2013-02-02"}
        assert not tick(part, 2013, 2, 3, 12, 30).run_requests


def test_jobs_make_what_their_schedules_look_at(defs, spec):
    """What a tick holds for a job's work is what the job materializes, in one order with the walk."""
    for part in ("ingest", "join", "quality", "label_lag", "calibration", "daily"):
        job = defs.resolve_job_def(f"{MODEL}_{part}")
        assert {key.path[-1] for key in job.asset_layer.selected_asset_keys} == set(made_by(spec, part))
    walk = [*made_by(spec, "ingest"), *made_by(spec, "join"), *made_by(spec, "quality")]
    assert walk == list(made_by(spec, "daily"))


def test_schedules_are_on_where_history_is_replayed_only(spec):
    """The demo's jobs run from the start; those of a live model once somebody switches them on."""
    from mlobs_pipelines.defs.cadence import schedules  # noqa: PLC0415 - as above
    from mlobs_pipelines.defs.resources import Site  # noqa: PLC0415 - as above

    live = spec.__class__(
        spec.monitor.model_copy(update={"replay_as_of": None}),
        spec.predictions,
        spec.features,
        spec.labels,
        spec.hash,
    )
    found = [{one.default_status for one in schedules(Site(settings=None), this)} for this in (spec, live)]
    assert found == [{dg.DefaultScheduleStatus.RUNNING}, {dg.DefaultScheduleStatus.STOPPED}]
