"""JSON lines: one object a line, every number and text as written, or the line that is not."""

import json
from datetime import date

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.sources import text
from mlobs_pipelines.sources.deliveries import Place, Slot
from mlobs_pipelines.sources.registry import SOURCES


def _delivery(folder, data, columns=(), **options):
    (folder / "x.jsonl").write_bytes(data if isinstance(data, bytes) else data.encode())
    place = Place("local", "jsonl", f"{folder}/x.jsonl", options)
    [found] = SOURCES["local"](place, Slot("labels", date(2013, 3, 1), columns))
    return found


def _column(folder, *tokens):
    found = _delivery(folder, "".join(f'{{"a": {token}}}\n' for token in tokens))
    assert found.problem == ""
    frame = pl.concat(found.frames())
    return found.columns["a"], frame["a"].to_list()


@pytest.mark.parametrize(
    ("tokens", "kind", "values"),
    [
        (("1", "null", "-3"), "int64", [1, None, -3]),
        (("9007199254740993", "1"), "int64", [9007199254740993, 1]),
        (("9223372036854775808", "1"), "text", ["9223372036854775808", "1"]),
        (("1", "0.5", "1e3"), "double", [1.0, 0.5, 1000.0]),
        (("9007199254740993", "0.5"), "text", ["9007199254740993", "0.5"]),
        (("0.1234567890123456789", "1"), "text", ["0.1234567890123456789", "1"]),
        (("0.30000000000000004",), "double", [0.30000000000000004]),
        (("1e400",), "text", ["1e400"]),
        (("true", "null"), "bool", [True, None]),
        (("true", "1"), "text", ["true", "1"]),
        (("1", '"1"', "1.50", '"x"'), "text", ["1", "1", "1.50", "x"]),
        (('"007"', '"\\u00fc"'), "string", ["007", "ü"]),
        (("null",), "null", [None]),
        (('{"x": 1.50}', "[1, null]"), "nested", [{"json": '{"x":1.50}'}, {"json": "[1,null]"}]),
        (('{"x": [1e2]}', "1"), "text", ['{"x":[1e2]}', "1"]),
        (("Infinity", "-Infinity", "1"), "double", [float("inf"), float("-inf"), 1.0]),
    ],
)
def test_a_column_has_a_type_only_if_every_value_fits_it(tmp_path, tokens, kind, values):
    """A column that its type would not hold exactly, or whose type changes, is text as written."""
    assert _column(tmp_path, *tokens) == (kind, values)


def test_nan_is_kept_for_the_rules_to_judge(tmp_path):
    """NaN is no JSON and common; it stays a number that is not finite."""
    kind, values = _column(tmp_path, "NaN", "1")
    assert kind == "double"
    assert str(values[0]) == "nan"


def test_keys_may_be_absent_and_come_late(tmp_path):
    """An absent key is null; columns come in the order of their first line; blank lines are nothing."""
    found = _delivery(tmp_path, '{"a": 1}\r\n\n  \n{"b": "x", "a": null}\n{}')
    assert list(found.columns) == ["a", "b"]
    assert pl.concat(found.frames()).rows() == [(1, None), (None, "x"), (None, None)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ('{"a": 1}\n\n{"a": \n', "line 3 is not JSON"),
        ('{"a": 1}\n[1]\n', "line 2 is not an object"),
        ('{"a": 1} {"a": 2}\n', "line 1 is not JSON"),
        ('{"a": 1, "a": 2}\n', "line 1 names a key more than once"),
        ('{"a": {"b": 1, "b": 2}}\n', "line 1 names a key more than once"),
        ('{"a": "\\ud800"}\n', "line 1 has half of a surrogate pair"),
        ('{"a": "x\ty"}\n', "line 1 is not JSON"),
        ('{"a": ' + "[" * 100_000 + "\n", "line 1 nests too deeply"),
        (b'{"a": "\xff"}\n', "byte 7 is not utf-8"),
        (b"", "0 bytes"),
        ("".join(f'{{"k{number}": 1}}\n' for number in range(10_001)), "more than 10,000 columns"),
    ],
)
def test_what_is_not_an_object_a_line_is_refused_with_its_line(tmp_path, data, reason):
    """The reason has the line, and nothing of what stands in it."""
    assert reason in _delivery(tmp_path, data).problem


def test_other_encodings_are_read_where_declared(tmp_path):
    """The declared encoding is the encoding."""
    found = _delivery(tmp_path, '{"a": "Müller"}\n'.encode("latin-1"), encoding="latin-1")
    assert pl.concat(found.frames()).rows() == [("Müller",)]


def test_columns_that_nobody_asked_for_are_left_out(tmp_path):
    """Frames have what the slot asks for."""
    found = _delivery(tmp_path, '{"a": 1, "b": 2}\n', ("b", "z"))
    assert list(found.columns) == ["a", "b"]
    assert pl.concat(found.frames()).rows(named=True) == [{"b": 2}]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(JSON, min_size=1, max_size=6), block=st.integers(1, 40))
def test_what_was_written_is_read(tmp_path, values, block):
    """Each value comes back as itself or as the text that was written, wherever blocks are cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK", block)
        kind, found = _column(tmp_path, *map(json.dumps, values))
    for value, got in zip(values, found, strict=True):
        if kind == "nested" and value is not None:
            assert json.loads(got["json"]) == value
        elif kind == "text" and value is not None and not isinstance(value, str):
            assert json.loads(got) == value
        else:
            assert got == value
