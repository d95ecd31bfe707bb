"""What a person is told about a broken document."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlobs_pipelines.contracts.folder import check_folder, load_model, load_models
from mlobs_pipelines.contracts.problems import ContractError, Problem, dotted, suggestion

CASES = yaml.safe_load(Path(__file__).with_name("messages.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['file']}-{place}" for place, case in enumerate(CASES)])
def test_a_broken_document_is_told_by_file_line_key_and_remedy(case: dict, broken: Callable[..., list[str]]):
    """Every broken document gets exactly the messages that were written down for it."""
    assert broken(case["file"], case["replace"], case["by"]) == case["says"]


def test_two_broken_models_are_told_in_full():
    """`mlobs check` on models that are broken in many ways says what the file beside them says."""
    broken = Path(__file__).parent / "broken"
    folders = sorted(folder for folder in broken.iterdir() if folder.is_dir())
    said = [str(problem) for folder in folders for problem in check_folder(folder)]
    told = (broken / "said.txt").read_text(encoding="utf-8").splitlines()
    assert [line.replace(f"{broken}/", "") for line in said] == told


def test_a_missing_document_is_named(folder: Path):
    """A folder without one of its documents says which file to write."""
    (folder / "labels.odcs.yaml").unlink()
    said = [str(problem) for problem in check_folder(folder)]
    assert said == [f"{folder}/labels.odcs.yaml:0: the file is missing; write labels.odcs.yaml in {folder}"]


def test_a_document_that_nothing_reads_is_named(folder: Path):
    """A contract under a mistyped name is a problem, not a file that is passed over."""
    (folder / "labels.odcs.yaml").rename(folder / "label.odcs.yaml")
    keys = {(Path(problem.file).name, problem.message) for problem in check_folder(folder)}
    assert keys == {
        ("label.odcs.yaml", "nothing reads this document"),
        ("labels.odcs.yaml", "the file is missing"),
    }


def test_a_missing_folder_is_one_clear_problem(tmp_path: Path):
    """A model that does not exist is said to be missing, in the words of its folder."""
    assert "no such folder" in str(check_folder(tmp_path / "nobody")[0])
    with pytest.raises(ContractError, match="no such folder"):
        load_models(tmp_path / "nowhere")


def test_all_problems_of_a_folder_are_said_at_once(folder: Path):
    """Mistakes in three documents are reported together, in the order of files and lines."""
    for file, old, new in (
        ("monitor.yaml", "task: binary", "task: ranking"),
        ("labels.odcs.yaml", "kind: DataContract", "kind: Contract"),
        ("predictions.odcs.yaml", "required: true", "requird: true"),
        ("predictions.odcs.yaml", "format: parquet", "format: orc"),
    ):
        text = (folder / file).read_text(encoding="utf-8")
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        load_model(folder)
    problems = caught.value.problems
    assert [Path(problem.file).name for problem in problems] == [
        "labels.odcs.yaml",
        "monitor.yaml",
        "predictions.odcs.yaml",
        "predictions.odcs.yaml",
    ]
    assert str(caught.value).splitlines() == [str(problem) for problem in problems]


def test_problems_of_every_model_are_said_at_once(folder: Path):
    """Loading all models names the broken ones together."""
    (folder / "monitor.yaml").unlink()
    (folder.parent / "second").mkdir()
    with pytest.raises(ContractError) as caught:
        load_models(folder.parent)
    assert len(caught.value.problems) == 5


def test_a_problem_reads_like_a_link():
    """A problem starts with file and line as editors and CI systems link them."""
    problem = Problem("a.yaml", 3, dotted(("schema", 0, "name")), "unknown key", "did you mean name?")
    assert str(problem) == "a.yaml:3: schema[0].name: unknown key; did you mean name?"


def test_a_suggestion_prefers_near_misses():
    """A near miss is offered alone; without one the valid words are listed."""
    assert suggestion("requird", ("required", "unique")) == "did you mean required?"
    assert suggestion("zzz", ("b", "a")) == "valid: a, b"
