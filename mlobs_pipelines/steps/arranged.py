"""Stored rows of statistics arranged for `Counts`: by subject and part, with the groups and days they are of.

What is read off them is `windows`.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.arrow import of_numbers, of_texts
from mlobs_pipelines.engine.groups import coded
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
    inside = pc.is_in(rows.column("day"), of_texts([day.isoformat() for day in days]))
    kept = rows if pc.all(inside).as_py() else rows.filter(inside)
    return Counts(_parts(kept), groups_of(kept), days, spans)


def single(rows: pa.Table) -> Counts:
    """Statistics without a calendar, such as a baseline's, as those of one window."""
    day = of_texts([_PLACEHOLDER.isoformat()] * rows.num_rows)
    dated = rows.set_column(rows.column_names.index("day"), "day", day)
    return arranged(dated, [Span(Window.DAY, _PLACEHOLDER, _PLACEHOLDER + timedelta(days=1))])


def groups_of(rows: pa.Table) -> list[Group]:
    """Segments and their values, in order; all rows are always the first."""
    (segment, names), (value, words) = (coded(rows.column(name)) for name in ("segment", "segment_value"))
    found = np.unique(segment.astype(np.int64) * len(words) + value).tolist()
    return sorted({EVERYONE, *((names[key // len(words)], words[key % len(words)]) for key in found)})


def _parts(rows: pa.Table) -> dict[tuple[str, str], pa.Table]:
    (subject, subjects), (part, parts) = (coded(rows.column(name)) for name in ("subject", "part"))
    keys = subject.astype(np.int64) * len(parts) + part
    order = np.argsort(keys, kind="stable")
    found, starts, sizes = np.unique(keys[order], return_index=True, return_counts=True)
    ordered = rows.take(of_numbers(order))
    names = ((subjects[key // len(parts)], parts[key % len(parts)]) for key in found.tolist())
    places = zip(starts.tolist(), sizes.tolist(), strict=True)
    return {name: ordered.slice(*place) for name, place in zip(names, places, strict=True)}
