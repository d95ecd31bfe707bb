"""House rules that a machine can hold: floors, sizes, names, and what an import loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mlobs_pipelines"
FILES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")])
FORBIDDEN = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc", "shared"}
HEAVY = ("dagster", "pandas", "polars", "pyarrow", "duckdb", "deltalake", "scipy", "pydantic", "sklearn")


def test_imports_go_down_the_floors():
    """Every contract of import-linter is kept; a folder without a floor breaks the first of them."""
    command = Path(sys.executable).parent / "lint-imports"
    found = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    assert "4 kept, 0 broken" in found.stdout


def test_no_file_is_longer_than_four_hundred_lines():
    """A file that grows beyond it is two files."""
    assert [file.name for file in FILES if len(file.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_no_function_is_longer_than_forty_lines():
    """Lines of the body without its docstring; a function inside another counts for itself."""
    assert {name for name, lines in _functions() if lines > 40} == set()


def _functions():
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{file.parent.name}.{file.stem}.{node.name}", _lines(node)


def _lines(function):
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    inner = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    whole = body[-1].end_lineno - body[0].lineno + 1 if body else 0
    return whole - sum(node.end_lineno - node.lineno + 1 for node in inner)


def test_no_module_has_a_name_that_says_nothing():
    """A module is called after what lives in it."""
    names = {file.stem for file in FILES} | {folder.name for folder in PACKAGE.rglob("*") if folder.is_dir()}
    assert names & FORBIDDEN == set()


def test_every_module_says_what_lives_in_it():
    """Each module of the product opens with a docstring, and none imports annotations from the future."""
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), file
        assert "from __future__ import annotations" not in text, file


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("mlobs_pipelines", HEAVY),
        ("mlobs_pipelines.core.metrics", HEAVY),
        ("mlobs_pipelines.core.verdicts", HEAVY),
        ("mlobs_pipelines.settings", ("dagster", "polars", "pyarrow", "duckdb", "deltalake")),
        ("mlobs_pipelines.contracts.folder", ("dagster", "deltalake", "duckdb", "sklearn")),
        ("mlobs_pipelines.steps.metrics", ("dagster", "sklearn", "great_expectations", "altair")),
        ("mlobs_pipelines.steps.ingest", ("dagster", "sklearn", "great_expectations", "altair")),
        ("mlobs_pipelines.demo.plan", ("dagster",)),
        ("mlobs_pipelines.definitions", ("pandas", "pandera", "altair", "scipy", "sklearn")),
    ],
)
def test_an_import_loads_no_more_than_it_must(module, absent):
    """Arithmetic needs numpy alone, no step needs Dagster, and definitions wait for no library of steps."""
    code = f"import {module}, sys; print(*[name for name in {absent!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
