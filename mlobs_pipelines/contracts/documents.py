"""YAML text into plain data, with the line every key was written on.

The plain data are those of JSON: dates stay text, and only true and false are booleans. What the data mean is
decided elsewhere.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from mlobs_pipelines.contracts.problems import KeyPath, Problem, dotted

_MOST_NODES = 500_000
_MOST_BITS = 256
_MOST_MARKS = 4_000  # of nesting, one for each level at least
_TEXT, _TIME, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_POWER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]{1,2}")
_BOOLEAN, _NULL = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"
_Loader = yaml.SafeLoader | yaml.CSafeLoader


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    Attributes
    ----------
    file
        Its name, as it was given.
    data
        What it says: a dictionary of plain data.
    lines
        Line of every key and list item, from 1.
    """

    file: str
    data: dict[str, Any]
    lines: Mapping[KeyPath, int]

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of what the document says; comments and layout do not change it."""
        text = json.dumps(self.data, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of its nearest written parent."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: KeyPath, message: str, valid: str = "") -> Problem:
        """Return a problem with the value at `path`."""
        return Problem(self.file, self.line(path), dotted(path), message, valid)


def read_document(file: Path) -> tuple[Document | None, list[Problem]]:
    """Read one YAML document.

    Returns
    -------
    tuple
        The document, None where the text is not YAML or not a mapping, and the problems met on the way: a
        missing file, a syntax error, a key written twice, a tag or a number that plain data do not have.
    """
    text, problems = _text(file)
    if text is None:
        return None, problems
    try:
        return _document(str(file), text)
    except yaml.YAMLError as error:
        return None, [_syntax(str(file), error)]
    except RecursionError:
        return None, [
            Problem(str(file), 1, "", "nested too deeply to be read", "a contract is a few levels deep")
        ]


def _text(file: Path) -> tuple[str | None, list[Problem]]:
    try:
        return file.read_text(encoding="utf-8"), []
    except FileNotFoundError:
        return None, [Problem(str(file), 0, "", "the file is missing", f"write {file.name} in {file.parent}")]
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return None, [Problem(str(file), line, "", "not UTF-8 text", "save the file as UTF-8")]
    except OSError as error:
        return None, [
            Problem(str(file), 0, "", f"cannot be read ({error.strerror})", "check its permissions")
        ]


def _document(file: str, text: str) -> tuple[Document | None, list[Problem]]:
    loader, node = _parsed(text)
    if not isinstance(node, yaml.MappingNode):
        said = "the document is empty" if node is None else "the document is not a mapping"
        return None, [Problem(file, 1, "", said, "write keys and values, as in `model: flight_delays`")]
    walk = _Walk(file, loader)
    return Document(file, walk.mapping(node, ()), walk.lines), walk.problems


def _parsed(text: str) -> tuple[_Loader, yaml.Node | None]:
    """Parse with libyaml, ten times as fast, what cannot nest deeply: it would take the process with it."""
    if sum(map(text.count, "[{-:?")) < _MOST_MARKS:
        with suppress(yaml.YAMLError):  # what is wrong is told in the words of the parser that is in Python
            fast = yaml.CSafeLoader(text)
            return fast, fast.get_single_node()
    loader = yaml.SafeLoader(text)
    return loader, loader.get_single_node()


def _syntax(file: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
    line = mark.line + 1 if mark else 1
    column = f" at column {mark.column + 1}" if mark else ""
    return Problem(
        file, line, "", f"YAML syntax error{column}: {said}", "check indentation, colons and quotes"
    )


@dataclass(slots=True)
class _Walk:
    """One pass over the nodes of a document."""

    file: str
    loader: _Loader
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    open_nodes: set[int] = field(default_factory=set)
    seen: int = 0

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        self.seen += 1
        self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self.open_nodes or self.seen > _MOST_NODES:
            self.refuse(node, path, "an alias repeats the document endlessly", "write the value out")
            return None
        self.open_nodes.add(id(node))
        try:
            return self.plain(node, path)
        finally:
            self.open_nodes.discard(id(node))

    def plain(self, node: yaml.Node, path: KeyPath) -> object:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, place)) for place, item in enumerate(node.value)]
        return self.scalar(cast("yaml.ScalarNode", node), path)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, item in node.value:
            name = self.key(key, path)
            if name is None:
                continue
            if name in data:
                first = self.lines[(*path, name)]
                self.refuse(
                    key, (*path, name), f"the key is written twice (first in line {first})", "keep one"
                )
                continue
            self.lines[(*path, name)] = key.start_mark.line + 1
            data[name] = self.value(item, (*path, name))
        return data

    def key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if node.tag == _MERGE or not isinstance(node, yaml.ScalarNode):
            self.refuse(node, path, "a key that is not text", "write the keys out; merge keys are not read")
            return None
        return str(node.value)

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        if node.tag == _TEXT and not node.style and _POWER.fullmatch(node.value):
            return float(node.value)  # YAML 1.1 takes 1e-3 for text
        if node.tag in (_TEXT, _TIME):
            return node.value
        if node.tag == _NULL:
            return None
        if node.tag == _BOOLEAN:
            return {"true": True, "false": False}.get(node.value.lower(), node.value)
        if node.tag in _NUMBERS:
            return self.number(node, path)
        self.refuse(node, path, f"the tag {node.tag} is not plain data", "remove the tag")
        return None

    def number(self, node: yaml.Node, path: KeyPath) -> object:
        if ":" in node.value:  # 12:30 is a time to a person and 750 to YAML 1.1
            return node.value
        try:
            number = self.loader.construct_object(node)
        except ValueError:
            return node.value
        if isinstance(number, int) and number.bit_length() > _MOST_BITS:
            self.refuse(node, path, "a number that is too large", "leave the key out for no limit")
            return None
        if not math.isfinite(number):
            self.refuse(node, path, "a number that is not finite", "leave the key out for no limit")
            return None
        return number

    def refuse(self, node: yaml.Node, path: KeyPath, message: str, valid: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, dotted(path), message, valid))
