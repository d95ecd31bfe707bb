"""From stored statistics to summaries of windows: dense arrays over segments and days, added up by window.

Where rows were sampled, `Counts.layers` gives the same statistics by rows seen, by weight, and by its square.
Comparing a window with its baseline is `against`; what a metric makes of a summary is `core.metrics`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.buckets import LOGIT_LIMIT, SCORE_CELLS, bucket_edges
from mlobs_pipelines.core.distinct import Registers
from mlobs_pipelines.core.metrics.label_lag import CURVE_LAGS_H
from mlobs_pipelines.core.summaries import (
    GroupSummary,
    LabelSummary,
    OperationSummary,
    QueueSummary,
    ScoreSummary,
    SkewSummary,
)
from mlobs_pipelines.core.vocabulary import Amounts, Floats, Ints
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.arrow import numbers_in, of_texts
from mlobs_pipelines.engine.cells import (
    EXCESS,
    EXCESS_ONCE,
    EXCESS_TWICE,
    Flat,
    end_to_end,
    flatten,
)
from mlobs_pipelines.engine.moments import EXTREMES
from mlobs_pipelines.engine.requests import LATENCY, QUEUE, REQUESTS, STATUS, STATUS_CODES
from mlobs_pipelines.engine.scan import CONFUSION_CODES, RELIABILITY_BINS, SKEW_CODES, STATE_CODES
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.unnested import Daily, Located, Unnested

Group = tuple[str, str]
SCORE_PARTS = ("positive", "negative", "unlabelled")
LAG_HORIZONS = 4  # lags are told apart up to so many label horizons


@dataclass(frozen=True, slots=True)
class Counts:
    """One version's statistics, addressable by subject and part.

    Attributes
    ----------
    parts
        Stored rows by (subject, part).
    groups
        (segment, segment value) of each leading entry; the first is all rows.
    days
        Every calendar day from the first to the last that a span needs.
    spans
        The windows, in the order of the second axis of every result.
    power
        Power of a row's weight that its counts and sums are taken with: 0 for rows seen.
    shrink : (G, W)
        Factor of every count and sum, for weights that shall add up to what the rows are worth; None for 1.
    cells
        The same parts unnested, if they are.
    """

    parts: Mapping[tuple[str, str], pa.Table]
    groups: Sequence[Group]
    days: Sequence[date]
    spans: Sequence[Span]
    power: int = 0
    shrink: Floats | None = None
    cells: Unnested | None = None

    def layers(self) -> "Sequence[Counts]":
        """The statistics by rows seen and, where any row has a weight, weighted and by squared weight."""
        heavy = (
            (part.endswith(EXCESS) for _, part in self.parts) if self.cells is None else [self.cells.heavy]
        )
        if not any(heavy):
            return [self]
        return [self, replace(self, power=1), replace(self, power=2)]

    def of_group(self, group: Group, parts: Mapping[tuple[str, str], pa.Table]) -> "Counts":
        """The statistics of one group alone, whose rows of some parts are given."""
        return replace(self, parts=parts, groups=[group], cells=None)

    def flat(self, subject: str, part: str) -> Located:
        """Cells of a part, with the group and the day of each."""
        found = self._located(subject, part)
        if self.power == 0 or (subject, part + EXCESS) not in self.parts:
            return found
        return self._weighted(subject, part, found)

    def _weighted(self, subject: str, part: str, plain: Located) -> Located:
        """Add to plain cells what weights make them more, as cells of the same group, day and code."""
        seen, valued = replace(self, power=0), plain[0].sums.size > 0
        flat, *where = seen.flat(subject, part + EXCESS)
        counts = flat.sums if self.power == 1 else flat.squares
        nothing = np.zeros(counts.size if valued else 0)
        pieces = [plain, (replace(flat, counts=counts, sums=nothing, squares=nothing), *where)]
        if valued:
            flat, *where = seen.flat(subject, part + (EXCESS_ONCE if self.power == 1 else EXCESS_TWICE))
            pieces.append((replace(flat, counts=np.zeros(flat.counts.size)), *where))
        flats, groups, days = zip(*pieces, strict=True)
        return end_to_end(flats), np.concatenate(groups), np.concatenate(days)

    def _located(self, subject: str, part: str) -> Located:
        if self.cells is not None and (subject, part) in self.cells.places:
            return self.cells.located(subject, part)
        rows = self.parts.get((subject, part))
        if rows is None or not rows.num_rows:
            none = np.empty(0, dtype=np.int64)
            return Flat(none, none, None, none, np.empty(0), np.empty(0)), none, none
        flat = flatten(rows)
        return flat, self._groups(rows)[flat.row], self._days(rows)[flat.row]

    def _groups(self, rows: pa.Table) -> Ints:
        index = {group: position for position, group in enumerate(self.groups)}
        pairs = zip(rows.column("segment").to_pylist(), rows.column("segment_value").to_pylist(), strict=True)
        return np.array([index[pair] for pair in pairs], dtype=np.int64)

    def _days(self, rows: pa.Table) -> Ints:
        found: Ints = numbers_in(pc.index_in(rows.column("day"), _names(tuple(self.days)))).astype(np.int64)
        return found

    def windows(self, group: Ints, day: Ints, code: Ints, width: int, values: np.ndarray) -> np.ndarray:
        """Add values up by group, window and code.

        Returns
        -------
        (G, W, width) of the dtype of `values`
        """
        daily = np.zeros((len(self.groups), len(self.days), width), dtype=values.dtype)
        np.add.at(daily.reshape(-1), (group * len(self.days) + day) * width + code, values)
        return self._over_days(daily)

    def _over_days(self, daily: np.ndarray) -> np.ndarray:
        bounds = [tuple((end - self.days[0]).days for end in (span.start, span.end)) for span in self.spans]
        if len(bounds) > 1 and np.issubdtype(daily.dtype, np.integer):
            first, last = np.array(bounds).T
            running = np.concatenate([np.zeros_like(daily[:, :1]), daily.cumsum(axis=1)], axis=1)
            total: np.ndarray = running[:, last] - running[:, first]
        elif bounds == [(0, daily.shape[1])] and daily.shape[1] == 1:
            total = daily
        else:  # A running sum of floats would make a window depend on the days before it.
            total = np.stack([daily[:, start:end].sum(axis=1) for start, end in bounds], axis=1)
        return total if self.shrink is None else total * self.shrink[..., np.newaxis]

    def _daily(self, subject: str, part: str, width: int) -> tuple[Daily, int] | None:
        """A part of all subjects by day, and the place of one of them; None where it has to be looked up."""
        if self.cells is None or self.power != 0 or (subject, part) not in self.cells.places:
            return None
        daily = self.cells.daily(part, width)
        return None if daily is None else (daily, daily.subjects[subject])

    def counts(self, subject: str, part: str, width: int) -> Amounts:
        """Counts of a part with known codes 0 … width - 1."""
        known = self._daily(subject, part, width)
        if known is not None:
            return self._over_days(known[0].counts[known[1]])
        flat, group, day = self.flat(subject, part)
        return self.windows(group, day, flat.codes, width, flat.counts)

    def sums(self, subject: str, part: str, width: int) -> tuple[Floats, Floats]:
        """Σ and Σ² of a part with known codes 0 … width - 1."""
        known = self._daily(subject, part, width)
        if known is not None:
            first, second = (array[known[1]] for array in (known[0].sums, known[0].squares))
            return self._over_days(first), self._over_days(second)
        flat, group, day = self.flat(subject, part)
        first = self.windows(group, day, flat.codes, width, flat.sums)
        return first, self.windows(group, day, flat.codes, width, flat.squares)

    def greatest(self, subject: str, part: str, width: int) -> Registers:
        """Largest count of every code 0 … width - 1 in every window; 0 where there is none."""
        flat, group, day = self._located(subject, part)
        found = np.zeros((len(self.groups), len(self.spans), width), dtype=np.uint8)
        for index, span in enumerate(self.spans):
            first, last = ((end - self.days[0]).days for end in (span.start, span.end))
            mine = (first <= day) & (day < last)
            np.maximum.at(found[:, index], (group[mine], flat.codes[mine]), flat.counts[mine])
        return found

    def extremes(self, subject: str) -> tuple[Floats, Floats]:
        """Least and greatest value of a number in every window; infinite where it has none.

        Returns
        -------
        (G, W), (G, W)
        """
        flat, group, day = self.flat(subject, EXTREMES)
        shape = (len(self.groups), len(self.days))
        least, greatest = np.full(shape, np.inf), np.full(shape, -np.inf)
        np.minimum.at(least.reshape(-1), group * shape[1] + day, flat.sums)
        np.maximum.at(greatest.reshape(-1), group * shape[1] + day, flat.squares)
        days = [slice(*((end - self.days[0]).days for end in (s.start, s.end))) for s in self.spans]
        low = [np.minimum.reduce(least[:, some], axis=1, initial=np.inf) for some in days]
        high = [np.maximum.reduce(greatest[:, some], axis=1, initial=-np.inf) for some in days]
        return np.stack(low, axis=1), np.stack(high, axis=1)


@lru_cache(maxsize=8)
def _names(days: tuple[date, ...]) -> pa.Array:
    """Days as they are stored; every part of the statistics is looked up by them."""
    return of_texts([day.isoformat() for day in days])


def score_summary(counts: Counts) -> ScoreSummary:
    """Scores by label of every window."""
    parts = [counts.flat(SCORE, part) for part in ("positive", "negative")]
    codes = np.unique(np.concatenate([flat.codes for flat, _, _ in parts]))
    positives, negatives = (
        counts.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)
        for flat, group, day in parts
    )
    flat, group, day = counts.flat(SCORE, "unlabelled")
    unlabelled = counts.windows(group, day, np.zeros_like(flat.codes), 1, flat.counts)[..., 0]
    confusion = counts.counts(SCORE, "confusion", len(CONFUSION_CODES))
    loss, loss_sq = counts.sums(SCORE, "log_loss", 1)
    error, error_sq = counts.sums(SCORE, "squared_error", 1)
    bins = [
        counts.counts(SCORE, f"reliability_{part}", RELIABILITY_BINS) for part in ("positive", "negative")
    ]
    sums = [counts.sums(SCORE, f"reliability_{part}", RELIABILITY_BINS) for part in ("positive", "negative")]
    low, high = score_edges(codes)
    shares: dict[str, Any] = {name: confusion[..., code] for name, code in CONFUSION_CODES.items()}
    return ScoreSummary(
        positives=positives,
        negatives=negatives,
        unlabelled=unlabelled,
        **shares,
        log_loss=loss[..., 0],
        log_loss_sq=loss_sq[..., 0],
        squared_error=error[..., 0],
        squared_error_sq=error_sq[..., 0],
        bin_n=bins[0] + bins[1],
        bin_positives=bins[0],
        bin_score=sums[0][0] + sums[1][0],
        bin_score_sq=sums[0][1] + sums[1][1],
        bin_score_positives=sums[0][0],
        low=low,
        high=high,
    )


def score_edges(codes: Ints) -> tuple[Floats, Floats]:
    """Edges of score cells; the outermost reach to 0 and 1."""
    ends = [(codes + step) / SCORE_CELLS * 2 * LOGIT_LIMIT - LOGIT_LIMIT for step in (0, 1)]
    low, high = (1 / (1 + np.exp(-end)) for end in ends)
    return np.where(codes == 0, 0.0, low), np.where(codes == SCORE_CELLS - 1, 1.0, high)


def decisions(counts: Counts, parts: Sequence[str], threshold: float) -> tuple[Amounts, Amounts]:
    """Scored rows under and from the threshold on, and those in the one cell that the threshold cuts.

    Returns
    -------
    (G, W, 2), (G, W)
        The rows of the cut cell are all counted on the side that has more of it.
    """
    cut, inside = threshold_cell(threshold)
    found = []
    for part in parts:
        flat, group, day = counts.flat(SCORE, part)
        side = np.where(flat.codes < cut, 0, np.where((flat.codes > cut) | (inside == 0), 1, 2))
        found.append(counts.windows(group, day, side, 3, flat.counts))
    rows = np.sum(found, axis=0)
    classes = rows[..., :2].copy()
    classes[..., int(inside < 0.5)] += rows[..., 2]
    return classes, rows[..., 2]


def threshold_cell(threshold: float) -> tuple[float, float]:
    """The score cell that a threshold lies in, and how far inside of it: 0 at its lower edge."""
    logit = math.log(threshold) - math.log1p(-threshold) if 0 < threshold < 1 else (threshold - 0.5) * np.inf
    position = (min(max(logit, -LOGIT_LIMIT), LOGIT_LIMIT) + LOGIT_LIMIT) / (2 * LOGIT_LIMIT) * SCORE_CELLS
    return divmod(position, 1)


def group_summary(counts: Counts, threshold: float) -> GroupSummary:
    """Decisions in every group of every segment, in the windows of all rows."""
    names = tuple(dict.fromkeys(segment for segment, _ in counts.groups if segment))
    mine = [position for position, (segment, _) in enumerate(counts.groups) if segment]
    classes, _ = decisions(counts, SCORE_PARTS, threshold)
    confusion = counts.counts(SCORE, "confusion", len(CONFUSION_CODES))
    tp, fp, tn, fn = (confusion[..., CONFUSION_CODES[name]] for name in ("tp", "fp", "tn", "fn"))
    rows: dict[str, Any] = {
        "scored": classes.sum(axis=-1),
        "selected": classes[..., 1],
        "positives": tp + fn,
        "hits": tp,
        "negatives": tn + fp,
        "false_alarms": fp,
    }
    segment = np.array([names.index(counts.groups[position][0]) for position in mine], dtype=np.int64)
    rows = {name: array[mine].T for name, array in rows.items()}
    return GroupSummary(**rows, segment=segment, names=names)


def label_summary(counts: Counts, unit_h: float, horizons_h: Floats) -> LabelSummary:
    """How far the labels of every window have come."""
    # A fixed width: if it followed the data, a window's curve would depend on the windows scored beside it.
    beyond = math.ceil(max(LAG_HORIZONS * float(horizons_h[-1]), CURVE_LAGS_H[-1]) / unit_h) + 1
    parts = [counts.flat("label", part) for part in ("arrived", "pending")]
    arrived, pending = (
        counts.windows(group, day, np.minimum(flat.codes, beyond), beyond + 1, flat.counts)
        for flat, group, day in parts
    )
    state = counts.counts("label", "state", len(STATE_CODES))
    states: dict[str, Any] = {name: state[..., code] for name, code in STATE_CODES.items()}
    units = round(float(horizons_h[-1]) / unit_h)
    return LabelSummary(
        **states,
        settled=counts.counts("label", "settled", units + 1),
        young=counts.counts("label", "young", units),
        fresh=counts.counts("label", "fresh", units),
        arrived=arrived,
        pending=pending,
        mature=counts.counts("label", "mature", horizons_h.size),
        mature_labelled=counts.counts("label", "in_time", horizons_h.size),
        unit_h=unit_h,
        horizons_h=horizons_h,
    )


def operation_summary(counts: Counts) -> OperationSummary:
    """Requests and latency of every window."""
    status = counts.counts(REQUESTS, STATUS, len(STATUS_CODES))
    total, timeouts = status.sum(axis=-1), status[..., STATUS_CODES["timeout"]]
    errors = total - status[..., STATUS_CODES["good"]]
    return OperationSummary(total, errors, timeouts, *sized(counts, REQUESTS, LATENCY), _hours(counts))


def requests_of(counts: Counts) -> Amounts:
    """Requests of every group and window."""
    return np.asarray(counts.counts(REQUESTS, STATUS, len(STATUS_CODES)).sum(axis=-1))


def queue_summary(counts: Counts) -> QueueSummary:
    """Time waited by the requests of every window."""
    return QueueSummary(*sized(counts, REQUESTS, QUEUE))


def sized(counts: Counts, subject: str, part: str) -> tuple[Amounts, Floats, Floats]:
    """Rows per cell of the grid that is the same for all models, and the edges of the cells."""
    flat, group, day = counts.flat(subject, part)
    # A quantile takes one cell at least, be it empty: a training set has no latency.
    codes = np.unique(flat.codes if flat.codes.size else np.zeros(1)).astype(np.int32)
    found = counts.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)
    return found, *bucket_edges(codes)


def _hours(counts: Counts) -> Floats:
    """Hours of each window's days on which there was any request."""
    _, _, day = counts.flat(REQUESTS, STATUS)
    present = {counts.days[index] for index in np.unique(day).tolist()}
    return np.array([24.0 * span.present(present) for span in counts.spans])


def skew_summary(counts: Counts, name: str, *, numeric: bool) -> SkewSummary:
    """One feature as served against as recomputed, in every window."""
    seen = counts.counts(name, "skew", len(SKEW_CODES))
    sums, _ = counts.sums(name, "skew", len(SKEW_CODES))
    pairs: dict[str, Any] = {
        key: seen[..., SKEW_CODES[key]] for key in ("pairs", "mismatched", "missing", "extra")
    }
    return SkewSummary(
        **pairs,
        absolute_delta=sums[..., SKEW_CODES["delta"]],
        absolute_sum=sums[..., SKEW_CODES["sum"]],
        numeric=numeric,
    )
