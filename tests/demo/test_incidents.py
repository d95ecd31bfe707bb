from datetime import UTC, date, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlobs_pipelines.demo import DemoPlan
from mlobs_pipelines.demo.landing import write_landing

SPANS = {
    "label-stall": (date(2013, 6, 8), date(2013, 6, 16)),
    "skew-delay": (date(2013, 7, 19), date(2013, 7, 27)),
    "skew-celsius": (date(2013, 6, 30), date(2013, 7, 2)),
    "replay": (date(2013, 6, 19), date(2013, 6, 22)),
    "renamed-column": (date(2013, 6, 25), date(2013, 6, 27)),
}


@pytest.fixture
def pair(history, tmp_path):
    """Write a zone without and one with an incident, and give both folders."""

    def write(name):
        start, end = SPANS[name]
        for label, active in (("calm", frozenset()), ("broken", frozenset({name}))):
            plan = DemoPlan(start=start, end=end, share=0.05, incidents=active)
            write_landing(plan, history, tmp_path / label)
        return tmp_path / "calm", tmp_path / "broken"

    return write


def changed(calm, broken):
    """Name the files that differ between two zones."""
    names = {str(path.relative_to(calm)) for path in calm.rglob("*") if path.is_file()}
    names |= {str(path.relative_to(broken)) for path in broken.rglob("*") if path.is_file()}
    return {name for name in names - {"demo.json"} if content(calm / name) != content(broken / name)}


def content(path):
    """Give the bytes of a file, nothing where there is none."""
    return path.read_bytes() if path.exists() else None


def labels(zone):
    """Read every label of a zone."""
    rows = pl.read_ndjson(zone / "labels" / "*.jsonl")
    return rows.with_columns(pl.col("arrived_at").str.to_datetime(time_unit="us", time_zone="UTC"))


def test_a_stall_delays_labels_and_changes_nothing_else(pair):
    """No label arrives from 10 to 14 June, all of them do in the first hour of 15 June, each as it was."""
    calm, broken = pair("label-stall")
    days = {f"labels/2013-06-{day}.jsonl" for day in range(10, 16)}
    assert changed(calm, broken) == days
    before, after = labels(calm), labels(broken)
    assert_frame_equal(
        before.drop("arrived_at").sort("prediction_id"), after.drop("arrived_at").sort("prediction_id")
    )
    moved = before.join(after, on="prediction_id", suffix="_late").filter(
        pl.col("arrived_at") != pl.col("arrived_at_late")
    )
    assert moved["arrived_at"].dt.date().unique().sort().to_list() == [
        date(2013, 6, d) for d in range(10, 15)
    ]
    assert moved["arrived_at_late"].min() >= datetime(2013, 6, 15, tzinfo=UTC)
    assert moved["arrived_at_late"].max() < datetime(2013, 6, 15, 1, tzinfo=UTC)


def test_a_zeroed_feature_reaches_only_v2_in_its_week(pair):
    """v2 is served a delay of 0 from 20 to 26 July and scores by it; v1 and the views keep the truth."""
    calm, broken = pair("skew-delay")
    assert changed(calm, broken) == {f"predictions/2013-07-{day}.parquet" for day in range(20, 27)}
    rows = both(calm, broken)
    assert_only_v2(rows, "origin_delay_2h")
    inside = rows.filter(pl.col("predicted_at").dt.date().is_between(date(2013, 7, 20), date(2013, 7, 26)))
    assert (inside.filter(pl.col("model_version") == "v2")["origin_delay_2h_broken"] == 0).all()


def test_celsius_reaches_only_v2_in_july(pair):
    """v2 is served temp converted to degrees Celsius from 1 July, and no other value changes."""
    calm, broken = pair("skew-celsius")
    assert changed(calm, broken) == {"predictions/2013-07-01.parquet", "predictions/2013-07-02.parquet"}
    rows = both(calm, broken)
    assert_only_v2(rows, "temp")
    july = rows.filter(pl.col("model_version") == "v2", pl.col("predicted_at").dt.month() == 7)
    assert ((july["temp"] - 32) / 1.8 - july["temp_broken"]).abs().max() < 0.006


def both(calm, broken):
    """Pair the rows of two prediction logs; the second's columns end in ``_broken``."""
    keys = ["prediction_id", "model_version"]
    first, second = (pl.read_parquet(zone / "predictions" / "*.parquet") for zone in (calm, broken))
    assert first.height == second.height
    return first.join(second, on=keys, suffix="_broken", validate="1:1")


def assert_only_v2(rows, feature):
    """Every column but `feature` and the score of v2 is as it was."""
    names = [name.removesuffix("_broken") for name in rows.columns if name.endswith("_broken")]
    differs = {name for name in names if not rows[name].equals(rows[f"{name}_broken"])}
    assert differs == {feature, "score"}
    v1 = rows.filter(pl.col("model_version") == "v1")
    assert v1["score"].equals(v1["score_broken"])
    assert v1[feature].equals(v1[f"{feature}_broken"])


def test_a_replayed_day_lies_twice_in_the_next_file(pair):
    """The file of 21 June holds its own rows and then those of 20 June, value for value."""
    calm, broken = pair("replay")
    assert changed(calm, broken) == {"predictions/2013-06-21.parquet"}
    own, before = (pl.read_parquet(calm / "predictions" / f"2013-06-{day}.parquet") for day in (21, 20))
    assert_frame_equal(
        pl.read_parquet(broken / "predictions" / "2013-06-21.parquet"), pl.concat([own, before])
    )


def test_a_renamed_column_keeps_its_values(pair):
    """The file of 26 June has probability in the place of score and is otherwise as it was."""
    calm, broken = pair("renamed-column")
    assert changed(calm, broken) == {"predictions/2013-06-26.parquet"}
    name = "predictions/2013-06-26.parquet"
    renamed = pl.read_parquet(broken / name)
    assert "score" not in renamed.columns
    assert_frame_equal(renamed.rename({"probability": "score"}), pl.read_parquet(calm / name))


def test_incidents_outside_the_plan_change_nothing(history, tmp_path):
    """A plan of March is the same with every switch on."""
    days = {"start": date(2013, 3, 5), "end": date(2013, 3, 6), "share": 0.05}
    write_landing(DemoPlan(**days), history, tmp_path / "calm")
    write_landing(DemoPlan(**days, incidents=frozenset(SPANS)), history, tmp_path / "broken")
    assert changed(tmp_path / "calm", tmp_path / "broken") == set()
