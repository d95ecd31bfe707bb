"""A metric in a file of the model's folder is one like any other, for that model alone."""

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from mlobs_pipelines.contracts.folder import check_folder, load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.metrics import score
from tests.steps import loans
from tests.steps.redeclared import FEW_FEATURES, metrics_of, redeclared

MODULE = '''"""How many bad loans the scores promise, per loan that is known."""

import numpy as np

from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import ScoreSummary
from mlobs_pipelines.core.vocabulary import Estimate


@metric("promised_share", ScoreSummary, family="quality", direction=-1)
def promised_share(summary):
    """Mean score of labelled rows."""
    n = summary.bin_n.sum(axis=-1)
    total = summary.bin_score.sum(axis=-1)
    return Estimate(np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0), n)
'''


def _folder(tmp_path, module, name="metrics", listed=""):
    folder = tmp_path / "with_module" / "loan_risk"
    shutil.copytree(loans.CONTRACTS, folder)
    (folder / f"{name}.py").write_text(module, encoding="utf-8")
    monitor = folder / "monitor.yaml"
    text = monitor.read_text(encoding="utf-8").replace("windows:", f"{listed}\nwindows:")
    line = "  - {metric: promised_share, window: 7d, fail_above: 0.1}\n"
    text = text.replace("objectives:\n", f"objectives:\n{line}")
    for feature in FEW_FEATURES:
        text = text.replace(feature, "")
    monitor.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(("name", "listed"), [("metrics", ""), ("promises", "custom_metrics: [promises]")])
def test_a_metric_of_the_folder_is_computed_judged_and_read(scored, tmp_path, monkeypatch, name, listed):
    """One file adds a metric: rows in the store, a verdict, a line of `mlobs metrics` and of the report."""
    folder = _folder(tmp_path, MODULE, name, listed)
    import dataclasses  # noqa: PLC0415 - only here

    walk = dataclasses.replace(redeclared(scored, tmp_path), spec=load_model(folder, METRICS))
    score(walk, loans.DAYS)
    rows = metrics_of(walk, metrics=["promised_share"], windows=["7d"], segments=[""])
    beside = metrics_of(walk, metrics=["mean_score"], windows=["7d"], segments=[""])
    np.testing.assert_allclose(rows["value"], beside["value"], rtol=1e-12)
    assert set(rows["verdict"]) <= {"fail", "undecided"}
    monkeypatch.setenv("MLOBS_CONTRACTS", str(folder.parent))
    monkeypatch.setenv("MLOBS_LAKE", walk.lake.root)
    monkeypatch.setenv("MLOBS_HOME", str(tmp_path))
    from mlobs_pipelines.cli import app  # noqa: PLC0415 - the command line is slow to import
    from mlobs_pipelines.steps.tell import write_report  # noqa: PLC0415 - so is the report

    shown = CliRunner().invoke(app, ["metrics", "loan_risk", "--metric", "promised_share", "--format", "csv"])
    assert shown.exit_code == 0
    assert shown.output.count("promised_share") >= rows.height
    write_report(walk, tmp_path / "report.html")
    assert "Promised share" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_it_belongs_to_that_model_alone(tmp_path):
    """The product's registry is as before, and the declaration's hash follows the module's text."""
    before = dict(METRICS)
    folder = _folder(tmp_path, MODULE)
    spec = load_model(folder, METRICS)
    assert "promised_share" in spec.metrics
    assert before == METRICS
    assert "promised_share" not in load_model(loans.CONTRACTS, METRICS).metrics
    (folder / "metrics.py").write_text(MODULE.replace("Mean score", "The mean score"), encoding="utf-8")
    assert load_model(folder, METRICS).hash != spec.hash


def test_a_module_may_add_a_task_to_a_metric_of_the_product(tmp_path):
    """The name then stands for both in that model; the product's own function is not tried again."""
    module = MODULE.replace("ScoreSummary", "MulticlassSummary").replace('"promised_share"', '"mean_score"')
    folder = _folder(tmp_path, module.replace(", direction=-1", ""))
    monitor = folder / "monitor.yaml"
    monitor.write_text(monitor.read_text("utf-8").replace("promised_share", "mean_score"), "utf-8")
    assert check_folder(folder, METRICS) == []
    mine = load_model(folder, METRICS).metrics["mean_score"]
    assert {kind.__name__ for kind in mine.functions} == {"ScoreSummary", "MulticlassSummary"}
    assert len(METRICS["mean_score"].functions) == 1


SAYS = {
    "no metric": ("x = 1\n", "metrics.py:1: registers no metric; decorate a function with @metric"),
    "syntax": ("x = 1\ndef f(:\n", "metrics.py:2: Python syntax error: "),
    "raises": ("x = 1\ny = x / 0\n", "metrics.py:2: running it raises ZeroDivisionError: "),
    "exits": ("import sys\n\nsys.exit(3)\n", "metrics.py:3: running it raises SystemExit: 3"),
    "taken": (MODULE.replace('"promised_share"', '"psi"'), "raises ValueError: metric 'psi' is reg"),
    "family": (MODULE.replace('"quality"', '"qality"'), "py:10: promised_share: unknown family 'qality'"),
    "shape": (MODULE.replace("axis=-1", "axis=None"), "metrics.py:1"),
    "one for all": (
        MODULE.replace("return Estimate(np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0), n)",
                       "return Estimate(n / max(n.max(), 1), n)"),
        "promised_share: gives a window another value beside other windows; reduce the last axis only",
    ),
    "not an estimate": (
        MODULE.replace("return Estimate(", "return tuple((").replace(", n)\n", ", n))\n"),
        "promised_share: returns tuple; a metric returns an Estimate",
    ),
    "fails on an empty window": (
        MODULE.replace("    n = summary", "    assert summary.bin_n.sum() > 0\n    n = summary"),
        "metrics.py:13: promised_share: a window of made-up counts raises AssertionError",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAYS)
def test_a_mistake_in_a_module_is_told_by_its_line(tmp_path, case):
    """What is wrong with a module is one message with its file and line, like that of any document."""
    module, says = SAYS[case]
    told = [str(problem) for problem in check_folder(_folder(tmp_path, module), METRICS)]
    assert any(says in one for one in told), told


def test_a_module_that_is_not_there_is_told_by_its_line(tmp_path):
    """A listed module without a file is a problem of monitor.yaml; no path leads out of the folder."""
    folder = _folder(tmp_path, MODULE, "metrics", "custom_metrics: [promises]")
    told = [str(problem) for problem in check_folder(folder, METRICS)]
    assert [one.split("monitor.yaml:")[1] for one in told] == [
        "26: custom_metrics[0]: the folder has no module 'promises'; write promises.py beside it"
    ]
    monitor = folder / "monitor.yaml"
    monitor.write_text(monitor.read_text(encoding="utf-8").replace("[promises]", "[../x]"), encoding="utf-8")
    assert "has a form that is not allowed" in str(check_folder(folder, METRICS)[0])
