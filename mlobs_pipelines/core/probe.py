"""A metric tried out on made-up windows: what every metric promises, held against one that a user wrote.

The promises are those that the product's own metrics are tested for with many random windows.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields

import numpy as np

from mlobs_pipelines.core.metrics.registry import Metric
from mlobs_pipelines.core.summaries import (
    AttributionPanel,
    AttributionSummary,
    ClassCorrectedSummary,
    ClassEstimatedSummary,
    ClassExpectedSummary,
    ClassLagSummary,
    ClassPairSummary,
    CorrectedSummary,
    EstimatedSummary,
    FeatureSummary,
    LabelSourceSummary,
    LabelSummary,
    MulticlassSummary,
    OperationSummary,
    PairSummary,
    QueueSummary,
    RegressionSummary,
    ScoreSummary,
    SkewSummary,
    Summary,
    ValueEstimatedSummary,
    ValuePairSummary,
)
from mlobs_pipelines.core.vocabulary import Estimate, Ints

SHAPE = (2, 3)  # groups and windows
CELLS = 16
_BINS = 15


def _some(width: int, seed: int, shape: tuple[int, ...] = SHAPE) -> Ints:
    """Counts between 0 and 10 that follow no pattern a metric could rest on."""
    size = int(np.prod(shape)) * width
    counts: Ints = ((np.arange(size, dtype=np.int64) + seed) ** 2 * 7919 % 11).reshape(*shape, width)
    return counts


def _feature() -> FeatureSummary:
    cells, before, nulls = _some(CELLS, 1), _some(CELLS, 2, (1, 1)), _some(1, 3)
    edges = np.linspace(-4.0, 4.0, CELLS + 1)
    bins = np.concatenate([cells.reshape(*SHAPE, 4, -1).sum(axis=-1), nulls], axis=-1)
    base_bins = np.append(before.reshape(1, 1, 4, -1).sum(axis=-1), [[[2]]], axis=-1)
    return FeatureSummary(
        n=bins.sum(axis=-1),
        nulls=nulls[..., 0],
        nonfinite=np.zeros(SHAPE, dtype=np.int64),
        bins=bins,
        cells=cells,
        atom=np.zeros(CELLS, dtype=bool),
        ordered=True,
        baseline_n=base_bins.sum(axis=-1),
        baseline_nulls=base_bins[..., -1],
        baseline_bins=base_bins,
        baseline_cells=before,
        low=edges[:-1],
        high=edges[1:],
        distance=cells.sum(axis=-1) * 0.5,
        distance_sq=cells.sum(axis=-1) * 2.0,
        least=np.full(SHAPE, -4.0),
        greatest=np.full(SHAPE, 4.0),
    )


def _score() -> ScoreSummary:
    positives, negatives = _some(CELLS, 4), _some(CELLS, 5)
    n = positives.sum(axis=-1) + negatives.sum(axis=-1)
    half = CELLS // 2
    bins = (np.arange(CELLS) * _BINS) // CELLS
    sure = np.eye(_BINS, dtype=np.int64)[bins]
    bin_positives, bin_n = positives @ sure, (positives + negatives) @ sure
    middle = (np.arange(_BINS) + 0.5) / _BINS
    return ScoreSummary(
        positives=positives,
        negatives=negatives,
        unlabelled=_some(1, 6)[..., 0],
        tp=positives[..., half:].sum(axis=-1),
        fp=negatives[..., half:].sum(axis=-1),
        tn=negatives[..., :half].sum(axis=-1),
        fn=positives[..., :half].sum(axis=-1),
        log_loss=0.5 * n,
        log_loss_sq=0.5 * n,
        squared_error=0.25 * n,
        squared_error_sq=0.125 * n,
        bin_n=bin_n,
        bin_positives=bin_positives,
        bin_score=bin_n * middle,
        bin_score_sq=bin_n * middle**2,
        bin_score_positives=bin_positives * middle,
        low=np.arange(CELLS) / CELLS,
        high=np.arange(1, CELLS + 1) / CELLS,
    )


def _multiclass() -> MulticlassSummary:
    confusion = _some(9, 11).reshape(*SHAPE, 3, 3) + np.eye(3, dtype=np.int64)
    n = confusion.sum(axis=(-2, -1))
    cells = np.eye(CELLS, dtype=np.int64)[[3, 8, 12]]
    true = confusion.sum(axis=-1)[..., np.newaxis] * cells
    bins = n[..., np.newaxis] * np.eye(_BINS, dtype=np.int64)[10]
    right = np.trace(confusion, axis1=-2, axis2=-1)[..., np.newaxis] * np.eye(_BINS, dtype=np.int64)[10]
    return MulticlassSummary(
        confusion=confusion,
        positives=true,
        negatives=(n[..., np.newaxis, np.newaxis] * cells - true)[..., ::-1],
        unlabelled=_some(1, 12)[..., 0],
        log_loss=0.5 * n,
        log_loss_sq=0.5 * n,
        squared_error=0.25 * n,
        squared_error_sq=0.125 * n,
        bin_n=bins,
        bin_correct=right,
        bin_score=0.7 * bins,
        bin_score_sq=0.49 * bins,
        bin_score_correct=0.7 * right,
        classes=("a", "b", "c"),
        low=np.arange(CELLS) / CELLS,
        high=np.arange(1, CELLS + 1) / CELLS,
    )


def _regression() -> RegressionSummary:
    errors = _some(CELLS, 13)
    edges = np.arange(CELLS + 1.0)
    middle = edges[:-1] + 0.5
    n, zero = errors.sum(axis=-1), _some(1, 14)[..., 0] // 4
    sums = [(errors * middle**power).sum(axis=-1) for power in (1, 2, 4)]
    return RegressionSummary(
        n=n,
        unlabelled=zero,
        error=sums[0] / 3,
        error_sq=sums[1],
        error_4=sums[2],
        absolute=sums[0],
        label=0.1 * n,
        label_sq=400.0 * n,
        cross=0.2 * n,
        relative=0.3 * (n - zero),
        relative_sq=0.2 * (n - zero),
        zero=zero,
        errors=errors,
        low=edges[:-1],
        high=edges[1:],
        centre=100.0,
        cross_sq=2000.0 * n,
        label_3=500.0 * n,
        label_4=500_000.0 * n,
        error_sq_label=10.0 * n,
    )


def _label() -> LabelSummary:
    arrived, pending = _some(200, 7), _some(200, 8)
    n = arrived.sum(axis=-1) + pending.sum(axis=-1)
    aged = n // 2
    mature = np.stack([n - 1, aged], axis=-1)
    return LabelSummary(
        predictions=n,
        arrived=arrived,
        pending=pending,
        void=arrived[..., 0],
        mature=mature,
        mature_labelled=mature // 2,
        overdue=aged // 4,
        aged=aged,
        early=n // 9,
        revised=n // 8,
        conflicting=n // 16,
        settled=arrived[..., :73] // 2,
        young=arrived[..., :72] // 3,
        fresh=arrived[..., 40:112] // 4,
        unit_h=1.0,
        horizons_h=np.array([24.0, 72.0]),
    )


def _class_lags() -> ClassLagSummary:
    return ClassLagSummary(_some(2 * 80, 17).reshape(*SHAPE, 2, 80), ("0", "1"), 1.0)


def _label_sources() -> LabelSourceSummary:
    return LabelSourceSummary(_some(6, 21).reshape(*SHAPE, 3, 2) + 1, ("x", "y", "z"), ("0", "1"))


def _corrected() -> CorrectedSummary:
    known = _score()
    scores, spread = (known.select(lambda rows, by=by: rows * by) for by in (1.25, 1.6))  # type: ignore[misc] # bound now
    return CorrectedSummary(known, scores, spread, _score_shifts(known))


def _score_shifts(scores: ScoreSummary) -> ScoreSummary:
    """A fiftieth of the sums in each of two directions, on an axis more."""
    return scores.select(lambda rows: np.stack([0.02 * rows, -0.01 * rows], axis=len(SHAPE)))


def _operation() -> OperationSummary:
    latency = _some(CELLS, 9)
    requests = latency.sum(axis=-1) + 3
    edges = np.geomspace(1, 1000, CELLS + 1)
    return OperationSummary(requests, requests // 7, requests // 9, latency, edges[:-1], edges[1:])


def _queue() -> QueueSummary:
    edges = np.geomspace(0.1, 100, CELLS + 1)
    return QueueSummary(_some(CELLS, 11), edges[:-1], edges[1:])


def _skew() -> SkewSummary:
    pairs = _some(1, 10)[..., 0] + 20
    sums = pairs.astype(np.float64)
    return SkewSummary(pairs, pairs // 4, pairs // 5, pairs // 6, sums / 2, sums * 2)


def _pair() -> PairSummary:
    joint = [_some(CELLS**2, seed) for seed in (11, 12)]
    tables = [some.reshape(*SHAPE, CELLS, CELLS) for some in joint]
    n = joint[0].sum(axis=-1) + joint[1].sum(axis=-1)
    cell = np.arange(CELLS)
    return PairSummary(
        unlabelled=_some(1, 13)[..., 0],
        both=n - 3 * (n // 4),
        own_only=n // 4,
        champion_only=n // 4,
        neither=n // 4,
        log_loss=0.01 * n,
        log_loss_sq=0.5 * n,
        squared_error=0.01 * n,
        squared_error_sq=0.1 * n,
        own_positives=tables[0].sum(axis=-1),
        own_negatives=tables[1].sum(axis=-1),
        champion_positives=tables[0].sum(axis=-2),
        champion_negatives=tables[1].sum(axis=-2),
        joint_positives=joint[0],
        joint_negatives=joint[1],
        own_range=np.stack([cell, cell + 1], axis=-1).repeat(CELLS, axis=0),
        champion_range=np.tile(np.stack([cell, cell + 1], axis=-1), (CELLS, 1)),
    )


def _class_pair() -> ClassPairSummary:
    pair = _pair()
    return ClassPairSummary(**{item.name: getattr(pair, item.name) for item in fields(ClassPairSummary)})


def _value_pair() -> ValuePairSummary:
    n = _some(CELLS, 14).sum(axis=-1)
    return ValuePairSummary(
        labelled=n,
        unlabelled=n // 5,
        absolute_error=0.01 * n,
        absolute_error_sq=0.5 * n,
        squared_error=0.02 * n,
        squared_error_sq=2.0 * n,
    )


def _attribution() -> AttributionSummary:
    cells, edges = _some(CELLS, 12), np.geomspace(0.01, 1, CELLS + 1)
    n, middle = cells.sum(axis=-1), (edges[:-1] + edges[1:]) / 2
    total = cells @ middle
    return AttributionSummary(n, total, cells @ middle**2, 3 * total, cells, edges[:-1], edges[1:])


def _attributions() -> AttributionPanel:
    n = _some(3, 13) + 20
    weights = np.array([0.3, 0.2, 0.1])
    return AttributionPanel(n, n * weights, 2 * n * weights**2, weights[::-1], ("a", "b", "c"))


def _estimated() -> EstimatedSummary:
    realised = _score()
    positives, negatives = (_some(CELLS, seed, (1, 1)) for seed in (15, 16))
    selected = np.arange(CELLS) >= CELLS // 2
    scored = realised.positives + realised.negatives
    return EstimatedSummary(
        scored=scored,
        unsure=_some(1, 6)[..., 0],
        positives=positives,
        negatives=negatives,
        selected=selected,
        low=realised.low,
        high=realised.high,
        realised=realised,
    )


def _class_estimated() -> ClassEstimatedSummary:
    scored, known, right = (_some(15, seed) for seed in (17, 18, 19))
    right = np.minimum(right, known)
    few = np.minimum(right, known).sum(axis=-1)
    return ClassEstimatedSummary(scored, scored // 2, known, right, known.sum(axis=-1), few)


def _class_corrected() -> ClassCorrectedSummary:
    known = _multiclass().confusion
    moved = np.stack([0.02 * known, -0.01 * known], axis=len(SHAPE))
    return ClassCorrectedSummary(known, 1.25 * known, 1.6 * known, moved, ("a", "b", "c"))


def _class_expected() -> ClassExpectedSummary:
    known, edges = _multiclass(), np.arange(CELLS + 1) / CELLS
    one = _some(CELLS, 22)
    by_class = [[np.roll(one, row + 2 * said, axis=-1) for said in range(3)] for row in range(3)]
    scored = np.stack([np.stack(some, axis=-2) for some in by_class], axis=-3)
    rows = scored.sum(axis=-2)
    before = [np.stack([_some(CELLS, seed + row, (1, 1)) for row in range(3)], axis=-2) for seed in (24, 27)]
    return ClassExpectedSummary(
        scored, 0.6 * rows, 0.5 * rows, before[0], before[1] + 2, edges[:-1], edges[1:], known
    )


def _value_estimated() -> ValueEstimatedSummary:
    scored, known = _some(CELLS, 20), _some(CELLS, 21, (1, 1)) + 20
    edges = np.arange(CELLS + 1.0)
    size = 1 + edges[:-1] / 10
    sums = (known * size, known * 2 * size**2, known * 8 * size**4)
    return ValueEstimatedSummary(scored, known, *sums, edges[:-1], edges[1:], _regression())


SAMPLES: Mapping[type[Summary], Callable[[], Summary]] = {
    FeatureSummary: _feature,
    AttributionSummary: _attribution,
    AttributionPanel: _attributions,
    ScoreSummary: _score,
    EstimatedSummary: _estimated,
    ClassCorrectedSummary: _class_corrected,
    ClassEstimatedSummary: _class_estimated,
    ClassExpectedSummary: _class_expected,
    ValueEstimatedSummary: _value_estimated,
    MulticlassSummary: _multiclass,
    RegressionSummary: _regression,
    LabelSummary: _label,
    LabelSourceSummary: _label_sources,
    ClassLagSummary: _class_lags,
    CorrectedSummary: _corrected,
    OperationSummary: _operation,
    QueueSummary: _queue,
    PairSummary: _pair,
    ClassPairSummary: _class_pair,
    ValuePairSummary: _value_pair,
    SkewSummary: _skew,
}


def broken_promise(metric: Metric, kind: type[Summary]) -> str:
    """Say what a metric of one class of summary promises and does not keep; "" where it keeps everything.

    Raises
    ------
    Exception
        Whatever the metric raises on a window, be it full or empty.
    """
    if kind not in SAMPLES:
        names = ", ".join(sorted(one.__name__ for one in SAMPLES))
        return f"takes {kind.__name__}; valid: {names}"
    summary = SAMPLES[kind]()
    found, empty = metric.function(summary), metric.function(summary.select(np.zeros_like))
    if not isinstance(found, Estimate):
        return f"returns {type(found).__name__}; a metric returns an Estimate"
    if found.value.shape[: len(SHAPE)] != SHAPE:
        return f"returns the shape {found.value.shape} for {SHAPE} windows; keep the leading axes"
    if np.isinf(found.value).any() or np.isinf(empty.value).any():
        return "returns an infinite value; return NaN where it is not defined"
    return _alone(metric, summary, found)


def _alone(metric: Metric, summary: Summary, found: Estimate) -> str:
    """A window's value must not depend on the windows beside it."""
    for index in np.ndindex(SHAPE):
        single = metric.function(summary.select(lambda array, at=index: array[at]))  # type: ignore[misc] # bound now
        if not np.allclose(single.value, found.value[index], rtol=1e-9, equal_nan=True):
            return "gives a window another value beside other windows; reduce the last axis only"
    return ""
