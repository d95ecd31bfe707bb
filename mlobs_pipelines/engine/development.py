"""Counting scores by the labels that were known at each declared horizon, not by those known now.

A label counts from the first horizon that it was known by; a value that a later one replaced, until then.
Every such stretch of horizons is a subject of its own, so a row is counted once however many horizons there
are. Which stretches make up a horizon is `stretch_holds`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Floats, Ints
from mlobs_pipelines.engine.arrow import flags_in, numbers_in, of_empty, of_numbers
from mlobs_pipelines.engine.features import floats
from mlobs_pipelines.engine.groups import Assigned, Groups, Moved, Rows
from mlobs_pipelines.engine.parts import Counted, merge_all
from mlobs_pipelines.engine.scores import ScorePlan, scores_of

AT = "@"
SAID = ("said_labels", "said_lags_s")


def stretch_of(subject: str) -> tuple[str, str]:
    """What a subject is about, and the stretch of horizons; "" for one that has none.

    Examples
    --------
    >>> stretch_of("score@86400-259200")
    ('score', '86400-259200')
    """
    about, _, stretch = subject.partition(AT)
    return about, stretch


def stretch_holds(stretch: str, horizon_s: float) -> bool:
    """Whether rows counted under a stretch, "<from>" or "<from>-<until>" in seconds, count at a horizon.

    Examples
    --------
    >>> [stretch_holds("3600-86400", horizon) for horizon in (60, 3600, 86400)]
    [False, True, False]
    """
    first, _, until = stretch.partition("-")
    return int(first) <= horizon_s and (not until or horizon_s < int(until))


class Development:
    """Scores of all rows together by the label known at each horizon.

    Parameters
    ----------
    plan
        What the scores are.
    horizons_s
        Maturities in seconds, ascending.
    """

    def __init__(self, plan: ScorePlan, horizons_s: Sequence[float]) -> None:
        self._plan, self._horizons_s = plan, np.asarray(horizons_s, np.float64)
        self._found = {key: scores_of(1, plan) for key in _stretches(len(horizons_s))}

    def add(self, rows: Assigned, scored: Rows) -> None:
        """Count rows that have a score."""
        at, label, lag, until = _values(scored)
        valued = flags_in(label.is_valid())  # a void one is no outcome
        first, last = (np.searchsorted(self._horizons_s, times) for times in (lag, until))
        for (start, end), scores in self._found.items():
            mine = np.flatnonzero((first == start) & (last == end) & valued)
            if mine.size:
                mine = mine[np.argsort(at[mine], kind="stable")]
                scores.add(_only(rows, at[mine]), self._said(scored, at[mine], label.take(of_numbers(mine))))

    def merge(self, other: "Development", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        for key, scores in self._found.items():
            merge_all(scores.parts, other._found[key].parts, moved)

    def _said(self, scored: Rows, at: Ints, labels: pa.Array) -> Rows:
        """Rows with the labels that they had, and what else their scores are counted by."""
        place = of_numbers(at)
        columns = {name: scored.column(name).take(place) for name in ("model_version", *self._plan.columns)}
        return pa.table({**columns, "label": labels})

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """What was counted, under subjects that name the stretch."""
        for key, scores in self._found.items():
            name = AT + self._name(*key)
            for part in scores.parts:
                yield from (replace(one, subject=one.subject + name) for one in part.counted(groups))

    def _name(self, start: int, end: int) -> str:
        first, *until = (int(self._horizons_s[at]) for at in (start, end) if at < self._horizons_s.size)
        return "-".join(map(str, (first, *until)))


def _stretches(horizons: int) -> list[tuple[int, int]]:
    return [(start, end) for start in range(horizons) for end in range(start + 1, horizons + 1)]


def _only(rows: Assigned, at: Ints) -> Assigned:
    """Rows at some positions, in the segmentation of all rows."""
    weights = None if rows.weights is None else rows.weights[at]
    return Assigned(rows.joint[at], rows.unions[:1], weights)


def _values(scored: Rows) -> tuple[Ints, pa.Array, Floats, Floats]:
    """All that was said of the rows: of which row, the label, its lag, and the lag of what came next."""
    lag, label = floats(scored.column("lag_s")), _whole(scored.column("label"))
    if SAID[0] not in scored.schema.names or scored.column(SAID[0]).null_count == scored.num_rows:
        plain = np.flatnonzero(np.isfinite(lag))
        return plain, label.take(of_numbers(plain)), lag[plain], np.full(plain.size, np.inf)
    changed = scored.column(SAID[0]).is_valid()
    labels, lags = (_whole(scored.column(name).filter(changed)) for name in SAID)
    at = np.flatnonzero(flags_in(changed))[numbers_in(pc.list_parent_indices(lags))]
    known = floats(lags.flatten())
    until = np.append(np.where(at[1:] == at[:-1], known[1:], np.inf), np.inf)
    plain = np.flatnonzero(np.isfinite(lag) & ~flags_in(changed))
    said = pa.concat_arrays([label.take(of_numbers(plain)), labels.flatten()])
    return (
        np.concatenate([plain, at]),
        said,
        np.concatenate([lag[plain], known]),
        np.concatenate([np.full(plain.size, np.inf), until]),
    )


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array, its texts not as a dictionary."""
    whole = column
    if isinstance(column, pa.ChunkedArray):
        whole = pa.concat_arrays([of_empty(column.type), *column.chunks])
    return whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole
