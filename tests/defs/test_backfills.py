"""`mlobs backfill`: any days, any assets, one run for many days; failed days, interruptions, going on."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetPartitionStatus as Status
from typer.testing import CliRunner

from mlobs_pipelines.cli import app
from mlobs_pipelines.defs.launch import BY_COMMAND, PROCESS, release
from mlobs_pipelines.defs.launch import instance as open_instance
from mlobs_pipelines.defs.partitions import daily
from mlobs_pipelines.defs.process import named
from tests.defs.conftest import CONTRACTS, MODEL, site_at

DAYS = ["2013-06-20", "2013-06-21", "2013-06-22"]
BAD = DAYS[1]
ASSETS = ("prediction_log", "labelled_predictions")


@pytest.fixture
def installed(landing, tmp_path, monkeypatch):
    """Give an installation of the test's own, as the environment of a command says it."""
    said = {"HOME": tmp_path / "home", "LANDING": landing, "CONTRACTS": CONTRACTS}
    for name, value in said.items():
        monkeypatch.setenv(f"MLOBS_{name}", str(value))
    monkeypatch.delenv("MLOBS_POSTGRES_URL", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return site_at(tmp_path / "home", landing)


def _backfill(*options, code=0):
    done = CliRunner().invoke(app, ["backfill", MODEL, "--from", DAYS[0], "--to", DAYS[-1], *options])
    assert done.exit_code == code, done.output
    return done


def _statuses(site, spec, name):
    with open_instance(site) as opened:
        key = dg.AssetKey([MODEL, name])
        found = opened.get_status_by_partition(key, DAYS, daily(spec.monitor))
        return [found[day] for day in DAYS]


def _runs(site):
    with open_instance(site) as opened:
        return list(reversed(opened.get_runs()))


def test_a_dry_run_says_which_runs_and_runs_nothing(installed):
    """The whole walk takes the training sets, deliveries before and after the days, and the days."""
    said = _backfill("--dry-run").stdout.splitlines()
    assert [line.split(":")[0] for line in said[:4]] == [
        f"{MODEL}_{part}" for part in ("baseline", "features", "labels", "daily")
    ]
    assert "2013-06-20 to 2013-06-22 (3 days): predictions, features, labels" in said[3]
    assert said[4] == "4 runs, as of 2014-02-01T00:00:00+00:00; nothing was run"
    some = _backfill("--dry-run", "--from-asset", "metrics").stdout
    assert "3 days): metrics, slo_status, incidents\n1 run" in some
    assert _runs(installed) == []


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--assets", "metric"), "unknown asset metric; did you mean metrics"),
        (("--assets", "metrics", "--from-asset", "metrics"), "give one of them"),
    ],
)
def test_what_there_is_not_is_wrong_usage(options, said):
    """An unknown asset, or two ways of choosing assets, ends the command before anything runs."""
    assert said in " ".join(_backfill(*options, code=2).output.split())


def test_a_day_that_fails_alone_fails(installed, spec):
    """Other days go on to the last asset; once mended, only what failed is run, and then nothing is left."""
    _backfill("--assets", "predictions")
    (file,) = Path(installed.lake.place.table(MODEL, "predictions"), f"day={BAD}").iterdir()
    aside = file.rename(installed.settings.home / "aside.parquet")
    chosen = ("--assets", ",".join(ASSETS))
    said = " ".join(_backfill(*chosen, code=1).output.split())
    assert f"1 of 3 days failed: {BAD}" in said
    assert f"--assets {','.join(ASSETS)} --only-failed" in said
    for name in ASSETS:
        assert _statuses(installed, spec, name) == [Status.MATERIALIZED, Status.FAILED, Status.MATERIALIZED]
    aside.rename(file)
    before = _hashes(installed)
    _backfill(*chosen, "--only-failed")
    run = _runs(installed)[-1]
    assert run.tags["dagster/asset_partition_range_start"] == BAD
    assert run.tags["dagster/asset_partition_range_end"] == BAD
    after, number = _hashes(installed), len(_runs(installed))
    assert {day: after[day] for day in before} == before
    assert set(after) - set(before) == {BAD}
    assert _statuses(installed, spec, ASSETS[-1]) == [Status.MATERIALIZED] * 3
    for option in ("--resume", "--only-failed"):
        assert "nothing is left to do" in _backfill(*chosen, option).output
    assert len(_runs(installed)) == number


def _hashes(site):
    found = site.lake.partition_versions(MODEL, "prediction_log", where={"day": DAYS})
    return {key[0]: one.content_hash for key, one in found.items()}


def test_an_interrupted_backfill_goes_on(installed, spec):
    """Ctrl-C ends the run between two tables, says how to go on, and going on does what is left only."""
    table = Path(installed.lake.place.table(MODEL, "predictions"))
    caller = threading.Thread(target=_interrupt_after, args=[table], daemon=True)
    caller.start()
    said = " ".join(_backfill("--assets", "predictions,prediction_log", code=130).output.split())
    caller.join()
    assert "every table is whole. Go on with: mlobs backfill flight_delays" in said
    assert _runs(installed)[-1].status is dg.DagsterRunStatus.CANCELED
    assert Status.FAILED not in _statuses(installed, spec, "predictions")
    _backfill("--assets", "predictions,prediction_log", "--resume")
    for name in ("predictions", "prediction_log"):
        assert _statuses(installed, spec, name) == [Status.MATERIALIZED] * 3
    rows = installed.lake.partitions(MODEL, "predictions")
    assert rows == installed.lake.partitions(MODEL, "prediction_log")


def _interrupt_after(table):
    for _ in range(600):
        if list(table.rglob("*.parquet")):
            break
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


def test_what_a_killed_command_held_is_free_again(installed):
    """A run whose process is gone is ended by the next backfill, which frees its slot; its retry goes on."""
    with open_instance(installed) as opened:
        walk = dg.job(name="walk")(lambda: None)
        gone = opened.create_run_for_job(walk, tags=_tags(f"{2**22 + 1}+1.00"))
        here = opened.create_run_for_job(walk, tags=_tags(named(os.getpid())))
        of = {"root_run_id": gone.run_id, "parent_run_id": gone.run_id}
        again = opened.create_run_for_job(walk, tags=gone.tags, **of)
        for run in (gone, here, again):
            opened.report_dagster_event(_started(run), run_id=run.run_id)
        claims = opened.event_log_storage
        claims.initialize_concurrency_limit_to_default(MODEL)
        assert claims.claim_concurrency_slot(MODEL, gone.run_id, "step").is_claimed
        release(opened)
        assert opened.get_run_by_id(gone.run_id).status is dg.DagsterRunStatus.FAILURE
        assert opened.get_run_by_id(here.run_id).status is dg.DagsterRunStatus.STARTED
        assert opened.get_run_by_id(again.run_id).status is dg.DagsterRunStatus.STARTED
        assert claims.claim_concurrency_slot(MODEL, here.run_id, "step").is_claimed


def _tags(process):
    return {BY_COMMAND: "mlobs", PROCESS: f"{socket.gethostname()}:{process}"}


def _started(run):
    return dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)
