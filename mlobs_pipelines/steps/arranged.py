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
    inside = pc.is_in(rows.column("day"), pa.array([day.isoformat() for day in days]))
    kept = rows if pc.all(inside).as_py() else rows.filter(inside)
    return Counts(_parts(kept), groups_of(kept), days, spans)


def single(rows: pa.Table) -> Counts:
    """Statistics without a calendar, such as a baseline's, as those of one window."""
    day = pa.repeat(pa.scalar(_PLACEHOLDER.isoformat()), rows.num_rows)
    dated = rows.set_column(rows.column_names.index("day"), "day", day)
    return arranged(dated, [Span(Window.DAY, _PLACEHOLDER, _PLACEHOLDER + timedelta(days=1))])


def groups_of(rows: pa.Table) -> list[Group]:
    """Segments and their values, in order; all rows are always the first."""
    found = rows.group_by(["segment", "segment_value"]).aggregate([])
    pairs = zip(found.column("segment").to_pylist(), found.column("segment_value").to_pylist(), strict=True)
    return sorted({EVERYONE, *pairs})


def _parts(rows: pa.Table) -> dict[tuple[str, str], pa.Table]:
    keys = pc.binary_join_element_wise(rows.column("subject"), rows.column("part"), "\x1f")
    encoded = keys.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    order = np.argsort(encoded.indices.to_numpy(), kind="stable")
    bounds = np.searchsorted(encoded.indices.to_numpy()[order], np.arange(len(encoded.dictionary) + 1))
    ordered = rows.take(pa.array(order))
    result = {}
    for position, name in enumerate(encoded.dictionary.to_pylist()):
        subject, part = name.split("\x1f")
        start, end = int(bounds[position]), int(bounds[position + 1])
        result[(subject, part)] = ordered.slice(start, end - start)
    return result
