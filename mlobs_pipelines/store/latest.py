"""Tables that are kept by day and knowledge time: the newest of each day, as of any instant.

What the tables say is not known here; the metric store has its own, finer reading.
"""

from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.store.lake import Between, Lake, TableLayout
from mlobs_pipelines.store.tables import as_of_key


def latest(
    lake: Lake,
    model: str,
    layout: TableLayout,
    first: date | None = None,
    last: date | None = None,
    as_of: datetime | None = None,
) -> pa.Table:
    """Rows of a table with the keys ``day`` and ``as_of_key``: of each day those of its newest ``as_of``.

    Parameters
    ----------
    first, last
        Days to keep, both included.
    as_of
        Leaves out what was computed with knowledge of later instants.
    """
    if not lake.exists(model, layout.name):
        return layout.empty()
    span = Between(first.isoformat() if first else None, last.isoformat() if last else None)
    known = as_of_key(as_of.replace(microsecond=0)) if as_of else None
    where = {"day": span, "as_of_key": Between(None, known)}
    newest: dict[str, str] = {}
    for day, key in lake.partitions(model, layout.name, where=where):
        newest[day] = max(key, newest.get(day, ""))
    rows = lake.read(model, layout, where=where)
    keys = pc.binary_join_element_wise(rows.column("day"), rows.column("as_of_key"), "|")
    wanted = pa.array([f"{day}|{key}" for day, key in newest.items()], pa.string())
    return rows.filter(pc.is_in(keys, wanted))
