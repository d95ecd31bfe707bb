"""Cells outlive the version they were fitted on, and of two objectives the worse verdict is told."""

import dataclasses
import shutil

import polars as pl

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.bins import stored_grids
from mlobs_pipelines.steps.metrics import score
from tests.steps import loans
from tests.steps.redeclared import FEW_FEATURES, metrics_of, redeclared


def _redeclared(walk, folder, change):
    """The same walk after somebody edited monitor.yaml."""
    shutil.copytree(loans.CONTRACTS, folder)
    monitor = folder / "monitor.yaml"
    text = change(monitor.read_text(encoding="utf-8"))
    assert text != monitor.read_text(encoding="utf-8")
    monitor.write_text(text, encoding="utf-8")
    return dataclasses.replace(walk, spec=load_model(folder, METRICS))


def _without_first_version(text):
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("  a: {"))


def test_retiring_the_first_version_moves_no_cell(landing, tmp_path):
    """Statistics counted in a retired version's cells are still read in those cells."""
    walk = loans.walk_of(tmp_path / "home", landing)
    measure_baselines(walk)
    before = stored_grids(walk)
    measure_baselines(_redeclared(walk, tmp_path / "loan_risk", _without_first_version))
    after = stored_grids(walk)
    assert {name: (grid.location, grid.scale, *grid.atoms) for name, grid in after.items()} == {
        name: (grid.location, grid.scale, *grid.atoms) for name, grid in before.items()
    }


def test_the_worse_of_two_verdicts_is_told(scored, tmp_path):
    """A strict and a lenient objective of one metric: the failure of the strict one is not lost."""
    strict = "  - {metric: mean_score, window: 7d, fail_above: 0.0, severity: warn}\n"
    lenient = "  - {metric: mean_score, window: 7d, fail_above: 1.0}\n"
    walk = redeclared(scored, tmp_path, objectives=f"{strict}{lenient}", changes=FEW_FEATURES)
    score(walk, loans.DAYS)
    rows = metrics_of(walk, metrics=["mean_score"], windows=["7d"], segments=[""])
    decided = rows.filter(pl.col("verdict") != "undecided")
    assert set(decided.select("verdict", "threshold", "severity").iter_rows()) == {("fail", 0.0, "warn")}
