"""The component: another Dagster project names a model's folder in a `defs.yaml` and gets the same assets."""

import importlib.machinery
import importlib.util
import shutil
import sys

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException  # it has no public name

from tests.defs.conftest import CONTRACTS, MODEL
from tests.defs.graph_text import GOLDEN, graph_text

DOCUMENT = "type: mlobs_pipelines.MonitoredModel\nattributes:\n  folder: {folder}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make a foreign project with one `defs.yaml`, and load it."""
    for name in ("CONTRACTS", "HOME", "LANDING"):
        monkeypatch.delenv(f"MLOBS_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CONTRACTS / MODEL, tmp_path / "models" / MODEL)

    def load(text):
        folder = tmp_path / "foreign" / "flights"
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(text)
        return dg.ComponentTree.from_module(_module(folder.parent, monkeypatch), project_root=tmp_path)

    return load


def _module(folder, monkeypatch):
    spec = importlib.machinery.ModuleSpec("foreign_models", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    return module


def test_a_foreign_project_gets_the_same_graph(project):
    """The component's assets, checks, jobs and schedules are exactly those of our own code location."""
    loaded = project(DOCUMENT.format(folder=f"models/{MODEL}"))
    assert graph_text(loaded.build_defs()) == GOLDEN.read_text()


def test_a_folder_with_a_problem_is_named_by_file_and_line(project, tmp_path):
    """A mistake in a contract stops the load with the file and line where it is."""
    monitor = tmp_path / "models" / MODEL / "monitor.yaml"
    monitor.write_text(monitor.read_text().replace("task: binary", "task: ternary"))
    line = monitor.read_text().splitlines().index("task: ternary") + 1
    with pytest.raises(ComponentTreeException) as caught:
        project(DOCUMENT.format(folder=f"models/{MODEL}")).build_defs()
    assert f"monitor.yaml:{line}: task" in _whole(caught.value)


def test_a_folder_that_does_not_exist_is_named(project):
    """A mistyped folder is named in the error, and so is the document that named it."""
    with pytest.raises(ComponentTreeException) as caught:
        project(DOCUMENT.format(folder="models/nothing")).build_defs()
    assert "models/nothing" in _whole(caught.value)
    assert "no such folder" in _whole(caught.value)
    assert "defs.yaml" in _whole(caught.value)


def test_an_unknown_attribute_is_refused(project):
    """A key that the component does not know is refused with the line in `defs.yaml`."""
    with pytest.raises(ComponentTreeException) as caught:
        project(DOCUMENT.format(folder=f"models/{MODEL}") + "  colour: blue\n").build_defs()
    assert "defs.yaml:4" in _whole(caught.value)


def _whole(error):
    parts = []
    while error is not None:
        parts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(parts)
