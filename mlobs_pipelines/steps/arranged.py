"""Stored rows of statistics arranged for `Counts`: by subject and part, with the groups and days they are of.

What is read off them is `windows`.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Ints, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.arrow import numbers_in, of_numbers, of_texts
from mlobs_pipelines.engine.groups import coded
from mlobs_pipelines.steps.unnested import LISTS, Places, Slices, Unnested
from mlobs_pipelines.steps.windows import Counts, Group

EVERYONE: Group = ("", "")
_PLACEHOLDER = date(1970, 1, 1)


def arranged(rows: pa.Table, spans: Sequence[Span]) -> Counts:
    """Daily statistics of one version, to be added up over windows.

    Parameters
    ----------
    rows
        Of any days; those outside of the windows are left out.
    spans
        The windows.
    """
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    days = [first + timedelta(days=offset) for offset in range((last - first).days)]
    names = of_texts([day.isoformat() for day in days])
    inside = pc.is_in(rows.column("day"), names)
    kept = rows if pc.all(inside).as_py() else rows.filter(inside)
    order, places = _by_part(kept)
    groups, group = _grouped(kept)
    day = numbers_in(pc.index_in(kept.column("day"), names)).astype(np.int64)
    lists = kept.select(LISTS).take(of_numbers(order))
    shape = len(groups), len(days)
    cells = Unnested.of(lists, places, group.take(order), day.take(order), shape)
    return Counts(Slices(kept, order, places), groups, days, spans, cells=cells)


def single(rows: pa.Table) -> Counts:
    """Statistics without a calendar, such as a baseline's, as those of one window."""
    day = of_texts([_PLACEHOLDER.isoformat()]).take(of_numbers(np.zeros(rows.num_rows, np.int64)))
    dated = rows.set_column(rows.column_names.index("day"), "day", day)
    return arranged(dated, [Span(Window.DAY, _PLACEHOLDER, _PLACEHOLDER + timedelta(days=1))])


def _grouped(rows: pa.Table) -> tuple[list[Group], Ints]:
    """Segments and their values, all rows first, the others in order; and which of them each row is of."""
    (segment, names), (value, words) = (coded(rows.column(name)) for name in ("segment", "segment_value"))
    found, of_row = np.unique(segment.astype(np.int64) * len(words) + value, return_inverse=True)
    pairs = [(names[key // len(words)], words[key % len(words)]) for key in found.tolist()]
    groups = sorted({EVERYONE, *pairs})
    place = {group: position for position, group in enumerate(groups)}
    return groups, np.array([place[pair] for pair in pairs], dtype=np.int64).take(of_row)


def _by_part(rows: pa.Table) -> tuple[Ints, Places]:
    """Order of the rows by part, then by subject, and where each of them stands."""
    (subject, subjects), (part, parts) = (coded(rows.column(name)) for name in ("subject", "part"))
    keys = part.astype(np.int64) * len(subjects) + subject
    order = np.argsort(keys, kind="stable")
    found, starts, sizes = np.unique(keys.take(order), return_index=True, return_counts=True)
    names = ((subjects[key % len(subjects)], parts[key // len(subjects)]) for key in found.tolist())
    places = zip(starts.tolist(), (starts + sizes).tolist(), strict=True)
    return order, dict(zip(names, places, strict=True))
