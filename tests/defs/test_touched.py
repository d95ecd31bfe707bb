"""Late rows: the days they change are asked for once, with what depends on them."""

import shutil
from datetime import date

import dagster as dg
import polars as pl

from mlobs_pipelines.definitions import build_defs
from mlobs_pipelines.defs.jobs import RANGE_END, RANGE_START, range_tags
from tests.defs.conftest import CONTRACTS, MODEL, site_at

LATE, DELIVERED, BESIDE = date(2013, 6, 21), date(2013, 6, 24), date(2013, 6, 20)


def _moved(landing):
    """Move the last rows of a day, and one of the day before it, into the file of a later day."""
    folder = landing / MODEL / "predictions"
    later = [folder / f"{DELIVERED}.parquet"]
    for day, rows in ((LATE, 4), (BESIDE, 1)):
        path = folder / f"{day}.parquet"
        frame = pl.read_parquet(path)
        own = frame.filter(pl.col("predicted_at").dt.date() == day)
        frame.head(own.height - rows).write_parquet(path)
        own.tail(rows).write_parquet(folder / f"{day}.late.parquet")
        later.append(folder / f"{day}.late.parquet")
    pl.concat([pl.read_parquet(path) for path in later]).write_parquet(later[0])
    for path in later[1:]:
        path.unlink()


def test_late_rows_ask_for_their_days_once(landing, kept_instance, tmp_path):
    """A delivery with rows of earlier days asks for a run of exactly these, next to each other in one run."""
    shutil.copytree(landing / MODEL, tmp_path / "landing" / MODEL)
    _moved(tmp_path / "landing")
    site = site_at(tmp_path / "home", tmp_path / "landing", CONTRACTS)
    defs = build_defs(site)
    sensor = defs.resolve_sensor_def(f"{MODEL}_touched")
    for day in (BESIDE, LATE):
        _ingest(defs, kept_instance, day)
    first = sensor(dg.build_sensor_context(kept_instance, definitions=defs))
    assert first.run_requests == []
    _ingest(defs, kept_instance, DELIVERED)
    second = sensor(dg.build_sensor_context(kept_instance, definitions=defs, cursor=first.cursor))
    (request,) = second.run_requests
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (BESIDE.isoformat(), LATE.isoformat())
    third = sensor(dg.build_sensor_context(kept_instance, definitions=defs, cursor=second.cursor))
    assert third.run_requests == []
    job = defs.resolve_job_def(f"{MODEL}_recompute")
    assert {key.path[-1] for key in job.asset_layer.selected_asset_keys} == RECOMPUTED


RECOMPUTED = {
    "feature_snapshots",
    "prediction_log",
    "labelled_predictions",
    "statistics",
    "metrics",
    "slo_status",
    "incidents",
}


def _ingest(defs, instance, day):
    assets = [defs.resolve_assets_def(dg.AssetKey([MODEL, "predictions"]))]
    done = dg.materialize(assets, instance=instance, tags=range_tags(day, day))
    assert done.success
