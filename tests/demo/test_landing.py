import json
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from mlobs_pipelines.demo import DemoPlan
from mlobs_pipelines.demo.landing import build_landing, write_landing

STAMP = pl.Datetime("us", "UTC")
NUMERIC = [
    "temp",
    "dewp",
    "humid",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
    "origin_delay_2h",
    "origin_departures_2h",
    "carrier_late_share_7d",
    "plane_age",
    "plane_seats",
    "hour",
    "weekday",
    "day_of_year",
    "distance",
    "sched_minutes",
]
FEATURES = dict.fromkeys(("carrier", "origin", "dest"), pl.String) | dict.fromkeys(NUMERIC, pl.Float64)
ANSWER = {
    "prediction_id": pl.String,
    "correlation_id": pl.String,
    "predicted_at": STAMP,
    "model_version": pl.String,
    "role": pl.String,
    "training_dataset_id": pl.String,
    "feature_set_version": pl.String,
    "score": pl.Float64,
    "status": pl.String,
    "latency_ms": pl.Float64,
    "queue_ms": pl.Float64,
    "tailnum": pl.String,
}


def log_of(zone):
    """Read the whole prediction log."""
    return pl.read_parquet(zone / "predictions" / "*.parquet")


def days_in(folder):
    """Give the days that a folder has files for."""
    return sorted(date.fromisoformat(path.stem) for path in folder.iterdir())


def test_every_file_holds_the_rows_of_its_day(zone, june):
    """Files are named by the UTC day of their clock, and there is one for each day of the plan."""
    assert days_in(zone / "predictions") == june.days
    for path in (zone / "predictions").iterdir():
        rows = pl.read_parquet(path)
        assert rows["predicted_at"].dt.date().unique().to_list() == [date.fromisoformat(path.stem)]
    for path in (*(zone / "features").glob("*/*.csv"), *(zone / "labels").glob("*.jsonl")):
        clock = "arrived_at" if path.suffix == ".jsonl" else "observed_at"
        rows = (
            pl.read_ndjson(path) if path.suffix == ".jsonl" else pl.read_csv(path, infer_schema_length=None)
        )
        assert rows[clock].str.head(10).unique().to_list() == [path.stem]


def test_predictions_have_the_canonical_columns(zone):
    """Names, order and types of the log are those that the contract expects."""
    for path in (zone / "predictions").iterdir():
        assert dict(pl.read_parquet_schema(path)) == ANSWER | FEATURES


def test_training_sets_have_the_canonical_columns(zone):
    """A baseline holds id, clock, the features as served, the score and the label."""
    key = {"prediction_id": pl.String, "predicted_at": STAMP}
    for version in ("v1", "v2"):
        schema = dict(pl.read_parquet_schema(zone / "training" / f"{version}.parquet"))
        assert schema == key | FEATURES | {"score": pl.Float64, "label": pl.Int64}
        facts = json.loads((zone / "training" / f"{version}.json").read_text())
        assert set(facts["importance"]) == set(FEATURES)


def test_views_are_written_for_the_days_that_can_be_needed(zone, june):
    """Day views start one day early, the register with the dump of the month before."""
    for view in ("weather", "departures", "carriers"):
        assert days_in(zone / "features" / view) == [date(2013, 6, 7), *june.days]
    assert days_in(zone / "features" / "planes") == [date(2013, 5, 1), date(2013, 6, 1)]


def test_both_versions_answer_the_same_requests(zone):
    """Champion and shadow score the same ids under one correlation id, with the same features."""
    rows = log_of(zone)
    v1, v2 = (rows.filter(pl.col("model_version") == name).sort("prediction_id") for name in ("v1", "v2"))
    shared = ["prediction_id", "correlation_id", "predicted_at", "tailnum", *FEATURES]
    assert v1.select(shared).equals(v2.select(shared))
    assert v1["role"].unique().to_list() == ["shadow"]
    assert v2["role"].unique().to_list() == ["champion"]
    assert v1["correlation_id"].is_unique().all()
    assert rows["correlation_id"].str.contains(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$").all()


def test_labels_belong_to_served_predictions_and_run_past_the_end(zone, june):
    """Every label answers a prediction of the plan, and the late ones come after its last day."""
    labels = pl.read_ndjson(zone / "labels" / "*.jsonl")
    assert labels.columns == ["prediction_id", "label", "outcome", "arrived_at", "revision", "source"]
    assert labels["prediction_id"].is_in(log_of(zone)["prediction_id"].to_list()).all()
    assert days_in(zone / "labels")[-1] > june.end
    assert labels["arrived_at"].str.ends_with("Z").all()


def test_the_summary_counts_what_is_on_disk(history, june, tmp_path):
    """The returned counts are those of the files, and the manifest repeats them."""
    summary = write_landing(june, history, tmp_path / "zone")
    rows, labels = log_of(tmp_path / "zone"), pl.read_ndjson(tmp_path / "zone" / "labels" / "*.jsonl")
    assert (summary.days, summary.predictions) == (10, rows.height)
    assert summary.requests == rows["prediction_id"].n_unique()
    assert (summary.labels, summary.void_labels) == (labels.height, labels["label"].null_count())
    assert summary.lost_labels == summary.requests - summary.labels
    assert json.loads((tmp_path / "zone" / "demo.json").read_text())["summary"]["labels"] == labels.height


def test_a_smaller_share_is_part_of_a_larger_one(history, june, zone, tmp_path):
    """The sample follows the id: a larger share adds predictions and changes none."""
    write_landing(replace(june, share=0.02), history, tmp_path / "small")
    small, large = log_of(tmp_path / "small"), log_of(zone)
    assert 0.25 < small.height / large.height < 0.55
    assert small.equals(large.filter(pl.col("prediction_id").is_in(small["prediction_id"].to_list())))


def test_roles_change_with_the_promotion(history, tmp_path):
    """v1 alone before May, v2 in its shadow from 1 May, roles swapped from 15 May."""
    write_landing(DemoPlan(date(2013, 4, 30), date(2013, 5, 15), share=0.02), history, tmp_path / "may")
    rows = log_of(tmp_path / "may").with_columns(day=pl.col("predicted_at").dt.date())
    roles = {
        day: set(part.select("model_version", "role").iter_rows())
        for (day,), part in rows.partition_by("day", as_dict=True).items()
    }
    assert roles[date(2013, 4, 30)] == {("v1", "champion")}
    assert roles[date(2013, 5, 1)] == roles[date(2013, 5, 14)] == {("v1", "champion"), ("v2", "shadow")}
    assert roles[date(2013, 5, 15)] == {("v1", "shadow"), ("v2", "champion")}


def test_failures_are_rare_and_have_no_score(history, tmp_path):
    """About 0.2 % of the answers fail, and exactly those lack a score; times differ by version."""
    write_landing(DemoPlan(date(2013, 6, 1), date(2013, 6, 20), share=1), history, tmp_path / "full")
    rows = log_of(tmp_path / "full")
    failed = rows["status"] != "ok"
    assert set(rows["status"].unique()) == {"ok", "error", "timeout"}
    assert failed.mean() == pytest.approx(0.002, abs=0.0007)
    assert (rows["score"].is_null() == failed).all()
    for column, expected in {"latency_ms": {"v1": 12, "v2": 25}, "queue_ms": {"v1": 1.5, "v2": 4}}.items():
        medians = dict(rows.group_by("model_version").agg(pl.col(column).median()).iter_rows())
        assert medians == pytest.approx(expected, rel=0.03)


def test_building_a_zone_tells_each_stage(june, zone, tmp_path):
    """Trained anew for the same plan it is the same zone, and every stage is told as it starts."""
    told = []
    build_landing(june, tmp_path / "again", lambda *stage: told.append(stage))
    assert [done for _, done, _ in told] == [0, 1, 2, 3, 4, 5]
    assert [name for name, *_ in told][-2:] == ["write files", "done"]
    assert files_of(tmp_path / "again") == files_of(zone)


def files_of(root):
    """Give the content of every file by its path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_zone_replaces_the_old_one_whole(history, june, tmp_path):
    """No file of an earlier, longer plan is left behind."""
    root = tmp_path / "zone"
    write_landing(june, history, root)
    write_landing(replace(june, end=june.start), history, root)
    assert days_in(root / "predictions") == [june.start]
    assert [path.name for path in tmp_path.iterdir()] == ["zone"]


def test_a_folder_of_somebody_else_is_not_touched(tmp_path):
    """The demo refuses to replace files that it did not write, before it starts to work."""
    kept = tmp_path / "precious.parquet"
    kept.write_bytes(b"rows")
    with pytest.raises(FileExistsError, match="did not write"):
        build_landing(DemoPlan(), tmp_path)
    assert kept.read_bytes() == b"rows"
