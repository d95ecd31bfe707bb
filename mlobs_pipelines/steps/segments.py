"""Which values of segments have metrics of their own: the most frequent ones of each version's training set.

A day's other values have too while there is room under the cap for all of them; else all are one, `OTHER`.
How values are folded is the engine's business.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.core.vocabulary import Ints
from mlobs_pipelines.engine.folding import CROSS, OTHER, UNKNOWN, Kept, Segment
from mlobs_pipelines.engine.groups import coded
from mlobs_pipelines.engine.requests import REQUESTS, STATUS
from mlobs_pipelines.steps.layouts import BASELINE_LAYOUT
from mlobs_pipelines.steps.stored import statistics_files
from mlobs_pipelines.steps.walk import Walk

_COLUMNS = ("model_version", "segment", "segment_value")
_FOLDED = {"subject": REQUESTS, "part": STATUS, "segment_value": OTHER}


def trained(monitor: Monitor, version: str, rows: pa.Table) -> dict[Segment, Kept]:
    """What is kept of the segments of which a training set has more values than the cap."""
    found = {}
    for cut in (*((name,) for name in monitor.segments), *monitor.crosses):
        texts, times = _counted(rows, cut)
        if len(texts) > monitor.segment_cap:
            common = sorted(zip((-times).tolist(), texts, strict=True))[: monitor.segment_cap]
            found[version, CROSS.join(cut)] = Kept(frozenset(text for _, text in common))
    return found


def _counted(rows: pa.Table, cut: Sequence[str]) -> tuple[list[str], Ints]:
    """Values of a segment, nulls left out, and the rows of each."""
    keys, names = np.zeros(rows.num_rows, dtype=np.int64), [""]
    for column in cut:
        codes, words = coded(rows.column(column))
        held, keys = np.unique(keys * len(words) + codes, return_inverse=True)
        pairs = (divmod(key, len(words)) for key in held.tolist())
        names = [CROSS.join(filter(None, (names[before], words[own]))) for before, own in pairs]
    times = np.bincount(keys, minlength=len(names))
    known = [at for at, name in enumerate(names) if name != UNKNOWN]
    return [names[at] for at in known], times[known]


def kept(walk: Walk) -> dict[Segment, Kept]:
    """What is kept of every segment, as the measured training sets have it."""
    rows = (
        walk.lake.read(walk.model, BASELINE_LAYOUT, columns=list(_COLUMNS)).group_by(_COLUMNS).aggregate([])
    )
    values: dict[Segment, set[str]] = {}
    for version, segment, value in zip(*(rows.column(name).to_pylist() for name in _COLUMNS), strict=True):
        if segment:
            values.setdefault((version, segment), set()).add(value)
    cap = walk.spec.monitor.segment_cap
    return {key: _kept(found - {UNKNOWN}, cap) for key, found in values.items()}


def _kept(values: set[str], cap: int) -> Kept:
    room = 0 if OTHER in values else max(cap - len(values), 0)
    return Kept(frozenset(values - {OTHER}), room)


def folded_rows(cells: pa.Table) -> dict[str, int]:
    """Rows of the log that are counted under `OTHER`, by segment."""
    found: dict[str, int] = {}
    rows = cells.select([*_FOLDED, "segment", "counts"]).filter(_is_folded())
    for row in rows.to_pylist():
        found[row["segment"]] = found.get(row["segment"], 0) + sum(row["counts"])
    return found


def folded_by_day(walk: Walk, days: Sequence[date]) -> dict[date, dict[str, int]]:
    """The same of days whose statistics are known; of others nothing."""
    found: dict[date, dict[str, int]] = {}
    for day, file in statistics_files(walk, list(days)):
        rows = file.to_table(columns=[*_FOLDED, "segment", "counts"], filter=_is_folded())
        for segment, count in folded_rows(rows).items():
            mine = found.setdefault(day, {})
            mine[segment] = mine.get(segment, 0) + count
    return found


def _is_folded() -> pc.Expression:
    known = [pc.field(name) == text for name, text in _FOLDED.items()]
    return known[0] & known[1] & known[2]


def note(values: Mapping[str, int], cap: int) -> str:
    """What a reader of a day's statistics should know of what was folded; "" if nothing was."""
    if not values:
        return ""
    named = ", ".join(f"{segment} ({count:,} values)" for segment, count in sorted(values.items()))
    return f"Beyond the cap of {cap:,} values per segment, counted together as {OTHER}: {named}."
