"""What windows are compared with is what the monitor says, and changing it reads no row."""

import math
import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from mlobs_pipelines.steps.layouts import BASELINE_FEATURES
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.references import FIXED_LAYOUT
from tests.steps.loans import AS_OF, DAYS
from tests.steps.redeclared import FEW_FEATURES, declared, metrics_of, redeclared

KINDS = {
    "previous": "previous",
    "rolling": "{days: 3}",
    "window": "{from: 2024-02-26, to: 2024-02-29}",
    "champion": "champion",
}
FEWER = {
    "windows: [1d, 7d, 28d, 1mo]": "windows: [1d, 7d]",
    "segments: [region, employed]": "segments: [region]",
    **FEW_FEATURES,
}
ROWS = ("predictions", "prediction_log", "labelled_predictions", "feature_snapshots", "labels", "features")


def _compared_with(kind, version, start, end):
    """First and last day, and version, of what a window is compared with."""
    length = (end - start).days
    return {
        "previous": (start - timedelta(days=length), start - timedelta(days=1), version),
        "rolling": (start - timedelta(days=3), start - timedelta(days=1), version),
        "window": (DAYS[1], DAYS[4], version),
        "champion": (start, end - timedelta(days=1), "a"),
    }[kind]


def _counts(log, version, first, last, names):
    """Rows per category, then those of all others, then those without a value."""
    mine = log.filter(
        (pl.col("model_version") == version)
        & pl.col("day").is_between(pl.lit(first.isoformat()), pl.lit(last.isoformat()))
    )["grade"].to_list()
    named = [sum(value == name for value in mine) for name in names]
    nulls = sum(value is None for value in mine)
    return [*named, len(mine) - sum(named) - nulls, nulls]


def _psi(window, base):
    """PSI with half a row more in every bin."""
    shares = [[(count + 0.5) / (sum(bins) + 0.5 * len(bins)) for count in bins] for bins in (window, base)]
    return sum((a - e) * math.log(a / e) for a, e in zip(*shares, strict=True))


def _names(walk, log, kind, version):
    """Categories with a bin of their own: of the training set, or of fixed days."""
    if kind == "window":
        counted = _counts(log, version, DAYS[1], DAYS[4], every := sorted(set(log["grade"].drop_nulls())))
        return [name for name, rows in zip(every, counted, strict=False) if rows >= 0.01 * sum(counted)]
    stored = pl.DataFrame(walk.lake.read(walk.model, BASELINE_FEATURES))
    mine = stored.filter((pl.col("feature") == "grade") & (pl.col("model_version") == version))
    return mine["categories"].to_list()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_psi_is_that_of_the_rows_of_both_sides(scored, tmp_path, kind):
    """PSI of every window equals the one counted row by row from the log, whatever it is compared with."""
    walk = redeclared(scored, tmp_path, before=f"compared_with: {KINDS[kind]}", changes=FEWER)
    score(walk, DAYS[-1:])
    log = pl.DataFrame(walk.lake.read(walk.model, "prediction_log")).filter(pl.col("predicted_at") <= AS_OF)
    rows = metrics_of(walk, metrics=["psi"], windows=["1d", "7d"], segments=[""], features=["grade"])
    decided = 0
    for row in rows.iter_rows(named=True):
        version, start, end = row["model_version"], row["window_start"], row["window_end"]
        if kind == "champion" and version == "a":
            assert ":" not in row["baseline_id"]
            continue
        assert row["baseline_id"].startswith({"rolling": "rolling_3d:"}.get(kind, f"{kind}:"))
        names = _names(walk, log, kind, version)
        window = _counts(log, version, start, end - timedelta(days=1), names)
        first, last, other = _compared_with(kind, version, start, end)
        base = _counts(log, other, first, last, names)
        if not sum(base):
            assert row["value"] is None
            continue
        decided += 1
        assert row["value"] == pytest.approx(_psi(window, base), abs=1e-12)
    assert decided >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_windows_do_not_depend_on_those_scored_beside_them(scored, tmp_path, kind):
    """Scored some days at a time, the last first, or all at once, every metric is the same."""
    walks = []
    for name, cut in {"whole": [DAYS[3:]], "apart": [DAYS[6:], DAYS[3:6]]}.items():
        home = tmp_path / name
        home.mkdir()
        walk = redeclared(scored, home, before=f"compared_with: {KINDS[kind]}", changes=FEWER)
        shutil.rmtree(Path(walk.lake.root) / walk.model / "metrics")
        for days in cut:
            score(walk, days)
        walks.append(walk)
    whole, apart = (walk.lake.summary(walk.model) for walk in walks)
    hashes = [{one.table: one.content_hash for one in some} for some in (whole, apart)]
    assert hashes[0]["metrics"] == hashes[1]["metrics"]


def test_another_baseline_is_applied_to_all_history_without_a_row(scored, tmp_path):
    """With every table of rows gone, a run about one day compares all stored windows anew."""
    walk = redeclared(scored, tmp_path, before="compared_with: {from: 2024-02-26, to: 2024-02-29}")
    before = metrics_of(walk, metrics=["psi"])
    for table in ROWS:
        shutil.rmtree(Path(walk.lake.root) / walk.model / table)
    score(walk, DAYS[-1:])
    after = metrics_of(walk, metrics=["psi"])
    keys = ["model_version", "segment", "segment_value", "feature", "window", "window_start", "n"]
    assert after.select(keys).equals(before.select(keys))
    assert after["baseline_id"].str.starts_with("window:").all()
    score(declared(walk, tmp_path), DAYS[-1:])
    again = metrics_of(walk, metrics=["psi"])
    assert again.drop("told", "run_id").equals(before.drop("told", "run_id"))


def test_nothing_is_scored_again_where_the_baseline_is_the_same(scored, tmp_path):
    """A run about the last day touches the windows that hold it, and no other."""
    walk = redeclared(scored, tmp_path)
    assert min(score(walk, DAYS[-1:])) == DAYS[-1]


def test_fixed_days_are_kept_as_statistics_under_their_name(scored, tmp_path):
    """The sum over the days and the days' own statistics count the same rows, and its id follows from it."""
    walk = redeclared(scored, tmp_path, before="compared_with: {from: 2024-02-26, to: 2024-02-29}")
    score(walk, DAYS[-1:])
    kept = pl.DataFrame(walk.lake.read(walk.model, FIXED_LAYOUT))
    assert set(kept["day"]) == {"2024-02-26..2024-02-29"}
    daily = pl.DataFrame(walk.lake.read(walk.model, "statistics"))
    daily = daily.filter(pl.col("day").is_between(pl.lit("2024-02-26"), pl.lit("2024-02-29")))
    keys = ["model_version", "segment", "segment_value", "subject", "part"]

    def total(rows):
        added = rows.with_columns(pl.col("counts").list.sum(), pl.col("sums").list.sum().fill_null(0.0))
        least = pl.col("sums").min().round(6)
        sums = (
            pl.when(pl.col("part").first() == "extremes").then(least).otherwise(pl.col("sums").sum().round(6))
        )
        return added.group_by(keys).agg(pl.col("counts").sum(), sums).sort(keys)

    own = kept.filter(~((pl.col("subject") == "score") & pl.col("part").str.starts_with("cells")))
    assert total(own).equals(total(daily))


def test_a_version_may_be_compared_with_something_of_its_own(scored, tmp_path):
    """One version's comparison overrules that of the monitor."""
    walk = redeclared(scored, tmp_path)
    folder = tmp_path / "own" / "loan_risk"
    shutil.copytree(Path("tests/steps/loan_risk").resolve(), folder)
    monitor = folder / "monitor.yaml"
    text = monitor.read_text(encoding="utf-8").replace(
        "threshold: 0.3}", "threshold: 0.3, compared_with: previous}"
    )
    monitor.write_text(text, encoding="utf-8")
    import dataclasses  # noqa: PLC0415

    from mlobs_pipelines.contracts.folder import load_model  # noqa: PLC0415
    from mlobs_pipelines.core.metrics import METRICS  # noqa: PLC0415

    score(dataclasses.replace(walk, spec=load_model(folder, METRICS)), DAYS[-1:])
    ids = (
        metrics_of(walk, metrics=["psi"])
        .group_by("model_version")
        .agg(pl.col("baseline_id").str.starts_with("previous:").all())
    )
    assert dict(ids.iter_rows()) == {"a": False, "b": True}
