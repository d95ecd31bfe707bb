"""Metrics that a model's folder brings along: modules of its own beside `monitor.yaml`.

A module is run from its file and sees installed packages only. What it registers with `@metric` belongs to
that model alone and is held to what every metric promises.
"""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.problems import Problem, listed
from mlobs_pipelines.core.metrics import METRICS, Metric
from mlobs_pipelines.core.probe import broken_promise
from mlobs_pipelines.core.summaries import Summary

ALWAYS = "metrics"  # a module of this name is read without being listed
FAMILIES = tuple(sorted({metric.family for metric in METRICS.values()}))
_REMEDY = "mend the module; it is run whenever the model is read"


@dataclass(frozen=True, slots=True)
class Custom:
    """What the modules of a folder register.

    Attributes
    ----------
    metrics
        By name. Two readings of a module give functions of their own; the hashes say that they are the same.
    hashes
        SHA-256 (hex) of each module's text, by file name.
    """

    metrics: Mapping[str, Metric] = field(default_factory=dict, compare=False)
    hashes: Mapping[str, str] = field(default_factory=dict)


def read_custom(folder: Path, names: Sequence[str], document: Document) -> tuple[Custom, list[Problem]]:
    """Run the modules of a folder and collect the metrics that they register.

    Parameters
    ----------
    names
        Modules that `monitor.yaml` lists.
    document
        The monitor, for the lines of modules that are not there.
    """
    metrics: dict[str, Metric] = {}
    hashes: dict[str, str] = {}
    problems: list[Problem] = []
    for place, name in enumerate(names):
        if not (folder / f"{name}.py").is_file():
            said = f"the folder has no module {name!r}"
            problems.append(document.problem(("custom_metrics", place), said, f"write {name}.py beside it"))
    for name in dict.fromkeys([*names, ALWAYS]):
        file = folder / f"{name}.py"
        if file.is_file():
            found, wrong = _run(file, folder.name, metrics)
            metrics |= found
            problems += wrong
            hashes[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return Custom(metrics, hashes), problems


def _run(file: Path, model: str, taken: dict[str, Metric]) -> tuple[dict[str, Metric], list[Problem]]:
    """Run one module; the product's own registry is left as it was."""
    before = dict(METRICS)
    METRICS.update(taken)
    try:
        _execute(file, f"mlobs_custom.{model}.{file.stem}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's module may raise anything
        return {}, [_raised(file, error, "")]
    finally:
        known = {**before, **taken}
        found = {name: one for name, one in METRICS.items() if one is not known.get(name)}
        METRICS.clear()
        METRICS.update(before)
    problems = [problem for metric in found.values() for problem in _problems(file, metric, known)]
    if not found:
        problems.append(Problem(str(file), 1, "", "registers no metric", "decorate a function with @metric"))
    return found, problems


def _execute(file: Path, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)


def _problems(file: Path, metric: Metric, known: Mapping[str, Metric]) -> Iterator[Problem]:
    """What is wrong with a metric, or with what the module adds to one of the name that is `known`."""
    before = known[metric.name].functions if metric.name in known else {}
    for kind, function in metric.functions.items():
        if kind not in before:
            yield from _broken(file, metric, kind, getattr(function, "__code__", None))


def _broken(file: Path, metric: Metric, kind: type[Summary], code: CodeType | None) -> Iterator[Problem]:
    line = code.co_firstlineno if code else 1
    if metric.family not in FAMILIES:
        said, valid = f"unknown family {metric.family!r}", f"valid: {listed(FAMILIES)}"
        yield Problem(str(file), line, metric.name, said, valid)
        return
    try:
        broken = broken_promise(metric, kind)
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything
        yield _raised(file, error, metric.name)
        return
    if broken:
        yield Problem(str(file), line, metric.name, broken)


def _raised(file: Path, error: BaseException, key: str) -> Problem:
    """Tell an error by the last line of the module that led to it."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return Problem(str(file), error.lineno or 1, key, f"Python syntax error: {error.msg}", _REMEDY)
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    said: Any = str(error).splitlines()[0] if str(error) else ""
    doing = "a window of made-up counts raises" if key else "running it raises"
    message = f"{doing} {type(error).__name__}" + (f": {said}" if said else "")
    return Problem(str(file), (lines or [1])[-1] or 1, key, message, _REMEDY)
