"""CSV: text as written, every record whole, or the line that is not."""

from datetime import date

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.sources import text
from mlobs_pipelines.sources.deliveries import BATCH_ROWS, Place, Slot, UnreadableError
from mlobs_pipelines.sources.registry import SOURCES

SLOT = Slot("labels", date(2013, 3, 1), ())


def _delivery(folder, data, columns=(), **options):
    (folder / "x.csv").write_bytes(data)
    place = Place("local", "csv", f"{folder}/x.csv", options)
    [found] = SOURCES["local"](place, Slot("labels", SLOT.day, columns))
    return found


def _rows(folder, data, columns=(), **options):
    found = _delivery(folder, data, columns, **options)
    assert found.problem == ""
    frames = list(found.frames())
    return [row for frame in frames for row in frame.rows()]


def _reason(folder, data, **options):
    found = _delivery(folder, data, **options)
    if found.problem:
        return found.problem
    with pytest.raises(UnreadableError) as caught:
        list(found.frames())
    return str(caught.value)


def test_nothing_is_inferred(tmp_path):
    """Numbers, padding and words for null stay the text they are; only a bare empty field is null."""
    data = b'a,b,c\n007, x ,NULL\n1e5,"",\n'
    assert _rows(tmp_path, data) == [("007", " x ", "NULL"), ("1e5", "", None)]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b"a,b\r\n1,x\r\n2,y\r\n", {}),
        (b"\xef\xbb\xbfa,b\n1,x\n2,y", {}),
        (b'"a","b"\n"1","x"\n"2","y"\n', {}),
        (b"a;b\n1;x\n2;y\n", {"delimiter": ";"}),
        (b"a\tb\n1\tx\n2\ty\n", {"delimiter": "tab"}),
        (b"a|b\n1|x\n\n2|y\n\n\n", {"delimiter": "|"}),
        (b"'a','b'\n'1','x'\n2,y\n", {"quote": "'"}),
        ("a,b\n1,x\n2,y\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("\ufeffa,b\n1,x\n2,y\n".encode("utf-16-le"), {"encoding": "utf-16-le"}),
    ],
)
def test_declared_spellings_are_one_table(tmp_path, data, options):
    """Line ends, byte-order marks, quotes, separators and encodings change nothing of what is read."""
    assert _rows(tmp_path, data, **options) == [("1", "x"), ("2", "y")]


def test_other_encodings_keep_their_letters(tmp_path):
    """Text in a declared encoding is read as what was meant."""
    assert _rows(tmp_path, "a\nMüller\n€\n".encode("cp1252"), encoding="cp1252") == [("Müller",), ("€",)]
    assert _rows(tmp_path, "a\n東京\n".encode("shift_jis"), encoding="shift_jis") == [("東京",)]


def test_quoted_fields_hold_everything(tmp_path):
    """Separators, quotes and line breaks inside quotes are text."""
    assert _rows(tmp_path, b'a,b\n"x,""y""\r\nz",1\n') == [('x,"y"\r\nz', "1")]
    assert _rows(tmp_path, b'a,b\n5" pipe,"1\n', quote="none") == [('5" pipe', '"1')]


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        (b"a,b\n1,2\n3\n", {}, "line 3 has 1 fields where the header has 2"),
        (b"a,b\n1,2\n3,4,5\n", {}, "line 3 has 3 fields where the header has 2"),
        (b'a,b\n"x\ny",2\n3\n', {}, "line 4 has 1 fields"),
        (b'a,b\n1,"2\n3,4\n5,6\n', {}, "line 2 does not end: a quote is not closed"),
        (b'a,b\n1,5" pipe\n2,"3"\n', {}, "does not end: a quote is not closed"),
        (b'a,b\n1,5" x 3"\n', {}, "line 2 has a quote inside a field"),
        (b'a,b\n1,2\n"x"y,2\n', {}, "line 3 has a quote inside a field"),
        (b"a,b\n1,2\r3,4\n", {}, "line 2 has a carriage return without a line feed"),
        (b"a,a\n1,2\n", {}, "column a occurs more than once"),
        (b"a;b\n1;2\n", {}, "its header is one column, and has a semicolon in it: declare delimiter"),
        (b"a,b\n1,2\n", {"delimiter": ";"}, "has a comma in it"),
        (b"a,b\n1,\xfcx\n", {}, "byte 6 is not utf-8"),
        (b"a,b\n1,2\xe2\x82", {}, "is not utf-8"),
        ("a,b\n1,2\n".encode("utf-16"), {}, "byte-order mark of UTF-16; declare encoding utf-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), {}, "NUL bytes; declare the encoding"),
        (b"\na,b\n1,2\n", {}, "its first line is blank"),
        (b"\xef\xbb\xbf", {}, "0 bytes"),
        (b"a,b\n", {"encoding": "no-such"}, "declares an encoding that Python does not know"),
        (b"a,b\n", {"encoding": "rot13"}, "declares an encoding that Python does not know"),
        (b"a,b\n", {"delimiter": "::"}, "not one ASCII sign"),
    ],
)
def test_what_is_not_a_table_is_refused_with_its_line(tmp_path, data, options, reason):
    """Nothing is skipped, filled up or guessed: the reason has the line and what to do."""
    assert reason in _reason(tmp_path, data, **options)


def test_a_column_may_have_no_name(tmp_path):
    """The index that some writers put in front is a column like others."""
    found = _delivery(tmp_path, b",b\n0,x\n")
    assert list(found.columns) == pl.concat(found.frames()).columns == ["", "b"]


def test_a_header_alone_is_a_day_without_rows(tmp_path):
    """A file with a header and nothing else is readable and empty."""
    for data in (b"a,b\n", b"a,b", b"a,b\r\n\r\n"):
        found = _delivery(tmp_path, data)
        assert found.columns == {"a": "text", "b": "text"}
        assert list(found.frames()) == []


def test_a_blank_line_is_a_null_where_there_is_one_column(tmp_path):
    """In a file of one column an empty line is an empty field."""
    assert _rows(tmp_path, b"a\n1\n\n2\n") == [("1",), (None,), ("2",)]


def test_columns_that_nobody_asked_for_are_announced_and_left_out(tmp_path):
    """Frames have what the slot asks for, the delivery says what there was."""
    found = _delivery(tmp_path, b"a,b,c\n1,2,3\n", ("c", "a", "z"))
    assert list(found.columns) == ["a", "b", "c"]
    assert pl.concat(found.frames()).rows(named=True) == [{"a": "1", "c": "3"}]
    assert next(_delivery(tmp_path, b"a,b\n1,2\n", ("z",)).frames()).columns == ["a", "b"]


def test_lines_are_counted_across_blocks(tmp_path, monkeypatch):
    """A ragged record far into a file is found at its line, and rows come in bounded frames."""
    monkeypatch.setattr(text, "BLOCK", 1 << 20)
    whole = b"a,b\n" + b'1,"x\ny"\n' * 200_000
    found = _delivery(tmp_path, whole)
    heights = [frame.height for frame in found.frames()]
    assert sum(heights) == 200_000
    assert max(heights) <= BATCH_ROWS
    assert "line 400,002 has 3 fields" in _reason(tmp_path, whole + b"1,2,3\n")


def test_a_quote_that_never_closes_does_not_fill_the_memory(tmp_path, monkeypatch):
    """Reading stops where a record is longer than any can be."""
    monkeypatch.setattr("mlobs_pipelines.sources.delimited.LONGEST", 1 << 20)
    monkeypatch.setattr(text, "BLOCK", 1 << 18)
    assert "line 2 does not end" in _reason(tmp_path, b'a,b\n1,"' + b"x,\n" * 2_000_000)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
    block=st.integers(1, 40),
)
def test_what_was_written_is_read(tmp_path, rows, delimiter, encoding, block):
    """Any text in quotes comes back as it was, wherever blocks are cut."""
    lines = [("a", "b", "c"), *rows]
    quoted = [delimiter.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in line) for line in lines]
    data = "\n".join(quoted).encode(encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK", block)
        assert _rows(tmp_path, data, delimiter=delimiter, encoding=encoding) == rows
