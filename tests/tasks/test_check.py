"""What is told to who declares scores, labels, classes or limits that the task does not have."""

import shutil
from pathlib import Path

import pytest
import yaml

from mlobs_pipelines.contracts.folder import check_folder, load_model
from mlobs_pipelines.core.metrics import METRICS
from tests.tasks.models import CLASSES, HERE

IRIS, WINE, MONITOR = "iris_species", "wine_quality", "monitor.yaml"
CASES = yaml.safe_load(Path(__file__).with_name("messages.yaml").read_text(encoding="utf-8"))


def broken(tmp_path, model, file, old, new):
    """What is wrong with a copy of a model's folder in which one text is another."""
    folder = Path(shutil.copytree(HERE / model, tmp_path / model))
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    return [str(problem).removeprefix(f"{folder}/") for problem in check_folder(folder, METRICS)]


@pytest.mark.parametrize("model", [IRIS, WINE])
def test_both_models_are_fine(model):
    """Both folders are read without a problem."""
    assert check_folder(HERE / model, METRICS) == []
    assert load_model(HERE / model, METRICS).monitor.task in ("multiclass", "regression")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['model']}-{case['file']}")
def test_a_wrong_declaration_is_told_with_its_remedy(tmp_path, case):
    """Every combination that cannot be measured is told by file, line, key and what would be valid."""
    assert broken(tmp_path, case["model"], case["file"], case["replace"], case["by"]) == case["says"]


@pytest.mark.parametrize("metric", ["demographic_parity_difference", "equalised_odds_difference"])
def test_fairness_is_of_binary_models(tmp_path, metric):
    """An objective about fairness of another model is refused with what it could judge instead."""
    new = f"metric: {metric}, window: 7d, fail_above: 0.5"
    (said,) = broken(tmp_path, IRIS, MONITOR, "metric: accuracy, window: 7d, fail_below: 0.5", new)
    assert f"a multiclass model has no {metric}; valid: accuracy, log_loss" in said


def test_an_objective_may_name_a_class(tmp_path):
    """Classes stand beside features for metrics that have a value for each; another name is refused."""
    (said,) = broken(tmp_path, IRIS, MONITOR, "features: [virginica]", "features: [virginia]")
    assert said.endswith("unknown feature 'virginia'; did you mean virginica?")
    assert set(CLASSES) <= set(load_model(HERE / IRIS, METRICS).monitor.classes)


def test_scores_must_be_stored_as_they_are(tmp_path):
    """A class score that is dropped for privacy cannot be measured."""
    column = "name: p_setosa, logicalType: number, classification"
    old, new = f"{column}: internal", f"{column}: restricted"
    said = broken(tmp_path, IRIS, "predictions.odcs.yaml", old, new)
    assert any("p_setosa is read on the way and stored by privacy" in one for one in said)
