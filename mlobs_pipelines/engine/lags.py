"""Counting how far labels have come: what has arrived, what is awaited, and what is to be said of it.

Which rows are counted is `scan`'s business; what the parts add up to is `core.summaries.labels`.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Flags, Floats
from mlobs_pipelines.engine.arrow import flags_in, of_texts
from mlobs_pipelines.engine.features import floats
from mlobs_pipelines.engine.groups import Assigned, Rows
from mlobs_pipelines.engine.parts import FlagPart, Part

_STATES = "predictions void overdue aged early revised conflicting"
STATE_CODES = {name: code for code, name in enumerate(_STATES.split())}


class Lags:
    """Labels by lag, predictions without one by age, and rows by the state of their label.

    Parameters
    ----------
    cuts
        Number of segmentations.
    unit_s
        Width of a lag bucket in seconds.
    horizons_s
        Maturities in seconds, ascending; the last is the label horizon.
    """

    def __init__(self, cuts: int, unit_s: float, horizons_s: Sequence[float]) -> None:
        self._unit_s, self._horizons_s = unit_s, horizons_s
        self._arrived, self._pending = Part(cuts, "label", "arrived"), Part(cuts, "label", "pending")
        self._state, self._mature, self._in_time = (
            FlagPart(cuts, "label", name) for name in ("state", "mature", "in_time")
        )
        self._settled, self._young, self._fresh = (
            Part(cuts, "label", name) for name in ("settled", "young", "fresh")
        )
        counts = [self._arrived, self._pending, self._settled, self._young, self._fresh]
        self.parts = [*counts, self._state, self._mature, self._in_time]

    def add(self, rows: Assigned, scored: Rows) -> None:
        """Count rows that have a score."""
        lag, age = floats(scored.column("lag_s")), floats(scored.column("age_s"))
        known, horizon = np.isfinite(lag), self._horizons_s[-1]
        arrived = np.where(known, np.ceil(np.where(known, lag, 0.0).clip(0) / self._unit_s), -1)
        pending = np.where(known, -1, np.floor(age / self._unit_s))
        self._arrived.add(rows, arrived.astype(np.int64))
        self._pending.add(rows, pending.astype(np.int64))
        self._progress(rows, lag, age)
        void = flags_in(pc.is_in(scored.column("state"), of_texts(["void"])))
        states = {
            "predictions": known | ~known,
            "void": void,
            "overdue": ~known & (age > horizon),
            "aged": age > horizon,
            "early": known & _above(scored, "early", 0),
            "revised": known & _above(scored, "revisions", 1),
            "conflicting": known & _above(scored, "conflict", 0),
        }
        self._state.add_flags(rows, [states[name] for name in STATE_CODES])
        mature = [age >= h for h in self._horizons_s]
        self._mature.add_flags(rows, mature)
        in_time = [m & known & (lag <= h) for m, h in zip(mature, self._horizons_s, strict=True)]
        self._in_time.add_flags(rows, in_time)

    def _progress(self, rows: Assigned, lag: Floats, age: Floats) -> None:
        """Lags that have come to an end, ages of labelled predictions under the horizon, and what is news."""
        known, old, horizon = np.isfinite(lag), age >= self._horizons_s[-1], self._horizons_s[-1]
        waited = np.where(known, lag, 0.0)
        since = np.floor((age - waited) / self._unit_s)
        codes = {
            self._settled: np.where(
                known & old & (lag <= horizon), np.ceil(waited.clip(0) / self._unit_s), -1
            ),
            self._young: np.where(known & ~old, np.floor(age / self._unit_s), -1),
            self._fresh: np.where(known & (since < horizon // self._unit_s), since, -1),
        }
        for part, found in codes.items():
            part.add(rows, found.astype(np.int64))


def _above(rows: Rows, name: str, least: int) -> Flags:
    """Rows of which a column that not every table has says more than `least`."""
    if name not in rows.schema.names:
        return np.zeros(rows.num_rows, dtype=bool)
    return np.asarray(floats(rows.column(name)) > least)
