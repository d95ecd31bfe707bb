"""Data versions per day: what did not change keeps its version and makes nothing stale; days that fail."""

import shutil
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster import AssetPartitionStatus
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.instance import DagsterInstance
from dagster._core.loader import LoadingContextForTest

from mlobs_pipelines.definitions import build_defs
from mlobs_pipelines.defs.jobs import range_tags
from tests.defs.conftest import CONTRACTS, MODEL, execute, site_at

FIRST, LAST = date(2013, 6, 20), date(2013, 6, 22)
DAYS = ["2013-06-20", "2013-06-21", "2013-06-22"]
SOME = ["predictions", "prediction_log"]


def _key(name):
    return dg.AssetKey([MODEL, name])


@contextmanager
def _installed(folder):
    """An installation with all it has in a folder."""
    site = site_at(folder / "home", folder / "landing", CONTRACTS)
    with dg.instance_for_test(temp_dir=str(folder / "instance")) as instance:
        yield site, build_defs(site), instance


@pytest.fixture(scope="module")
def some(landing, blank, tmp_path_factory):
    """Give the folder of an installation whose predictions and log were walked in one range run."""
    folder = tmp_path_factory.mktemp("some")
    shutil.copytree(landing / MODEL / "predictions", folder / "landing" / MODEL / "predictions")
    shutil.copytree(blank, folder / "instance")
    with _installed(folder) as (_, defs, instance):
        assert _run(defs, instance, SOME, FIRST, LAST).success
    return folder


@pytest.fixture
def walked_some(some, tmp_path):
    """Give a copy of that installation, the test's own."""
    with _installed(shutil.copytree(some, tmp_path / "copy")) as installed:
        yield installed


def _run(defs, instance, names, first, last):
    keys = [_key(name) for name in names]
    return execute(defs, instance, "daily", range_tags(first, last), asset_selection=keys)


def _versions(instance, name):
    found = {}
    for day in DAYS:
        record = instance.get_latest_data_version_record(_key(name), partition_key=day)
        found[day] = record.asset_materialization.tags["dagster/data_version"]
    return found


def _stale(defs, instance, name):
    graph = defs.get_repository_def().asset_graph
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return [day for day in DAYS if resolver.get_status(_key(name), day) is StaleStatus.STALE]


def test_a_day_of_a_range_has_the_version_of_its_own_content(season):
    """Every day of every table that a range run wrote has the hash of that day's rows as data version."""
    for name in ("predictions", "labels", "statistics", "metrics", "incidents"):
        found = {}
        for day in DAYS:
            record = season.instance.get_latest_data_version_record(_key(name), partition_key=day)
            told = record.asset_materialization
            assert told.tags["dagster/data_version"] == told.metadata["content_hash"].value
            found[day] = told.metadata["content_hash"].value
        assert len(set(found.values())) > 1


def test_another_range_leaves_versions_and_makes_nothing_stale(walked_some):
    """A part of a range run again, alone or with others, keeps its versions; nothing downstream is stale."""
    _, defs, instance = walked_some
    before = _versions(instance, "predictions")
    assert _run(defs, instance, ["predictions"], FIRST, FIRST).success
    assert _run(defs, instance, ["predictions"], date(2013, 6, 21), LAST).success
    assert _versions(instance, "predictions") == before
    assert _stale(defs, instance, "prediction_log") == []


def test_only_what_rests_on_a_changed_day_is_stale(walked_some):
    """Where one day's rows have changed, that day is stale downstream and the others of the run are not."""
    site, defs, instance = walked_some
    path = site.settings.landing_root / MODEL / "predictions" / "2013-06-21.parquet"
    pl.read_parquet(path).tail(-10).write_parquet(path)
    before = _versions(instance, "predictions")
    assert _run(defs, instance, ["predictions"], FIRST, LAST).success
    after = _versions(instance, "predictions")
    assert [day for day in DAYS if after[day] != before[day]] == ["2013-06-21"]
    assert _stale(defs, instance, "prediction_log") == ["2013-06-21"]
    assert _run(defs, instance, ["prediction_log"], FIRST, LAST).success
    assert _stale(defs, instance, "prediction_log") == []


def test_exactly_the_days_that_failed_have_failed(walked_some):
    """A day whose input cannot be read fails, says so, and leaves the other days of its run written."""
    site, defs, instance = walked_some
    for file in (Path(site.lake.place.table(MODEL, "predictions")) / "day=2013-06-21").iterdir():
        file.unlink()
    run = _run(defs, instance, ["prediction_log"], FIRST, LAST)
    assert not run.success
    (failure,) = [event for event in run.all_events if event.is_step_failure]
    assert "1 of 3 days failed: 2013-06-21. The others are written" in failure.step_failure_data.error.message
    assert _status(defs, instance, "prediction_log") == {
        "2013-06-20": AssetPartitionStatus.MATERIALIZED,
        "2013-06-21": AssetPartitionStatus.FAILED,
        "2013-06-22": AssetPartitionStatus.MATERIALIZED,
    }


def _status(defs, instance: DagsterInstance, name):
    partitions = defs.resolve_assets_def(_key(name)).partitions_def
    return instance.get_status_by_partition(_key(name), DAYS, partitions)
