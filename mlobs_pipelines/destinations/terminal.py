"""Rows as text: a table that fits a terminal for a person, JSON or CSV for a program.

Which rows are shown is decided elsewhere; nothing here reads the lake, prints or knows a clock.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from rich.text import Text

Row = Mapping[str, Any]
GAP = "  "
HASH_SHOWN = 16
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Characters that move a terminal's cursor, or turn the direction of what follows
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
STYLES = {"fail": "bold red", "undecided": "yellow", "pass": "green", "provisional": "yellow"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column as text.

    Attributes
    ----------
    right
        Whether cells are flush right, as numbers are.
    spare
        Columns with a higher number are left out earlier where the terminal is too narrow; 0 always stays.
    """

    name: str
    cells: tuple[str, ...]
    right: bool = False
    spare: int = 0

    def __post_init__(self) -> None:
        """Show characters that a terminal would act on as what they are: not to be seen."""
        shown = (UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(one.split("\n"))) for one in self.cells)
        object.__setattr__(self, "cells", tuple(shown))

    @property
    def width(self) -> int:
        """Characters that the widest cell takes."""
        return max(map(len, (self.name, *self.cells)))

    def cell(self, text: str) -> str:
        """One cell at the column's width."""
        return text.rjust(self.width) if self.right else text.ljust(self.width)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns side by side, and what they all have in common."""

    common: str
    columns: tuple[Column, ...]

    def fit(self, width: int) -> tuple["Sheet", list[str]]:
        """Leave out what can be spared until the rest fits; also returns the names of what was left out."""
        kept, hidden = list(self.columns), []
        for column in sorted(self.columns, key=lambda column: -column.spare):
            if column.spare and sum(len(GAP) + one.width for one in kept) - len(GAP) > width:
                kept.remove(column)
                hidden.append(column.name)
        return Sheet(self.common, tuple(kept)), hidden

    def lines(self) -> list[Text]:
        """The sheet line by line, verdicts coloured; `Text.plain` has no colour."""
        found = [Text(self.common)] if self.common else []
        found.append(self._line([column.name for column in self.columns]))
        found[-1].stylize("bold")
        cells = zip(*(column.cells for column in self.columns), strict=True)
        return [*found, *(self._line(row) for row in cells)]

    def _line(self, row: Sequence[str]) -> Text:
        line = Text()
        for column, text in zip(self.columns, row, strict=True):
            line.append(GAP if line.plain else "").append(column.cell(text), style=STYLES.get(text, ""))
        line.rstrip()
        return line


def as_json(rows: Sequence[Row]) -> str:
    """A list of objects; undefined numbers are null, days and instants ISO 8601."""
    clean = [{name: _finite(value) for name, value in row.items()} for row in rows]
    return json.dumps(clean, default=_iso, indent=2, allow_nan=False)


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """A header and a line per row; the header is there without rows too.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(_iso(value)) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _iso(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def records(rows: Sequence[Row]) -> Sheet:
    """Any records as they are, hashes shortened."""
    return Sheet("", tuple(_record_column(name, [row[name] for row in rows]) for name in rows[0]))


def _record_column(name: str, values: Sequence[object]) -> Column:
    numbers = all(isinstance(value, int) for value in values)
    texts = (f"{value:,}" if numbers else str(value) for value in values)
    shown = (text[:HASH_SHOWN] if name.endswith("hash") else text for text in texts)
    return Column(name, tuple(shown), numbers)


def side_by_side(rows: Sequence[Row], metrics: Sequence[str]) -> Sheet:
    """One line per window and version with a column per metric, for rows without features and segments."""
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        key = (_window(row), str(row["model_version"]), str(row["role"]))
        lines.setdefault(key, {})[row["metric"]] = row
    ordered = sorted(lines)
    named = ("window", "version", "role")
    columns = [Column(name, tuple(key[index] for key in ordered)) for index, name in enumerate(named)]
    for metric in metrics:
        found = (lines[key].get(metric) for key in ordered)
        columns.append(Column(metric, tuple(_value(row) if row else "" for row in found), right=True))
    rests_on = (max(row["n"] for row in lines[key].values()) for key in ordered)
    return Sheet("", (*columns, Column("n", tuple(f"{n:,}" for n in rests_on), right=True)))


def development(rows: Sequence[Row], ages: Sequence[str]) -> Sheet:
    """One line per window and version: a metric at each age that it has reached, and now."""
    lines: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        at = row["maturity"] if row["maturity"] in ages else "now"
        lines.setdefault((str(row["model_version"]), _window(row)), {})[at] = row
    ordered = sorted(lines)
    columns = [
        Column(name, tuple(key[at] for key in ordered)) for at, name in enumerate(("version", "window"))
    ]
    for age in (*ages, "now"):
        found = (lines[key].get(age) for key in ordered)
        columns.append(Column(age, tuple(_value(row) if row else "" for row in found), right=True))
    now = [lines[key].get("now") for key in ordered]
    columns.append(Column("n", tuple(f"{row['n']:,}" if row else "" for row in now), right=True))
    columns.append(Column("labels now", tuple(row["maturity"] if row else "" for row in now)))
    return Sheet(f"metric {rows[0]['metric']}", tuple(columns))


def metric_rows(rows: Sequence[Row]) -> Sheet:
    """Rows of the metric store; what all of them share is said once, empty columns are left out."""
    shared, columns = [], []
    for name, read, right, spare in METRIC_COLUMNS:
        cells = tuple(read(row) for row in rows)
        if len(rows) > 1 and name in SHARED and len(set(cells)) == 1 and cells[0]:
            shared.append(f"{name} {cells[0]}")
        elif any(cells):
            columns.append(Column(name, cells, right, spare))
    return Sheet(", ".join(shared), tuple(columns))


def _window(row: Row) -> str:
    start, last = row["window_start"], row["window_end"] - timedelta(days=1)
    if row["window"] == "1mo":
        return f"1mo {start:%Y-%m}"
    return f"1d {last}" if row["window"] == "1d" else f"{row['window']} to {last}"


def _segment(row: Row) -> str:
    return f"{row['segment']}={row['segment_value']}" if row["segment"] else ""


def _value(row: Row) -> str:
    unit = row["unit"] if row["unit"] in {"h", "ms"} else ""
    return f"{_number(row['value'], row['unit'])} {unit}".rstrip()


def _number(value: float | None, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if unit == "rows" else f"{value:.1f}" if unit in {"h", "ms"} else f"{value:.4f}"


def _interval(row: Row) -> str:
    low, high = (_number(row[end], row["unit"]) for end in ("lower", "upper"))
    return f"{low} to {high}" if low and high else ""


def _labels(row: Row) -> str:
    return "" if row["label_coverage"] is None else f"{row['label_coverage']:.1%}"


def _as_is(name: str) -> Callable[[Row], str]:
    return lambda row: "" if row[name] in {None, "none"} else str(row[name])


SHARED = frozenset({"version", "role", "metric", "feature", "segment", "maturity"})
METRIC_COLUMNS: tuple[tuple[str, Callable[[Row], str], bool, int], ...] = (
    ("version", _as_is("model_version"), False, 0),
    ("role", _as_is("role"), False, 4),
    ("metric", _as_is("metric"), False, 0),
    ("feature", _as_is("feature"), False, 0),
    ("segment", _segment, False, 0),
    ("window", _window, False, 0),
    ("value", _value, True, 0),
    ("95 % interval", _interval, False, 3),
    ("n", lambda row: f"{row['n']:,}", True, 5),
    ("labels", _labels, True, 6),
    ("maturity", _as_is("maturity"), False, 7),
    ("verdict", _as_is("verdict"), False, 0),
    ("reason", _as_is("reason"), False, 8),
)
