"""The README names everything there is, and what it points to exists."""

import ast
import re
from pathlib import Path

import pytest

from mlobs_pipelines.contracts.server_options import FORMATS
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.sources.registry import SOURCES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mlobs_pipelines"
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = set(re.findall(r"`([^`\n]+)`", README))
WORDS = {word for code in CODE for word in code.split()}
TOLD = {word.strip(",.;:") for word in WORDS}
LINKS = re.findall(r"\]\(([^)\s]+)\)", README)


def commands():
    """Every command, those in groups by both words, with the long names of its options."""
    import typer  # noqa: PLC0415 - only where the command line is looked at

    from mlobs_pipelines.cli import app  # noqa: PLC0415 - as above

    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        inside = getattr(command, "commands", None)
        found |= {f"{name} {word}": one for word, one in inside.items()} if inside else {name: command}
    return {
        name: {option for given in command.params for option in given.opts if option.startswith("--")}
        for name, command in found.items()
    }


def destinations():
    """Modules of `destinations/` that something outside of that folder uses."""
    outside = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "destinations"]
    used = set()
    for path in outside:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlobs_pipelines.dest"):
                inside = node.module.split(".")[2:]
                used |= set(inside[:1]) or {name.name for name in node.names}
    return used


def test_every_command_and_option_is_in_its_line():
    """A command's line in the table names each of its options, and no option it does not have."""
    for name, options in commands().items():
        (line,) = [
            line
            for line in README.splitlines()
            if line.startswith((f"| `mlobs {name} ", f"| `mlobs {name}`"))
        ]
        assert set(re.findall(r"--[a-z-]+", line)) == options - {"--help"}, name


def test_no_command_is_named_that_does_not_exist():
    """Whatever the README tells to run as `mlobs …` is a command."""
    told = {code.split()[1] for code in CODE if code.startswith("mlobs ") and code.split()[1].islower()}
    assert told == {name.split()[0] for name in commands()}


def test_every_check_has_a_runbook():
    """The template that checks and messages name is there, and says what it must."""
    found = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    graph = (ROOT / "tests" / "defs" / "graph.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"^  check (\w+):", graph, re.MULTILINE)) <= found
    families = {metric.family for metric in METRICS.values()}
    assert families <= found
    for name in found:
        text = (ROOT / "docs" / "runbooks" / f"{name}.md").read_text(encoding="utf-8")
        parts = ["## First look", "## Usual causes", "## What to do", "## When to roll back"]
        assert re.findall(r"^## .*", text, re.MULTILINE) == parts, name


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("metric", set(METRICS)),
        ("source format", set(FORMATS)),
        ("source", set(SOURCES)),
        ("check", {"contract", "rules", "privacy", "point_in_time", "version_known"}),
        ("check", {"labels", "orphans", "leakage"}),
        ("metric family", {metric.family for metric in METRICS.values()}),
        ("setting", {f"MLOBS_{name.upper()}" for name in Settings.model_fields}),
    ],
)
def test_everything_is_named(what, names):
    """Each metric, format, check and setting is written as code somewhere in the README."""
    assert names
    assert not names - TOLD, what


def test_every_destination_is_named():
    """Whatever the package sends results to is written as code somewhere in the README."""
    assert destinations()
    assert not destinations() - TOLD


def test_every_incident_is_named():
    """Each incident of the demo is in the README."""
    from mlobs_pipelines.demo import INCIDENTS  # noqa: PLC0415 - only this test needs it

    assert set(INCIDENTS) <= CODE


def test_links_and_images_resolve():
    """Every relative link and image of the README and the changelog is a file or folder of the project."""
    changelog = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    relative = [link for link in LINKS + changelog if not link.startswith(("https://", "#"))]
    assert len(relative) > 8
    assert not [link for link in relative if not (ROOT / link).exists()]


def test_images_are_small_pictures():
    """The README's images are PNG files of at most 400 KB, so that the page opens quickly."""
    pictures = [ROOT / path for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)]
    assert {path.stem for path in pictures} >= {"asset-graph", "report"}
    for path in pictures:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size <= 400_000


def test_make_targets_are_those_of_the_makefile():
    """The README names exactly the Makefile's targets."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE).group(1).split()
    assert set(re.findall(r"\bmake ([a-z]+)\b", "\n".join([*CODE, *_fences()]))) == set(phony)


def test_changelog_has_the_version():
    """The package's version has an entry with its date."""
    from importlib.metadata import version  # noqa: PLC0415 - only this test needs it

    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(
        rf"^## {re.escape(version('mlobs-pipelines'))} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE
    )
    assert f"{len(METRICS)} metrics" in changelog


def _fences():
    return re.findall(r"```\n(.*?)```", README, re.DOTALL)
