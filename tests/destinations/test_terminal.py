"""Rows as text for terminals and programs."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.destinations import terminal
from tests.destinations.season import facts, row

LAST = facts().last_day


def rows():
    """Two rows that differ in metric, value and verdict."""
    return [
        {**row("auc", "v1", LAST, 0.71, window="28d", limit=0.65, below=True), "label_coverage": 0.98},
        {**row("latency_p95", "v1", LAST, 312.0, window="7d", limit=250), "label_coverage": None},
    ]


@given(st.integers(1, 300))
def test_a_table_never_cuts_a_cell(width):
    """Whatever the width, cells are whole: columns are left out and named instead."""
    sheet = terminal.metric_rows(rows())
    fitting, hidden = sheet.fit(width)
    assert [column.name for column in sheet.columns if column not in fitting.columns] == sorted(
        hidden, key=[column.name for column in sheet.columns].index
    )
    assert all(column.spare for column in sheet.columns if column.name in hidden)
    widest = max(len(line.plain) for line in fitting.lines()[1:])
    assert widest <= width or not any(column.spare for column in fitting.columns)


def test_what_all_rows_share_is_said_once():
    """A version that every row has stands above the table, not in a column."""
    sheet = terminal.metric_rows(rows())
    assert "version v1" in sheet.common
    assert "version" not in {column.name for column in sheet.columns}


def test_a_verdict_has_its_colour_and_plain_text_has_none():
    """Failing is red on a terminal; the plain line carries no escape sequence."""
    lines = terminal.metric_rows(rows()).lines()
    (failing,) = [line for line in lines if "fail" in line.plain]
    assert any("red" in str(span.style) for span in failing.spans)
    assert "\x1b" not in failing.plain


def test_json_has_no_undefined_numbers():
    """NaN and infinity become null, so that every JSON reader accepts the text."""
    text = terminal.as_json([{"value": math.nan, "upper": math.inf, "day": LAST}])
    assert json.loads(text) == [{"value": None, "upper": None, "day": LAST.isoformat()}]


def test_csv_has_its_header_without_rows():
    """An empty result still names its columns."""
    assert terminal.as_csv([], ["model", "value"]) == "model,value\n"


def test_metrics_stand_side_by_side():
    """One line holds all metrics of a window and version; one that is missing leaves its cell empty."""
    made = [row(name, "v1", LAST, 0.5, window="1mo") for name in ("auc", "ece")]
    sheet = terminal.side_by_side([*made, row("auc", "v2", LAST, 0.6, window="1mo")], ("auc", "ece"))
    cells = {column.name: column.cells for column in sheet.columns}
    assert cells["version"] == ("v1", "v2")
    assert (cells["auc"], cells["ece"]) == (("0.5000", "0.6000"), ("0.5000", ""))
