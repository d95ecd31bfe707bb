"""Random rows per summary class and the plain way to summarise them, for the metric properties."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from mlobs_pipelines.core.summaries import (
    Additive,
    AttributionPanel,
    AttributionSummary,
    ClassCorrectedSummary,
    ClassEstimatedSummary,
    ClassExpectedSummary,
    ClassLagSummary,
    ClassPairSummary,
    CorrectedSummary,
    DecisionSummary,
    EstimatedSummary,
    FeatureSummary,
    GroupSummary,
    LabelSourceSummary,
    LabelSummary,
    MulticlassSummary,
    OperationSummary,
    OutcomeSummary,
    PairSummary,
    PanelSummary,
    PredictedSummary,
    QueueSummary,
    RegressionSummary,
    SampleSummary,
    ScoreSummary,
    ShiftSummary,
    SkewSummary,
    ValueEstimatedSummary,
    ValuePairSummary,
    weighted,
)
from tests.core import (
    attribution_cases,
    expected_cases,
    pair_cases,
    panel_cases,
    source_cases,
    value_cases,
    young_cases,
)
from tests.core.labels import draw_label, summarise_label
from tests.core.outcomes import summarise_outcome, summarise_predicted
from tests.core.samples import draw_sample, summarise_sample

RELIABILITY_BINS = 15
SCORE_CELLS = 64
FEATURE_EDGES = np.linspace(-4, 4, 33)
ZERO = int(np.searchsorted(FEATURE_EDGES, 0.0)) + 1
_ENDS = np.array([-np.inf, *FEATURE_EDGES, np.inf])
FEATURE_ENDS = np.insert(_ENDS[:-1], ZERO, 0.0), np.insert(_ENDS[1:], ZERO, 0.0)
LATENCY_EDGES = np.geomspace(1, 10_000, 81)
LOCATION = 0.25
CLASSES = ("a", "b", "c", "d")
ERROR_EDGES = np.concatenate([[0.0], np.geomspace(1e-3, 100, 81)])


@dataclass(frozen=True)
class Case:
    """How to draw rows, as one structured column per name, and to summarise them."""

    draw: Callable
    summarise: Callable


def count(codes, width):
    """Rows per code."""
    return np.bincount(codes.astype(np.int64), minlength=width).astype(np.int64)


def stack(summaries):
    """Put summaries side by side on a new leading axis."""
    first = summaries[0]

    def beside(name):
        values = [getattr(summary, name) for summary in summaries]
        if name in first.FIXED or values[0] is None:
            return values[0]
        return stack(values) if isinstance(values[0], Additive) else np.stack([np.asarray(v) for v in values])

    return type(first)(**{item.name: beside(item.name) for item in fields(first)})


def summarise_weighted(case, rows, weights):
    """Summary of rows of whole weights, from the rows as often as their weight and its square say."""

    def layer(power):
        times = weights.astype(np.int64) ** power
        return case.summarise({name: np.repeat(values, times) for name, values in rows.items()})

    return weighted(layer(0), layer(1), layer(2))


def draw_feature(rng, n):
    """Zero-inflated normal values with nulls (NaN) and infinite rows."""
    values = rng.normal(rng.normal(), 1, n)
    values[rng.random(n) < 0.3] = 0.0
    values[rng.random(n) < 0.05] = np.nan
    values[rng.random(n) < 0.02] = np.inf
    return {"value": values}


def feature_counts(values):
    """Nulls, infinite rows, bins and cells of raw values; zero is an atom."""
    present = values[np.isfinite(values)]
    code = np.searchsorted(FEATURE_EDGES, present)
    code = np.where(code >= ZERO, code + 1, code)
    code[present == 0.0] = ZERO
    cells = count(code, FEATURE_EDGES.size + 2)
    nulls = int(np.isnan(values).sum())
    bins = np.append(np.add.reduceat(cells, [0, 8, 12, ZERO, ZERO + 1, 22, 28]), nulls)
    return nulls, int(np.isinf(values).sum()), bins, cells


BASELINE = draw_feature(np.random.default_rng(7), 5_000)["value"]


def summarise_feature(rows):
    """One feature against a fixed baseline."""
    nulls, nonfinite, bins, cells = feature_counts(rows["value"])
    base_nulls, _, base_bins, base_cells = feature_counts(BASELINE)
    atom = np.arange(cells.size) == ZERO
    n = rows["value"].size
    return FeatureSummary(
        np.int64(n), np.int64(nulls), np.int64(nonfinite), bins, cells, atom, True,  # noqa: FBT003 - ordered
        BASELINE.size, base_nulls, base_bins, base_cells, *FEATURE_ENDS,
        **moments(rows["value"], LOCATION),
    )  # fmt: skip


def moments(values, location):
    """What is added up and compared row by row of the finite values."""
    present = values[np.isfinite(values)]
    away = present - location
    return {
        "distance": away.sum(), "distance_sq": (away**2).sum(), "location": location,
        "least": present.min(initial=np.inf), "greatest": present.max(initial=-np.inf),
    }  # fmt: skip


def draw_score(rng, n):
    """Scores with labels that are late or void for a tenth of the rows."""
    score = rng.beta(1, 2, n)
    label = (rng.random(n) < score**1.3).astype(float)
    label[rng.random(n) < 0.1] = np.nan
    return {"score": score, "label": label}


def summarise_score(rows):
    """Scores and labels known so far, over 64 score cells and 15 reliability bins."""
    known = ~np.isnan(rows["label"])
    return score_summary(rows["score"][known], rows["label"][known], unlabelled=int((~known).sum()))


def score_summary(score, label, *, unlabelled=0, bins=RELIABILITY_BINS, cells=SCORE_CELLS):
    """Summary of labelled scores; `cells=None` gives every distinct score its own cell."""
    score, label = np.asarray(score, float), np.asarray(label, float)
    if cells is None:
        low, cell = np.unique(score, return_inverse=True)
        cells, high = low.size, low
    else:
        low, high = np.arange(cells) / cells, np.arange(1, cells + 1) / cells
        cell = np.minimum((score * cells).astype(int), cells - 1)
    k = np.minimum((score * bins).astype(int), bins - 1)
    hit, said = label == 1, score >= 0.5
    given = np.clip(np.where(hit, score, 1 - score), 1e-15, 1)
    loss, error = -np.log(given), (score - label) ** 2

    def per_bin(weights):
        return np.bincount(k, weights=weights, minlength=bins)

    confusion = [np.int64((a & b).sum()) for a, b in ((said, hit), (said, ~hit), (~said, ~hit), (~said, hit))]
    sums = loss.sum(), (loss**2).sum(), error.sum(), (error**2).sum()
    return ScoreSummary(
        count(cell[hit], cells), count(cell[~hit], cells), np.int64(unlabelled), *confusion, *sums,
        count(k, bins), count(k[hit], bins), per_bin(score), per_bin(score**2), per_bin(score * label),
        low, high,
    )  # fmt: skip


def draw_multiclass(rng, n):
    """Scores of four classes, of which the last is rare, with a tenth of the labels still to come."""
    logits = rng.normal([0.5, 0.2, 0, -1], size=(n, len(CLASSES)))
    scores = np.exp(1.5 * logits)
    scores /= scores.sum(axis=1, keepdims=True)
    spread = np.exp(logits).cumsum(axis=1)
    label = (rng.random((n, 1)) * spread[:, -1:] > spread).sum(axis=1).astype(float)
    label[rng.random(n) < 0.1] = np.nan
    return {"label": label, **{name: scores[:, index] for index, name in enumerate(CLASSES)}}


def summarise_multiclass(rows):
    """Labels known so far by predicted class, and each class's score."""
    known = ~np.isnan(rows["label"])
    scores = np.stack([rows[name][known] for name in CLASSES], axis=1)
    return multiclass_summary(scores, rows["label"][known].astype(int), unlabelled=int((~known).sum()))


def multiclass_summary(scores, label, *, unlabelled=0, cells=SCORE_CELLS, bins=RELIABILITY_BINS):
    """Summary of labelled scores (n, K); `cells=None` gives every distinct score its own cell."""
    classes = scores.shape[1]
    if cells is None:
        low, cell = np.unique(scores, return_inverse=True)
        cells, high, cell = low.size, low, cell.reshape(scores.shape)
    else:
        low, high = np.arange(cells) / cells, np.arange(1, cells + 1) / cells
        cell = np.minimum((scores * cells).astype(int), cells - 1)
    said, top = (reduce(scores, axis=1) if scores.size else label[:0] for reduce in (np.argmax, np.max))
    right, mine = said == label, np.eye(classes)[label] == 1
    given = np.clip(scores[mine], 1e-15, 1)
    loss, error = -np.log(given), ((scores - mine) ** 2).sum(axis=1)
    k = np.minimum((top * bins).astype(int), bins - 1)
    sums = loss.sum(), (loss**2).sum(), error.sum(), (error**2).sum()
    return MulticlassSummary(
        count(label * classes + said, classes**2).reshape(classes, classes),
        np.stack([count(cell[mine[:, i], i], cells) for i in range(classes)]),
        np.stack([count(cell[~mine[:, i], i], cells) for i in range(classes)]),
        np.int64(unlabelled), *sums, count(k, bins), count(k[right], bins),
        *(np.bincount(k, weights=part, minlength=bins) for part in (top, top**2, top * right)),
        CLASSES[:classes], low, high,
    )  # fmt: skip


def summarise_class_estimated(rows):
    """Top scores, with the labels known so far, beside a fixed cohort whose labels are known."""
    cohort = summarise_multiclass(draw_multiclass(np.random.default_rng(12), 4_000))
    top = np.max([rows[name] for name in CLASSES], axis=0) if rows["label"].size else rows["label"]
    bins = count(np.minimum((top * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1), RELIABILITY_BINS)
    now = summarise_multiclass(rows)
    before, mine = (cohort.bin_n, cohort.bin_correct), (now.bin_n.sum(), now.bin_correct.sum())
    return ClassEstimatedSummary(bins, np.zeros_like(bins), *before, *mine)


def draw_regression(rng, n):
    """Labels of which some are 0, and predictions that are off by more where labels are large."""
    label = np.where(rng.random(n) < 0.05, 0.0, np.round(rng.gamma(3, 4, n), 2))
    predicted = label + rng.normal(0.3, 1, n) * (1 + label / 10)
    label[rng.random(n) < 0.1] = np.nan
    return {"label": label, "predicted": predicted}


def summarise_regression(rows):
    """Errors over the labels known so far."""
    known = ~np.isnan(rows["label"])
    return regression_summary(rows["predicted"][known], rows["label"][known], unlabelled=int((~known).sum()))


def regression_summary(predicted, label, *, unlabelled=0, centre=12.0, edges=ERROR_EDGES):
    """Summary of labelled predictions."""
    e, y, some = predicted - label, label - centre, label != 0
    share = np.abs(e[some] / label[some])
    code = np.clip(np.searchsorted(edges, np.abs(e), side="right") - 1, 0, edges.size - 2)
    sums = [e, e**2, e**4, np.abs(e), y, y**2, y * e, share, share**2]
    return RegressionSummary(
        np.int64(label.size), np.int64(unlabelled), *(part.sum() for part in sums), np.int64((~some).sum()),
        count(code, edges.size - 1), centre, edges[:-1], edges[1:],
        *(part.sum() for part in ((y * e) ** 2, y**3, y**4, e**2 * y)),
    )  # fmt: skip


def summarise_estimated(rows):
    """Scores, with the labels known so far, beside a fixed cohort whose labels are known."""
    cohort = summarise_score(draw_score(np.random.default_rng(11), 4_000))
    cells = count(np.minimum((rows["score"] * SCORE_CELLS).astype(int), SCORE_CELLS - 1), SCORE_CELLS)
    now, before = summarise_score(rows), (cohort.positives, cohort.negatives)
    return EstimatedSummary(cells, np.int64(0), *before, cohort.low >= 0.5, cohort.low, cohort.high, now)


def draw_operation(rng, n):
    """Latencies in milliseconds and failed requests."""
    latency, lot = np.clip(rng.lognormal(3, 1, n), 1.001, 9_999), rng.random(n)
    return {"latency": latency, "error": lot < 0.02, "timeout": lot < 0.007}


def summarise_operation(rows):
    """Requests over log-scale latency cells."""
    code = np.searchsorted(LATENCY_EDGES, rows["latency"]) - 1
    counts = count(code, LATENCY_EDGES.size - 1)
    n, errors = np.int64(rows["error"].size), np.int64(rows["error"].sum())
    timeouts = np.int64((rows["error"] & rows["timeout"]).sum())
    return OperationSummary(n, errors, timeouts, counts, LATENCY_EDGES[:-1], LATENCY_EDGES[1:])


def draw_queue(rng, n):
    """Times waited in milliseconds."""
    return {"wait": np.clip(rng.lognormal(2, 1.5, n), 1.001, 9_999)}


def summarise_queue(rows):
    """Waits over log-scale cells."""
    counts = count(np.searchsorted(LATENCY_EDGES, rows["wait"]) - 1, LATENCY_EDGES.size - 1)
    return QueueSummary(counts, LATENCY_EDGES[:-1], LATENCY_EDGES[1:])


def draw_skew(rng, n):
    """Served and recomputed values: mostly equal, some off, some on one side only."""
    served = rng.normal(10, 3, n)
    again = np.where(rng.random(n) < 0.1, served + rng.normal(size=n), served)
    served, again = served.copy(), again.copy()
    served[rng.random(n) < 0.05] = np.nan
    again[rng.random(n) < 0.05] = np.nan
    return {"served": served, "again": again}


def summarise_skew(rows):
    """Pairs by what is wrong with them."""
    a, b = rows["served"], rows["again"]
    has_a, has_b = ~np.isnan(a), ~np.isnan(b)
    both = has_a & has_b
    delta = np.abs(a[both] - b[both])
    counts = (has_a | has_b).sum(), (delta > 0).sum(), (has_b & ~has_a).sum(), (has_a & ~has_b).sum()
    return SkewSummary(*map(np.int64, counts), delta.sum(), (np.abs(a[both]) + np.abs(b[both])).sum())


BEFORE = draw_score(np.random.default_rng(8), 4_000)


def summarise_shift(rows):
    """Scores and labels beside fixed ones."""
    return ShiftSummary(summarise_score(rows), summarise_score(BEFORE))


def summarise_decision(rows):
    """Scores from a half on, beside those of fixed rows; a cell from 0.49 on is cut by the threshold."""
    score = rows["score"]
    classes, before = (count(values >= 0.5, 2) for values in (score, BEFORE["score"]))
    return DecisionSummary(classes, np.int64(((score >= 0.49) & (score < 0.5)).sum()), before)


def draw_group(rng, n):
    """Scored rows of two segments, of two and of three groups, that are not treated alike."""
    rows = draw_score(rng, n)
    rows["one"], rows["other"] = rng.random(n) < 0.4, rng.integers(0, 3, n)
    rows["score"] = np.clip(rows["score"] + 0.1 * rows["one"], 0, 1)
    return rows


def summarise_group(rows):
    """Decisions and outcomes per group."""
    said, label = rows["score"] >= 0.5, rows["label"]
    mine = [rows["one"] == 0, rows["one"] == 1, *(rows["other"] == value for value in range(3))]
    flags = [np.ones_like(said), said, label == 1, said & (label == 1), label == 0, said & (label == 0)]
    counts = [np.array([(flag & group).sum() for group in mine], np.int64) for flag in flags]
    return GroupSummary(*counts, np.array([0, 0, 1, 1, 1]), ("one", "other"))


def summarise_class_expected(rows):
    """Scores of all classes, with the labels known so far, beside a fixed cohort."""
    return expected_cases.summarise_class_expected(rows, CLASSES, BEFORE_CLASSES, summarise_multiclass)


def summarise_class_corrected(rows):
    """Labels of four classes, each of which stands for more of its class."""
    return young_cases.summarise_class_corrected(summarise_multiclass(rows).confusion, CLASSES)


BEFORE_CLASSES = draw_multiclass(np.random.default_rng(12), 4_000)
BEFORE_NUMBERS = draw_regression(np.random.default_rng(13), 4_000)

CASES = {
    SampleSummary: Case(draw_sample, summarise_sample),
    AttributionSummary: Case(attribution_cases.draw_attribution, attribution_cases.summarise_attribution),
    AttributionPanel: Case(attribution_cases.draw_attribution, attribution_cases.summarise_attributions),
    MulticlassSummary: Case(draw_multiclass, summarise_multiclass),
    RegressionSummary: Case(draw_regression, summarise_regression),
    ValueEstimatedSummary: Case(
        draw_regression,
        lambda rows: value_cases.summarise_value_estimated(rows, BEFORE_NUMBERS, summarise_regression),
    ),
    PairSummary: Case(pair_cases.draw_pair, pair_cases.summarise_pair),
    ClassPairSummary: Case(pair_cases.draw_pair, pair_cases.summarise_class_pair),
    ValuePairSummary: Case(pair_cases.draw_value_pair, pair_cases.summarise_value_pair),
    PanelSummary: Case(panel_cases.draw_panel, panel_cases.summarise_panel),
    ShiftSummary: Case(draw_score, summarise_shift),
    DecisionSummary: Case(draw_score, summarise_decision),
    PredictedSummary: Case(draw_multiclass, summarise_predicted),
    OutcomeSummary: Case(draw_multiclass, summarise_outcome),
    GroupSummary: Case(draw_group, summarise_group),
    FeatureSummary: Case(draw_feature, summarise_feature),
    ClassExpectedSummary: Case(draw_multiclass, summarise_class_expected),
    ClassEstimatedSummary: Case(draw_multiclass, summarise_class_estimated),
    EstimatedSummary: Case(draw_score, summarise_estimated),
    ScoreSummary: Case(draw_score, summarise_score),
    ClassCorrectedSummary: Case(draw_multiclass, summarise_class_corrected),
    CorrectedSummary: Case(draw_score, lambda rows: young_cases.summarise_corrected(rows, summarise_score)),
    ClassLagSummary: Case(young_cases.draw_class_lags, young_cases.summarise_class_lags),
    LabelSourceSummary: Case(source_cases.draw_sources, source_cases.summarise_sources),
    LabelSummary: Case(draw_label, summarise_label),
    OperationSummary: Case(draw_operation, summarise_operation),
    QueueSummary: Case(draw_queue, summarise_queue),
    SkewSummary: Case(draw_skew, summarise_skew),
}
