"""One pass over a partition's rows into statistics: what is counted, and under which subject and part.

The parts are the contract between scanning and measuring; `core.summaries` says what each adds up to. The
counting itself is `core.tally`, the stored form is `cells`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.buckets import Grid, bucket_codes, cell_codes, score_codes
from mlobs_pipelines.core.vocabulary import Flags, Floats
from mlobs_pipelines.engine.cells import CELLS_SCHEMA, Grouping, coded_rows, groupings, named_rows

RELIABILITY_BINS = 15
RECOMPUTED = "pit__"
SAME = 1e-9
LOG_FLOOR = np.finfo(np.float64).eps
SKEW_CODES = {"pairs": 0, "mismatched": 1, "missing": 2, "extra": 3, "delta": 4, "sum": 5}
STATE_CODES = {"predictions": 0, "void": 1, "overdue": 2, "aged": 3}
CONFUSION_CODES = {"tp": 0, "fp": 1, "tn": 2, "fn": 3}


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """How one feature is counted.

    Attributes
    ----------
    name
        Column of the served value; the recomputed one is ``pit__<name>``.
    grid
        Cells of a numeric feature; None for a categorical one.
    recomputed
        Whether a point-in-time value exists to compare with.
    """

    name: str
    grid: Grid | None
    recomputed: bool = False


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """Everything a scan needs to know of a model.

    Attributes
    ----------
    features
        Features to count.
    segments
        Columns whose values get statistics of their own.
    thresholds
        Decision threshold per model version.
    good_status
        Statuses of a request that went well.
    lag_unit_s
        Width of a lag bucket in seconds.
    horizons_s
        Maturities in seconds, ascending; the last is the label horizon.
    """

    features: tuple[FeaturePlan, ...]
    segments: tuple[str, ...]
    thresholds: Mapping[str, float]
    good_status: tuple[str, ...] = ("ok",)
    lag_unit_s: float = 3600.0
    horizons_s: tuple[float, ...] = field(default=(7 * 86400.0,))


def scan_log(log: pa.Table, plan: ScanPlan) -> pa.Table:
    """Count features, skew and operations of prediction-log rows.

    Parameters
    ----------
    log
        ``day``, ``model_version``, ``role``, ``status``, ``latency_ms``, segments, served features and, where
        they exist, recomputed ones (``pit__<feature>``) and ``sample_weight``: for how many rows each stands.

    Returns
    -------
    pyarrow.Table
        Rows of ``CELLS_SCHEMA``.
    """
    groups = groupings(log, plan.segments)
    return _concat([*scan_features(log, groups, plan.features), *_operations(log, groups, plan.good_status)])


def scan_labels(labelled: pa.Table, plan: ScanPlan) -> pa.Table:
    """Count scores by label, and how far labels have come, of labelled prediction rows.

    Parameters
    ----------
    labelled
        ``day``, ``model_version``, ``role``, ``score``, ``label``, ``state``, ``lag_s``, ``age_s``, segments
        and, where rows were sampled, ``sample_weight``.

    Returns
    -------
    pyarrow.Table
        Rows of ``CELLS_SCHEMA``.
    """
    scored = labelled.filter(labelled.column("score").is_valid())
    groups = groupings(scored, plan.segments)
    return _concat([*_scores(scored, groups, plan), *_lags(scored, groups, plan)])


def scan_features(
    table: pa.Table, groups: Sequence[Grouping], features: Sequence[FeaturePlan]
) -> Iterator[pa.Table]:
    """Count each feature, its missing rows, and its skew where it was recomputed."""
    for feature in features:
        column = table.column(feature.name)
        null = column.is_null().to_numpy()
        values = None if feature.grid is None else floats(column)
        bad = np.zeros(null.size, dtype=bool) if values is None else ~null & ~np.isfinite(values)
        codes = None if values is None else _cells(values, feature.grid or Grid(), ~null & ~bad)
        skew = _skew_codes(table, feature, values) if feature.recomputed else None
        for group in groups:
            # 0: present, 1: null, 2: NaN or infinite
            yield coded_rows(group, feature.name, "rows", np.where(null, 1, np.where(bad, 2, 0)))
            if codes is None:
                yield named_rows(group, feature.name, column)
            else:
                yield coded_rows(group, feature.name, "cells", codes)
            if skew is not None:
                yield _skew_rows(group, feature.name, skew)


def floats(column: pa.ChunkedArray) -> Floats:
    """Read a column as float64; nulls become NaN.

    Returns
    -------
    (n,) float64
    """
    # A safe cast would refuse integers beyond 2**53, and quote them.
    values: Floats = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64, copy=False)
    return values


def _cells(values: Floats, grid: Grid, finite: Flags) -> np.ndarray:
    codes = np.full(values.size, -1, dtype=np.int64)
    codes[finite] = cell_codes(values[finite] + 0.0, grid)
    return codes


@dataclass(frozen=True, slots=True)
class _Skew:
    codes: tuple[np.ndarray, ...]
    values: Floats


def _skew_codes(table: pa.Table, feature: FeaturePlan, served: Floats | None) -> _Skew:
    left, right = table.column(feature.name), table.column(RECOMPUTED + feature.name)
    no_left, no_right = left.is_null().to_numpy(), right.is_null().to_numpy()
    both = ~no_left & ~no_right
    delta = total = np.zeros(both.size)
    if served is None:
        equal = pc.fill_null(pc.equal(left, right), False).to_numpy()  # noqa: FBT003 - arrow's signature
    else:
        recomputed = floats(right)
        delta, total = np.abs(served - recomputed), np.abs(served) + np.abs(recomputed)
        equal = delta <= SAME * total
    flags = {
        "pairs": ~no_left | ~no_right,
        "mismatched": both & ~equal,
        "missing": no_left & ~no_right,
        "extra": ~no_left & no_right,
        "delta": both,
        "sum": both,
    }
    codes = tuple(np.where(flag, SKEW_CODES[name], -1) for name, flag in flags.items())
    return _Skew(codes, np.concatenate([np.zeros(4 * both.size), delta, total]))


def _skew_rows(group: Grouping, name: str, skew: _Skew) -> pa.Table:
    repeated = group.repeated(len(skew.codes))
    return coded_rows(repeated, name, "skew", np.concatenate(skew.codes), skew.values)


def _operations(log: pa.Table, groups: Sequence[Grouping], good: Sequence[str]) -> Iterator[pa.Table]:
    fine = pc.fill_null(pc.is_in(log.column("status"), pa.array(good)), False).to_numpy()  # noqa: FBT003
    latency = floats(log.column("latency_ms"))
    measured = np.isfinite(latency)
    codes = np.full(latency.size, -1, dtype=np.int64)
    codes[measured] = bucket_codes(latency[measured])
    for group in groups:
        yield coded_rows(group, "requests", "status", np.where(fine, 0, 1))
        yield coded_rows(group, "requests", "latency", codes)


def _scores(scored: pa.Table, groups: Sequence[Grouping], plan: ScanPlan) -> Iterator[pa.Table]:
    score, label = floats(scored.column("score")), floats(scored.column("label"))
    codes = score_codes(score)
    labelled, positive = np.isfinite(label), label == 1.0
    masks = {"positive": positive, "negative": labelled & ~positive, "unlabelled": ~labelled}
    thresholds = pa.array([plan.thresholds[name] for name in scored.column("model_version").to_pylist()])
    confusion = _confusion(score >= thresholds.to_numpy(zero_copy_only=False), positive)
    target = np.where(labelled, label, 0.0)
    exact = {"log_loss": _log_loss(score, target), "squared_error": (score - target) ** 2}
    bins = np.minimum((score * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    for group in groups:
        for part, mask in masks.items():
            yield coded_rows(group, "score", part, np.where(mask, codes, -1))
        yield coded_rows(group, "score", "confusion", np.where(labelled, confusion, -1))
        for part, values in exact.items():
            yield coded_rows(group, "score", part, np.where(labelled, 0, -1), values)
        for part in ("positive", "negative"):
            yield coded_rows(group, "score", f"reliability_{part}", np.where(masks[part], bins, -1), score)


def _confusion(predicted: Flags, positive: Flags) -> np.ndarray:
    code = CONFUSION_CODES
    hit = np.where(predicted, code["tp"], code["fn"])
    return np.where(positive, hit, np.where(predicted, code["fp"], code["tn"]))


def _log_loss(score: Floats, target: Floats) -> Floats:
    clipped = np.clip(score, LOG_FLOOR, 1 - LOG_FLOOR)
    loss: Floats = -np.where(target == 1.0, np.log(clipped), np.log1p(-clipped))
    return loss


def _lags(scored: pa.Table, groups: Sequence[Grouping], plan: ScanPlan) -> Iterator[pa.Table]:
    lag, age = floats(scored.column("lag_s")), floats(scored.column("age_s"))
    known, horizon = np.isfinite(lag), plan.horizons_s[-1]
    void = pc.equal(scored.column("state"), "void").to_numpy()
    arrived = np.where(known, np.ceil(np.where(known, lag, 0.0).clip(0) / plan.lag_unit_s), -1)
    pending = np.where(known, -1, np.floor(age / plan.lag_unit_s))
    states = {
        "predictions": known | ~known,
        "void": void,
        "overdue": ~known & (age > horizon),
        "aged": age > horizon,
    }
    mature = [age >= h for h in plan.horizons_s]
    in_time = [m & known & (lag <= h) for m, h in zip(mature, plan.horizons_s, strict=True)]
    for group in groups:
        yield coded_rows(group, "label", "arrived", arrived.astype(np.int64))
        yield coded_rows(group, "label", "pending", pending.astype(np.int64))
        yield _flag_rows(group, "state", [states[name] for name in STATE_CODES])
        yield _flag_rows(group, "mature", mature)
        yield _flag_rows(group, "in_time", in_time)


def _flag_rows(group: Grouping, part: str, flags: Sequence[Flags]) -> pa.Table:
    codes = np.concatenate([np.where(flag, code, -1) for code, flag in enumerate(flags)])
    return coded_rows(group.repeated(len(flags)), "label", part, codes)


def _concat(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables) if tables else CELLS_SCHEMA.empty_table()
