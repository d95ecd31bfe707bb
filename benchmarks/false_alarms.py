"""Fifty simulated model-years in which nothing is wrong: how many incidents are opened all the same.

A model of 50 features in 4 regions; each day's counts are drawn, and from there on the product's own metrics,
verdicts, signals and incidents take over. `OBJECTIVES` are those that `mlobs init` writes, for regions too,
and more of every kind that a monitor can declare. Takes a few minutes; `--years 5` is quick.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

CONTRACTS = Path(__file__).parent / "returns"
FIRST, DAYS = date(2025, 1, 1), 365
REGIONS, FEATURES, BINS, TRAINING = ("east", "north", "south", "west"), 50, 10, 20_000
GROUPS = (("", ""), *(("region", name) for name in REGIONS))
ROWS, VIEWED = 500, 20  # requests a day, and features that are recomputed
CELLS = 15
OBJECTIVES = (
    {"metric": "psi", "window": "7d", "fail_above": 0.25, "segments": True},
    {"metric": "null_share", "window": "7d", "fail_above": 0.05, "segments": True},
    {"metric": "skew_mismatch_share", "window": "7d", "fail_above": 0.02},
    {"metric": "auc", "window": "7d", "fail_below": 0.7, "segments": True},
    {"metric": "ece", "window": "7d", "fail_above": 0.05},
    {"metric": "auc", "window": "7d", "relative_to": "baseline", "fail_below_change": 0.05},
    {"metric": "ece", "window": "28d", "relative_to": "baseline", "fail_above_change": 0.03},
    {"metric": "psi", "window": "28d", "fail_above": 0.25},
    {"metric": "brier_score", "window": "7d", "relative_to": "previous", "fail_above_change_ratio": 0.2},
    {"metric": "base_rate", "window": "7d", "sigmas": 4, "reference_windows": 14},
    {"metric": "error_share", "window": "1d", "fail_above": 0.02},
    {"metric": "request_count", "window": "1d", "sigmas": 4, "reference_windows": 28},
    {"metric": "latency_p95", "window": "1d", "sigmas": 4, "reference_windows": 28},
    {"metric": "latency_p95", "window": "7d", "fail_above": 250},
)


@dataclass(frozen=True, slots=True)
class Year:
    """What was counted of one year, by region and day."""

    requests: np.ndarray
    bins: np.ndarray  # (regions, days, features, bins + 1), nulls last
    training: np.ndarray  # (features, bins + 1)
    scored: np.ndarray  # (regions, days, cells)
    positives: np.ndarray
    errors: np.ndarray
    latency: np.ndarray
    mismatched: np.ndarray  # (regions, days, viewed)
    learned: tuple[np.ndarray, np.ndarray]  # scores of the training set, and the positives among them


def drawn(seed: int) -> Year:
    """Draw a stable year: every day is like any other, weekends are a fifth quieter."""
    rng = np.random.default_rng(seed)
    week = np.where(np.arange(DAYS) % 7 >= 5, 0.8, 1.0)
    requests = rng.poisson(ROWS / len(REGIONS) * week, (len(REGIONS), DAYS))
    nulls = rng.uniform(0, 0.02, FEATURES)
    shares = np.concatenate([(1 - nulls[:, None]) / BINS * np.ones((1, BINS)), nulls[:, None]], axis=1)
    scores = rng.dirichlet(np.full(CELLS, 2.0))
    scored = rng.multinomial(requests[..., None].squeeze(-1), scores)
    edges = latency_edges()
    learned = rng.multinomial(TRAINING, scores)
    known = np.diff(_normal((np.log(np.maximum(edges, 1e-9)) - np.log(80)) / 0.5))
    return Year(
        requests,
        rng.multinomial(requests[..., None], shares),
        rng.multinomial(TRAINING, shares),
        scored,
        rng.binomial(scored, middles()),
        rng.binomial(requests, 0.004),
        rng.multinomial(requests, known / known.sum()),
        rng.binomial(requests[..., None], 0.003, (*requests.shape, VIEWED)),
        (learned, rng.binomial(learned, middles())),
    )


def middles() -> np.ndarray:
    """Middles of the score cells, which are what the scores mean."""
    return (np.arange(CELLS) + 0.5) / CELLS


def latency_edges() -> np.ndarray:
    """Edges of the latency cells in milliseconds."""
    return np.concatenate([[0.0], np.geomspace(5, 1000, 80)])


def _normal(values: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return np.asarray(ndtr(values))


def windows(counts: np.ndarray, days: int) -> np.ndarray:
    """Counts (regions, days, ...) of windows that end on each day, of all regions and of each."""
    whole = np.concatenate([counts.sum(axis=0, keepdims=True), counts])
    sums = np.cumsum(whole, axis=1)
    sums[:, days:] = sums[:, days:] - sums[:, :-days].copy()
    return sums[:, days - 1 :]


def summaries(year: Year, days: int) -> Iterator[tuple[str, object]]:
    """Every summary of the year's windows, each with the feature it is about."""
    from mlobs_pipelines.core.summaries import FeatureSummary, OperationSummary, ScoreSummary, SkewSummary

    bins, requests = windows(year.bins, days), windows(year.requests, days)
    for at in range(FEATURES):
        mine, before = bins[:, :, at], np.broadcast_to(year.training[at], (len(GROUPS), 1, BINS + 1))
        yield f"f{at:02d}", FeatureSummary(
            n=mine.sum(axis=-1), nulls=mine[..., -1], nonfinite=np.zeros_like(requests), bins=mine,
            cells=mine[..., :-1], atom=np.zeros(BINS, bool), ordered=True, baseline_n=before.sum(axis=-1),
            baseline_nulls=before[..., -1], baseline_bins=before, baseline_cells=before[..., :-1],
            low=np.arange(BINS) * 1.0, high=np.arange(BINS) + 1.0,
        )  # fmt: skip
    edges, zero = latency_edges(), np.zeros(requests.shape)
    for at in range(VIEWED):
        differing = windows(year.mismatched, days)[..., at]
        yield f"f{at:02d}", SkewSummary(requests, differing, zero, zero, zero, zero)
    yield (
        "",
        OperationSummary(
            requests, windows(year.errors, days), zero, windows(year.latency, days), edges[:-1], edges[1:]
        ),
    )
    yield "", _scores(ScoreSummary, windows(year.scored, days), windows(year.positives, days))


def _scores(kind: type, scored: np.ndarray, positives: np.ndarray) -> object:
    """Scores at the middles of their cells."""
    score, negatives = middles(), scored - positives
    reach = score >= 0.5
    losses = (-np.log(score), -np.log(1 - score))

    def summed(of_one: np.ndarray, of_none: np.ndarray) -> np.ndarray:
        return (positives * of_one + negatives * of_none).sum(axis=-1)

    return kind(
        positives=positives, negatives=negatives, unlabelled=np.zeros(scored.shape[:-1]),
        tp=positives[..., reach].sum(-1), fp=negatives[..., reach].sum(-1),
        tn=negatives[..., ~reach].sum(-1), fn=positives[..., ~reach].sum(-1),
        log_loss=summed(*losses), log_loss_sq=summed(*(loss**2 for loss in losses)),
        squared_error=summed((1 - score) ** 2, score**2), squared_error_sq=summed((1 - score) ** 4, score**4),
        bin_n=scored, bin_positives=positives, bin_score=scored * score, bin_score_sq=scored * score**2,
        bin_score_positives=positives * score, low=score - 0.5 / CELLS, high=score + 0.5 / CELLS,
    )  # fmt: skip


def failing(spec: object, year: Year, objectives: Sequence[object]) -> Iterator[tuple[int, object]]:
    """Signals of every series that ever fails, day by day; the others can never be in an incident."""
    from mlobs_pipelines.core.summaries import ScoreSummary
    from mlobs_pipelines.core.vocabulary import Window
    from mlobs_pipelines.core.windows import Span
    from mlobs_pipelines.steps.judging import Comparisons, Stage, judged
    from mlobs_pipelines.steps.signals import judged_signal

    trained = _scores(ScoreSummary, *(counts[None, None] for counts in year.learned))
    for window, days in ((Window.DAY, 1), (Window.WEEK, 7), (Window.FOUR_WEEKS, 28)):
        mine = [one for one in objectives if one.window is window]
        ends = [FIRST + timedelta(days=at) for at in range(days, DAYS + 1)]
        spans = [Span(window, end - timedelta(days=days), end) for end in ends]
        roles, withheld = np.full(len(spans), "champion", object), np.full(len(spans), "", object)
        stage = Stage(spans, GROUPS, roles, withheld)
        for feature, summary in summaries(year, days):
            for name in {one.metric for one in mine}:
                metric = spec.metrics[name]
                if type(summary) not in metric.functions:
                    continue
                of = [one for one in mine if one.metric == name]
                found = metric.function(summary)
                before = _as(metric.function(trained), found) if type(summary) is ScoreSummary else None
                said = judged(of, metric, found, stage, Comparisons(baseline=before))
                for group in np.flatnonzero((said.verdicts == "fail").any(axis=1)):
                    for at, span in enumerate(spans):
                        row = _row(name, feature, window, group, said, found, at)
                        yield (span.last - FIRST).days, judged_signal(spec, row)


def _as(one: object, found: object) -> object:
    """The training set's value beside every window."""
    shape = np.shape(found.value)
    arrays = {f.name: np.broadcast_to(getattr(one, f.name), shape) for f in fields(one) if f.name != "need"}
    return replace(one, **arrays)


def _row(name: str, feature: str, window: object, group: int, said: object, found: object, at: int) -> dict:
    segment, value = GROUPS[group]
    about = {
        "model_version": "v1",
        "metric": name,
        "feature": feature,
        "window": str(window),
        "role": "champion",
    }
    verdict = {"verdict": said.verdicts[group, at], "severity": said.severities[group, at]}
    numbers = {
        "value": float(found.value[group, at]),
        "n": int(found.n[group, at]),
        "lower": None,
        "upper": None,
    }
    told = {"threshold": None, "reason": said.reasons[group, at]}
    return {**about, "segment": segment, "segment_value": value, **verdict, **numbers, **told}


def incidents(spec: object, seed: int, objectives: Sequence[object]) -> dict[str, str]:
    """Every incident of one year: what it is about, by its id."""
    from mlobs_pipelines.core.incidents import advance
    from mlobs_pipelines.steps.incidents import title

    by_day: dict[int, list] = {}
    for day, signal in failing(spec, drawn(seed), objectives):
        by_day.setdefault(day, []).append(signal)
    kept, found = [], {}
    for at in range(DAYS):
        kept = advance("stable", kept, FIRST + timedelta(days=at), by_day.get(at, []))
        found |= {one.id: title(one) for one in kept}
    return found


def declared() -> tuple[object, list]:
    """A model of 50 features, and its objectives."""
    from mlobs_pipelines.contracts.folder import load_model
    from mlobs_pipelines.contracts.objectives import Objective
    from mlobs_pipelines.core.metrics import METRICS

    spec = load_model(CONTRACTS, METRICS)
    like = next(one for one in spec.monitor.features if one.view is None and one.kind == "numeric")
    features = tuple(like.model_copy(update={"name": f"f{at:02d}"}) for at in range(FEATURES))
    monitor = spec.monitor.model_copy(update={"features": features})
    return replace(spec, monitor=monitor), [Objective(**one) for one in OBJECTIVES]


def main() -> None:
    """Run the study and print what it found."""
    from scipy.special import gammaincinv

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, default=50)
    parser.add_argument("--json", type=Path, help="write what was found here too")
    options = parser.parse_args()
    spec, objectives = declared()
    counts, started = [], time.perf_counter()
    for seed in range(options.years):
        found = incidents(spec, seed, objectives)
        counts.append(len(found))
        print(
            f"year {seed + 1:2}: {len(found)} incidents {'; '.join(sorted(set(found.values())))}", flush=True
        )
    series = FEATURES * (2 * len(GROUPS) + 1) + VIEWED + 2 * len(GROUPS) + 8
    upper, total = float(gammaincinv(sum(counts) + 1, 0.95)) / options.years, sum(counts)
    print(
        f"{total} incidents in {options.years} model-years of {FEATURES} features, {series} judged series: "
        f"{total / options.years:.2f} a year (95 % sure: under {upper:.2f}), at most {max(counts)} in one "
        f"year; {time.perf_counter() - started:.0f} s"
    )
    if options.json:
        options.json.write_text(json.dumps({"incidents": counts, "upper": upper}))
    sys.exit(sum(counts) > options.years)


if __name__ == "__main__":
    main()
