"""One run over many days: what is judged, what is told, and what one bad day does to the others."""

import shutil
from datetime import date

import dagster as dg

from mlobs_pipelines.definitions import build_defs
from mlobs_pipelines.defs.checks import Finding, evaluations
from mlobs_pipelines.defs.jobs import range_tags
from tests.defs.conftest import (
    BAD_ROWS,
    CONTRACTS,
    EMPTY,
    MISSING,
    MODEL,
    PARTIAL,
    REFUSED,
    REPLAY,
    REPLAYED,
    execute,
    materialized,
    site_at,
)

DAYS = [f"2013-06-{day}" for day in range(20, 27)]
TOLD = {
    "rows_in",
    "rows_out",
    "quarantined",
    "bytes",
    "content_hash",
    "table_version",
    "as_of",
    "batch_id",
    "code_version",
    "declaration_hash",
    "dagster/partition_row_count",
    "dagster/column_schema",
}
WALKED = ("predictions", "feature_snapshots", "prediction_log", "labelled_predictions", "metrics")


def _evaluations(run, asset, check):
    return {
        found.partition: found
        for found in run.get_asset_check_evaluations()
        if found.asset_key.path[-1] == asset and found.check_name == check
    }


def _materializations(run, asset):
    return {day: found.metadata for (name, day), found in materialized(run).items() if name == asset}


def test_a_range_is_one_run_that_succeeds(season):
    """Days with refused, partly bad and absent deliveries do not make the run of the whole range fail."""
    failures = [event for run in season.runs for event in run.all_events if event.is_step_failure]
    assert [failure.step_failure_data.error.to_string() for failure in failures] == []
    assert [run.success for run in season.runs] == [True] * 4
    assert len(season.instance.get_runs()) == 4


def test_every_check_judges_every_day_once(season, walked):
    """Each check of the job has exactly one evaluation per day of the range, under that day's partition."""
    found = [(e.asset_key, e.check_name, e.partition) for e in walked.get_asset_check_evaluations()]
    graph = season.defs.get_repository_def().asset_graph
    daily = season.defs.resolve_job_def(f"{MODEL}_daily").asset_layer.selected_asset_keys
    keys = [key for key in graph.asset_check_keys if key.asset_key in daily]
    assert sorted(found) == sorted((key.asset_key, key.name, day) for key in keys for day in DAYS)


def test_a_single_day_is_judged_the_same_way(season):
    """A run of one day yields one evaluation per check too, with its partition set."""
    run = season.runs[1]
    assert [(e.partition, e.check_name) for e in run.get_asset_check_evaluations()] == [
        ("2013-06-01", "contract"),
        ("2013-06-01", "privacy"),
    ]


def test_a_check_belongs_to_the_data_it_judged(walked):
    """Each evaluation names the materialization of its own day, so that it shows as current."""
    for found in walked.get_asset_check_evaluations():
        assert found.target_materialization_data is not None
        assert found.target_materialization_data.run_id == walked.run_id


def test_a_check_finds_days_that_others_were_run_after(site, spec, instance):
    """However often one day is made again, each evaluation belongs to the latest one of its own day."""
    key, made = dg.AssetKey([MODEL, "labels"]), [DAYS[0], DAYS[1], DAYS[1], DAYS[1]]
    for day in made:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))
    newest = instance.fetch_materializations(key, limit=len(made)).records
    days = [date.fromisoformat(day) for day in DAYS[:3]]
    findings = dict.fromkeys(days, Finding(passed=True, description="All is well."))
    check, walk = dg.AssetCheckKey(key, "contract"), site.walk(spec, "run")
    found = evaluations(instance, walk, check, lambda *_: findings, days)
    told = [one.target_materialization_data for one in found]
    assert [one and one.storage_id for one in told] == [newest[3].storage_id, newest[0].storage_id, None]


def test_every_evaluation_says_whom_to_ask(walked):
    """Each evaluation has a sentence, a verdict, owners and a runbook."""
    for found in walked.get_asset_check_evaluations():
        assert found.description
        assert {"verdict", "owners", "runbook"} <= set(found.metadata)


def test_every_materialization_can_be_reproduced(walked):
    """Each day of each table tells its counts, versions, inputs and columns."""
    days = {}
    for (name, partition), found in materialized(walked).items():
        assert set(found.metadata) >= TOLD, name
        days.setdefault(name, set()).add(partition)
    assert all(set(DAYS) <= seen for seen in days.values())
    assert len(days) == 10


def test_lineage_goes_with_the_materialization(walked):
    """A day's materialization names the columns it came from and the content of its inputs."""
    told = _materializations(walked, "feature_snapshots")["2013-06-22"]
    assert told["dagster/column_lineage"].value.deps_by_column["temp"] == [
        dg.TableColumnDep(dg.AssetKey([MODEL, "features"]), "temp")
    ]
    upstream = _materializations(walked, "predictions")["2013-06-22"]["content_hash"].value
    assert told["inputs"].value["predictions"] == upstream


def test_a_refused_file_fails_its_day_and_only_that(walked):
    """A file without a promised column is an ERROR that says which, and what to do; other days flow."""
    found = _evaluations(walked, "predictions", "contract")
    assert not found[REFUSED].passed
    assert found[REFUSED].severity == dg.AssetCheckSeverity.ERROR
    assert found[REFUSED].description.startswith(
        f"Refused: predictions/{REFUSED}.parquet: missing columns: score; columns that the contract does not "
        "know: probability."
    )
    assert found[REFUSED].metadata["refused"].value == found[REFUSED].metadata["rows_in"].value > 0
    assert [day for day in DAYS if not found[day].passed] == [REPLAY, PARTIAL, MISSING, REFUSED]
    rows = {day: told["rows_out"].value for day, told in _materializations(walked, "prediction_log").items()}
    assert rows[REFUSED] == 0
    assert all(rows[day] > 0 for day in DAYS if day not in {REFUSED, EMPTY, MISSING})


def test_a_refused_day_says_why_downstream(walked):
    """The log of a refused day carries a note with the delivery and the reason."""
    note = _materializations(walked, "prediction_log")[REFUSED]["note"].value
    assert "was refused" in note
    assert "missing columns: score" in note


def test_a_partly_bad_file_warns(walked):
    """Rows that break a rule go to quarantine with a WARN that counts them; the others are published."""
    found = _evaluations(walked, "predictions", "contract")[PARTIAL]
    told = _materializations(walked, "predictions")[PARTIAL]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert told["rows_in"].value == told["rows_out"].value + told["quarantined"].value
    assert found.metadata["quarantined"].value == told["quarantined"].value == BAD_ROWS
    records = found.metadata["rows_by_rule"].records
    assert [record.data["rule"] for record in records] == ["range:score"]
    assert f"{BAD_ROWS} of {told['rows_in'].value} rows broke the contract" in found.description


def test_a_replayed_day_counts_once_and_warns(walked):
    """Rows delivered again a day later stand back in their own day, and the later day's check counts them."""
    found = _evaluations(walked, "predictions", "contract")
    told = _materializations(walked, "predictions")
    assert found[REPLAYED].passed
    again = told[REPLAYED]["rows_out"].value
    assert told[REPLAYED]["rows_in"].value == again > 0
    assert (found[REPLAY].passed, found[REPLAY].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"{again} rows say again what another row said" in found[REPLAY].description
    counts = {name: found[REPLAY].metadata[name].value for name in ("rows_in", "accepted", "repeated")}
    assert counts["repeated"] == found[REPLAY].metadata["repeated_identical"].value == again
    assert counts["rows_in"] == counts["accepted"] + again
    assert told[REPLAY]["rows_out"].value == counts["accepted"]


def test_too_little_evidence_is_undecided(walked):
    """A window with too few days passes with WARN, and its metadata say that nothing was decided."""
    found = _evaluations(walked, "metrics", "quality")["2013-06-22"]
    assert (found.passed, found.severity) == (True, dg.AssetCheckSeverity.WARN)
    assert found.metadata["verdict"].value == "undecided"
    assert "undecided: partial window" in found.description


def test_a_day_without_rows_is_an_empty_window(walked):
    """A day whose file is empty or missing is zero rows everywhere; its contract asks for some."""
    for day in (EMPTY, MISSING):
        for asset in (
            "predictions",
            "feature_snapshots",
            "prediction_log",
            "labelled_predictions",
            "metrics",
        ):
            assert _materializations(walked, asset)[day]["rows_out"].value == 0
        found = _evaluations(walked, "predictions", "rules")[day]
        assert not found.passed
        assert "there are 0 rows; the contract asks for at least 1" in found.description


def test_an_empty_file_is_no_missing_one(walked):
    """A promised day without a file fails with whom to ask; an empty file says that there is nothing."""
    found = _evaluations(walked, "predictions", "contract")
    assert found[EMPTY].passed
    assert found[EMPTY].description == "An empty delivery: an empty day."
    assert (found[MISSING].passed, found[MISSING].severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (
        "Missing: no delivery (promised every 1 d, due by 2013-06-24 06:00 UTC)" in found[MISSING].description
    )
    assert "Ask flight-ops" in found[MISSING].description


def test_no_day_ahead_is_materialized(season, landing, instance, tmp_path):
    """The window of a running month ends ahead of the last partition, and makes no partition there."""
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, contracts)
    monitor = contracts / MODEL / "monitor.yaml"
    monitor.write_text(monitor.read_text().replace("end_date: 2014-01-14", "end_date: 2013-06-22"))
    shutil.copytree(season.before, tmp_path / "home" / "lake")
    defs = build_defs(site_at(tmp_path / "home", landing, contracts))
    run = execute(defs, instance, "daily", partition_key="2013-06-22")
    assert run.success
    assert {e.materialization.partition for e in run.get_asset_materialization_events()} == {"2013-06-22"}


def test_running_again_changes_nothing(season, walked):
    """A day run again publishes the same content, and says that nothing changed."""
    day = date(2013, 6, 24)
    again = execute(season.defs, season.instance, "daily", range_tags(day, day))
    for asset in ("predictions", "features", "labels", "feature_snapshots", "prediction_log"):
        before, after = (_materializations(run, asset)[day.isoformat()] for run in (walked, again))
        assert after["content_hash"] == before["content_hash"], asset
        assert after["changed"].value is False


def test_every_day_has_the_status_of_its_slos(walked):
    """Each day's error budgets are written, and both checks speak of each day."""
    found = _materializations(walked, "slo_status")
    assert set(found) >= set(DAYS)
    assert found[REPLAYED]["rows_out"].value > 0
    for check in ("burn_rate", "error_budget"):
        evaluations = _evaluations(walked, "slo_status", check)
        assert set(evaluations) == set(DAYS)
        assert evaluations[REPLAYED].metadata["verdict"].value in {"pass", "undecided"}
    drawn = [day for day, found in evaluations.items() if "picture" in found.metadata]
    assert drawn
    assert (
        evaluations[drawn[0]].metadata["picture"].value.startswith("![error budgets](data:image/png;base64,")
    )
