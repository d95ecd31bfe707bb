"""YAML into plain data with lines."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.documents import Document, read_document

REMEDY = "check indentation, colons and quotes"
TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), min_size=1, max_size=20)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e90, 1e90).filter(lambda x: x == 0 or abs(x) > 1e-90)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def _read(folder: Path, text: str) -> tuple[Document | None, list[str]]:
    file = folder / "a.yaml"
    file.write_text(text, encoding="utf-8")
    document, problems = read_document(file)
    return document, [str(problem).removeprefix(f"{folder}/") for problem in problems]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.dictionaries(TEXT, PLAIN, min_size=1, max_size=4))
def test_plain_data_come_back_as_they_were_written(tmp_path: Path, data: dict):
    """Any JSON object, which is YAML too, is read back unchanged."""
    document, problems = _read(tmp_path, json.dumps(data))
    assert problems == []
    assert document is not None
    assert document.data == data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2013-03-01", "2013-03-01"),
        ("2013-02-30", "2013-02-30"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("12:30", "12:30"),
        ("1d", "1d"),
        ("~", None),
        ("1.50", 1.5),
        ("1e-3", 0.001),
        ('"1e-3"', "1e-3"),
    ],
)
def test_scalars_mean_what_they_look_like(tmp_path: Path, text: str, value: object):
    """Dates stay text, `no` is a word, 12:30 is no number: the surprises of YAML 1.1 do not happen."""
    document, problems = _read(tmp_path, f"key: {text}")
    assert problems == []
    assert document is not None
    assert document.data == {"key": value}


def test_lines_are_those_of_the_keys(tmp_path: Path):
    """The line of a key, of a list item and of a key that is not there are found."""
    document, _ = _read(tmp_path, "a:\n  b:\n    - 1\n    - c: 2\n")
    assert document is not None
    paths = [("a",), ("a", "b"), ("a", "b", 1), ("a", "b", 1, "c"), ("a", "b", 1, "nowhere", "deeper")]
    assert [document.line(path) for path in paths] == [1, 2, 4, 4, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: the document is empty; write keys and values, as in `model: flight_delays`"),
        ("- a", "1: the document is not a mapping; write keys and values, as in `model: flight_delays`"),
        ("a: 1\nb: 2\na: 3", "3: a: the key is written twice (first in line 1); keep one"),
        ("a: .nan", "1: a: a number that is not finite; leave the key out for no limit"),
        (f"a: 1{'0' * 99}", "1: a: a number that is too large; leave the key out for no limit"),
        ("a: !!set x", "1: a: the tag tag:yaml.org,2002:set is not plain data; remove the tag"),
        ("a: 1\n<<: {b: 1}", "2: a key that is not text; write the keys out; merge keys are not read"),
        ("a: 1\n---\nb: 1", f"2: YAML syntax error at column 1: but found another document; {REMEDY}"),
        ("a: 'b", f"1: YAML syntax error at column 6: found unexpected end of stream; {REMEDY}"),
        ("a: " + "[" * 3000, "1: nested too deeply to be read; a contract is a few levels deep"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_line(tmp_path: Path, text: str, said: str):
    """Empty documents, duplicate keys, tags, merge keys and syntax errors are refused by line."""
    assert _read(tmp_path, text)[1] == [f"a.yaml:{said}"]


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path):
    """A byte that is not UTF-8 is located."""
    (tmp_path / "a.yaml").write_bytes(b"a: 1\nb: \xff\n")
    assert str(read_document(tmp_path / "a.yaml")[1][0]).endswith(
        "a.yaml:2: not UTF-8 text; save the file as UTF-8"
    )


def test_the_hash_is_of_what_is_said(tmp_path: Path):
    """Comments, layout and order of keys leave the hash alone; a value changes it."""
    first, second, third = (
        _read(tmp_path, text)[0] for text in ("a: 1\nb: x", "# why\nb: 'x'\na:   1", "a: 1\nb: y")
    )
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.hash == second.hash != third.hash
