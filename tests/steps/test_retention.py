"""Retention of a whole model: what goes, what outlives it, and what later runs say of days that are gone."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlobs_pipelines.steps.expired import expired_before, living, told
from mlobs_pipelines.steps.ingest import LAYOUTS, ingest
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.keeping import ROWS, Keep, rules
from mlobs_pipelines.steps.layouts import (
    STATISTICS_LAYOUT,
    labelled_layout,
    log_layout,
    snapshots_layout,
)
from mlobs_pipelines.steps.log import log
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.retention import Asked, apply, plan
from mlobs_pipelines.steps.snapshot import snapshot
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.store.audit import entries
from mlobs_pipelines.store.tables import METRICS
from tests.steps import loans

NOW = datetime(2024, 3, 4, 18, tzinfo=UTC)  # nine days of predictions: 25 February to 4 March
GONE = [day.isoformat() for day in loans.DAYS[:2]]
PREDICTIONS = ("predictions", "prediction_log", "feature_snapshots", "labelled_predictions")


def _promise(walk, **days):
    """The walk under contracts that keep datasets for so many days."""
    changed = {name: replace(walk.spec.contract(name), retention_days=kept) for name, kept in days.items()}
    return replace(walk, spec=replace(walk.spec, **changed))


def _asked(statistics_days=None, now=NOW, at=NOW):
    return Asked(Keep(now, statistics_days), timedelta(days=7), at, "ann")


@pytest.fixture
def walk(scored, landing, tmp_path):
    """Give a copy of the scored lake, under contracts that keep predictions for six days."""
    shutil.copytree(scored.lake.root, tmp_path / "lake")
    return _promise(loans.walk_of(tmp_path, landing), predictions=6)


def _hashes(walk):
    return {
        table: {key: one.content_hash for key, one in walk.lake.partition_versions(walk.model, table).items()}
        for table in walk.lake.tables(walk.model)
        if table not in {"audit", "expired"}
    }


def _again(walk, days=loans.DAYS):
    """Run the whole walk over days, as assets do."""
    spec = walk.spec
    steps = {
        "predictions": (LAYOUTS["predictions"](spec), lambda w, d: ingest(w, "predictions", d)),
        "feature_snapshots": (snapshots_layout(spec), snapshot),
        "prediction_log": (log_layout(spec), log),
        "labelled_predictions": (labelled_layout(spec), join),
        "statistics": (STATISTICS_LAYOUT, measure),
        "metrics": (METRICS, score),
    }
    return {name: living(walk, layout, step, days) for name, (layout, step) in steps.items()}


def test_rows_go_as_promised_and_their_statistics_stay(walk):
    """Tables with rows of predictions lose two days; every other table keeps its content."""
    before = _hashes(walk)
    planned = plan(walk, _asked())
    lines = apply(walk, _asked())
    assert [line.expiry.gone for line in planned if line.expiry.gone.partitions] == [
        line.expiry.gone for line in lines if line.expiry.gone.partitions
    ]
    after = _hashes(walk)
    for table, parts in before.items():
        lost = {key for key in parts if table in PREDICTIONS and key[0] in GONE}
        assert after[table] == {key: one for key, one in parts.items() if key not in lost}, table
        assert bool(lost) == (table in PREDICTIONS), table


def test_every_deletion_is_in_the_audit(walk):
    """An entry per table says who, when, how much, why and at which version; none quotes a row."""
    apply(walk, _asked())
    found = entries(walk.lake, walk.model)
    assert {row["object"] for row in found} == set(PREDICTIONS)
    for row in found:
        facts = json.loads(row["details"])
        assert (row["who"], row["at"], row["action"]) == ("ann", NOW, "retention.delete")
        assert (facts["first"], facts["last"], facts["partitions"]) == (GONE[0], GONE[-1], 2)
        assert facts["rows"] > 0
        assert facts["bytes"] > 0
        assert facts["why"].startswith("retention of 6 days in predictions.odcs.yaml")
        commit = walk.lake.history(walk.model, row["object"])[0]
        assert (commit["version"], commit["operation"]) == (facts["table_version"] + 1, "DELETE")


def test_a_backfill_of_expired_days_says_so_and_destroys_nothing(walk):
    """Walking all days again leaves every table as it was, and days that are gone say that they expired."""
    apply(walk, _asked())
    before = _hashes(walk)
    for name, outcomes in _again(walk).items():
        for day in loans.DAYS:
            gone = day.isoformat() in GONE and name != "metrics"
            assert (
                outcomes[day].note.startswith("Expired: rows that days before 2024-02-27 rest on") == gone
            ), (name, day)
            assert not outcomes[day].version.changed
    assert _hashes(walk) == before
    said = told(walk, loans.DAYS[0], loans.DAYS[-1])
    assert len(said) == len(PREDICTIONS) + 1
    assert "predictions.odcs.yaml keeps 6 days" in said[-1]


def test_a_longer_promise_brings_days_back(walk):
    """Where the contract keeps more later, what is still delivered is ingested again, the same."""
    whole = _hashes(walk)
    apply(walk, _asked())
    longer = _promise(walk, predictions=30)
    assert expired_before(longer)["predictions"] < loans.DAYS[0]
    _again(longer)
    assert _hashes(longer) == whole


def test_features_that_expire_freeze_the_lookups_that_reach_back_to_them(walk):
    """A snapshot whose lookups reach back for rows that are gone is not taken again."""
    walk, later = _promise(walk, predictions=None, features=36), NOW + timedelta(days=30)
    apply(walk, _asked(now=later, at=later))
    frozen = expired_before(walk)
    assert frozen["features"].isoformat() == "2024-02-27"
    assert frozen["feature_snapshots"] > frozen["features"]
    assert "prediction_log" not in frozen


def test_statistics_stay_as_long_as_a_metric_that_rests_on_them(walk):
    """With a limit of their own, metrics go first, and statistics once no kept metric rests on them."""
    walk = _promise(walk, features=6, labels=6)
    lines = {line.expiry.rule.table: line.expiry for line in apply(walk, _asked(statistics_days=7))}
    assert lines["metrics"].rule.before.isoformat() == "2024-02-26"
    assert lines["metrics"].gone.partitions == 1
    longest = min(span.start for span in _spans(walk))
    assert lines["statistics"].rule.before <= longest
    assert lines["statistics"].gone.partitions == 0
    before = _hashes(walk)
    outcomes = living(walk, METRICS, score, loans.DAYS)
    assert outcomes[loans.DAYS[0]].note.startswith("Expired: rows that days before 2024-02-26 rest on")
    assert _hashes(walk) == before


def _spans(walk):
    from mlobs_pipelines.core.windows import spans_ending  # noqa: PLC0415 - an oracle's own way

    kept = [day for day in loans.DAYS if day.isoformat() >= "2024-02-26"]
    return [span for day in kept for span in spans_ending(day, walk.spec.monitor.windows)]


def test_nothing_goes_where_nothing_is_promised(scored):
    """Contracts without a retention keep everything, and the plan says why."""
    lines = plan(scored, _asked(now=NOW + timedelta(days=9999)))
    assert not any(line.expiry.gone.partitions for line in lines)
    said = {line.expiry.rule.table: line.expiry.rule.why for line in lines}
    assert said["predictions"] == "no retention in predictions.odcs.yaml"


def test_every_table_with_rows_of_people_has_a_rule_of_its_dataset(scored):
    """No table that names predictions or what was delivered is kept longer than a contract says."""
    strict = _promise(scored, predictions=1, features=1, labels=1)
    for rule in rules(strict, Keep(NOW)):
        keys, columns = strict.lake.columns(strict.model, rule.table)
        rows = rule.table in ROWS or {"prediction_id", "row_json", "old"} & set(columns)
        assert (rule.before is not None) == (bool(rows) and "day" in keys), rule.table


def test_only_a_dry_run_may_look_ahead(walk):
    """Counting ages from a moment to come would delete more than was promised."""
    ahead = _asked(now=NOW + timedelta(days=1))
    assert plan(walk, ahead)
    with pytest.raises(ValueError, match="only a dry run"):
        apply(walk, ahead)
    assert entries(walk.lake, walk.model) == []
