"""Drift of all features together, on samples of whole rows: what single features look like is `drift`.

A model is fitted anew for every window, so these metrics cost more than others do; they are computed for long
windows and for those that an objective names. The same sample gives the same number, bit for bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics.estimates import Z95, effective, ratio
from mlobs_pipelines.core.metrics.quality import delong
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import SampleSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Ints

KEPT_VARIANCE = 0.65
MIN_ROWS = 100
Z99 = 2.3263478740408408  # one-sided
FOLDS = 5
MAX_CATEGORIES = 60
TOLD, DIGITS = 5, 4


@dataclass(frozen=True, slots=True)
class _Rows:
    """Sampled rows: features (n, F), weights and hashes (n,)."""

    values: Floats
    weights: Floats
    hashes: Ints

    @staticmethod
    def of(values: Floats, weights: Floats, hashes: Ints) -> "_Rows":
        there = weights > 0
        return _Rows(values[there], weights[there], hashes[there])

    @property
    def size(self) -> float:
        """How many rows of equal weight these are worth."""
        return float(effective(self.weights.sum(), np.square(self.weights).sum()))

    def folds(self, number: int) -> Iterator[Flags]:
        """Marks of disjoint parts; a row is in the same part wherever it is sampled."""
        part = self.hashes % number
        return (part == index for index in range(number))


@dataclass(frozen=True, slots=True)
class _Found:
    value: float = np.nan
    half: float = np.nan
    noise: float = np.nan
    facts: dict[str, Any] | None = None


_Measure = Callable[[_Rows, _Rows, SampleSummary], _Found]


def _of_each(summary: SampleSummary, measure: _Measure, ceiling: float) -> Estimate:
    """Measure every window by itself."""
    lead = summary.weights.shape[:-1]
    values = np.broadcast_to(summary.baseline_values, (*lead, *summary.baseline_values.shape[-2:]))
    weights = np.broadcast_to(summary.baseline_weights, (*lead, values.shape[-2]))
    hashes = np.broadcast_to(summary.baseline_hashes, (*lead, values.shape[-2]))
    numbers, facts = np.full((*lead, 4), np.nan), np.full(lead, None, dtype=object)
    for at in np.ndindex(lead):
        window = _Rows.of(summary.values[at], summary.weights[at], summary.hashes[at])
        base = _Rows.of(values[at], weights[at], hashes[at])
        found = measure(window, base, summary) if min(window.size, base.size) > 1 else _Found()
        numbers[at] = found.value, found.half, found.noise, min(window.size, base.size)
        facts[at] = found.facts
    value, half, noise, size = np.moveaxis(numbers, -1, 0)
    return Estimate(
        value,
        np.count_nonzero(summary.weights > 0, axis=-1),
        np.maximum(value - half, 0),
        np.minimum(value + half, ceiling),
        noise=noise,
        sufficient=size >= MIN_ROWS,
        need=f"a sample of at least {MIN_ROWS} rows, of the baseline too",
        effective=size,
        facts=facts,
    )


@metric("reconstruction_error", SampleSummary, family="drift", direction=-1)
def reconstruction_error(summary: SampleSummary) -> Estimate:
    """Mean distance of rows from where the principal components of the baseline put them.

    Numbers are imputed by the baseline's mean, categories replaced by their share of the baseline, all
    standardised on it. The components are the first that keep 65 % of its variance, but never all. The 95 %
    interval is normal. The noise point comes from the distances of baseline rows that were left out of the
    fit, five parts in turn; a window that has moved towards the components falls below it.
    """
    return _of_each(summary, _reconstruction, np.inf)


def _reconstruction(window: _Rows, base: _Rows, summary: SampleSummary) -> _Found:
    encoded = _encoded(window, base, summary.categorical)
    kept, axes = _components(encoded[1], base.weights)
    if not 0 < kept < axes.shape[1]:
        return _Found()
    apart, before = _residuals(encoded[0], axes[:, :kept]), np.empty_like(encoded[1])
    for part in base.folds(FOLDS):
        if part.any() and not part.all():
            _, others = _components(encoded[1][~part], base.weights[~part])
            before[part] = _residuals(encoded[1][part], others[:, :kept])
    value, spread = _moments(np.linalg.norm(apart, axis=1), window.weights)
    usual, deviation = _moments(np.linalg.norm(before, axis=1), base.weights)
    risen = np.average(apart**2, axis=0, weights=window.weights) - np.average(
        before**2, axis=0, weights=base.weights
    )
    noise = usual + Z99 * deviation * np.sqrt(1 / window.size + 1 / base.size)
    return _Found(value, Z95 * spread / np.sqrt(window.size), noise, _told(summary.names, risen))


def _encoded(window: _Rows, base: _Rows, categorical: Flags) -> tuple[Floats, Floats]:
    """Both sets of rows as numbers, standardised on the baseline."""
    sides = [window.values.copy(), base.values.copy()]
    for column in range(sides[0].shape[1]):
        pair = [side[:, column] for side in sides]
        if categorical[column]:
            codes = _codes(pair)
            share = np.bincount(codes[1], weights=base.weights, minlength=int(codes[0].max()) + 1)
            found = [share.take(code) / base.weights.sum() for code in codes]
        else:
            known = np.isfinite(pair[1])
            mean = np.average(pair[1][known], weights=base.weights[known]) if known.any() else 0.0
            found = [np.where(np.isfinite(values), values, mean) for values in pair]
        mean, spread = _moments(found[1], base.weights)
        # Rounding leaves a spread even where every value is the same.
        spread = spread if spread > 1e-12 * abs(mean) else 1.0
        for side, values in zip(sides, found, strict=True):
            side[:, column] = (values - mean) / spread
    return sides[0], sides[1]


def _codes(pair: list[Floats]) -> list[Ints]:
    """Categories as 0, 1, …, whatever numbers they came as; a null is one more."""
    both = np.concatenate(pair)
    codes = np.unique(both, return_inverse=True)[1].astype(np.int64)
    return [codes[: pair[0].size], codes[pair[0].size :]]


def _components(rows: Floats, weights: Floats) -> tuple[int, Floats]:
    """How many principal components keep the variance, fewer than all, and all of them as columns."""
    centred = rows - np.average(rows, axis=0, weights=weights)
    variances, axes = np.linalg.eigh((centred * weights[:, np.newaxis]).T @ centred / weights.sum())
    variances = np.maximum(variances[::-1], 0)
    if not variances.sum() > 0:
        return 0, axes
    share = np.cumsum(variances) / variances.sum()
    kept = int(np.searchsorted(share, KEPT_VARIANCE, side="right")) + 1
    return min(kept, variances.size - 1), axes[:, ::-1]


def _residuals(rows: Floats, axes: Floats) -> Floats:
    found: Floats = rows - (rows @ axes) @ axes.T
    return found


def _moments(values: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean and standard deviation (ddof 0)."""
    mean = float(np.average(values, weights=weights))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def _told(names: tuple[str, ...], risen: Floats) -> dict[str, Any]:
    """The features that carry most of it."""
    order = np.argsort(-risen, kind="stable")[:TOLD].tolist()
    return {"features": [[names[at], round(float(risen[at]), DIGITS)] for at in order if risen[at] > 0]}


@metric("domain_auc", SampleSummary, family="drift", direction=-1)
def domain_auc(summary: SampleSummary) -> Estimate:
    """How well boosted trees tell rows of the window from rows of the baseline: 0.5 where nothing has moved.

    Trees are fitted on one half of the rows and score the other, so that the rows of the AUC are independent
    of them: the 95 % interval by DeLong and the noise point, that of scores that say nothing (Mann and
    Whitney 1947), hold as they are. Scores of folds that take turns are dependent: in stable windows the
    variance of their mean AUC is up to twice what these formulas say. Above the noise point the facts tell
    by how much the AUC falls when the values of a feature are shuffled (Breiman 2001).
    """
    return _of_each(summary, _classification, 1.0)


def _classification(window: _Rows, base: _Rows, summary: SampleSummary) -> _Found:
    values = _together(window, base, summary.categorical)
    late = np.repeat([True, False], [len(window.weights), len(base.weights)])
    # Both sides weigh the same in the fit, whatever their rows stand for.
    weights = np.concatenate(
        [rows.weights / rows.weights.mean() / len(rows.weights) for rows in (window, base)]
    )
    weights *= late.size / 2
    held = np.concatenate([rows.hashes % 2 == 1 for rows in (window, base)])
    if min(len({*late[half].tolist()}) for half in (held, ~held)) < 2:
        return _Found()
    score = _fitted(values[~held], late[~held], weights[~held], summary.categorical)
    rows = values[held], late[held], weights[held]
    area, variance = _area(score(rows[0]), *rows[1:])
    noise = 0.5 + Z99 * np.sqrt(_chance(*rows[1:]))
    facts = _told(summary.names, area - _shuffled(score, *rows)) if area > noise else None
    return _Found(area, Z95 * np.sqrt(variance), noise, facts)


def _together(window: _Rows, base: _Rows, categorical: Flags) -> Floats:
    """Rows of the window, then those of the baseline; the rarest categories as one."""
    values = np.concatenate([window.values, base.values])
    for column in np.flatnonzero(categorical):
        codes = np.concatenate(_codes([window.values[:, column], base.values[:, column]]))
        rows = np.bincount(codes)
        rank = np.empty(rows.size, dtype=np.int64)
        rank[np.argsort(-rows, kind="stable")] = np.arange(rows.size)
        values[:, column] = np.minimum(rank, MAX_CATEGORIES).take(codes)
    return values


_Score = Callable[[Floats], Floats]


def _fitted(values: Floats, late: Flags, weights: Floats, categorical: Flags) -> _Score:
    """Trees that score how much a row looks like one of the window."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - takes a second to import

    trees = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=8,
        max_bins=MAX_CATEGORIES + 3,
        early_stopping=False,
        categorical_features=categorical,
        random_state=0,
    )
    # So few rows are fitted faster, and always alike, on one thread.
    with _threads().limit(limits=1):
        trees.fit(values, late, weights)

    def score(rows: Floats) -> Floats:
        with _threads().limit(limits=1):
            found: Floats = trees.decision_function(rows)
        return found

    return score


@cache
def _threads() -> Any:  # noqa: ANN401 - a library without types
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - comes with the trees

    return ThreadpoolController()


def _area(scores: Floats, late: Flags, weights: Floats) -> tuple[float, float]:
    """AUC and its variance."""
    cell = np.unique(scores, return_inverse=True)[1]
    sides = [
        np.bincount(cell[side], weights=weights[side] ** power, minlength=int(cell.max()) + 1)
        for power in (1, 2)
        for side in (late, ~late)
    ]
    area, variance, _ = delong(*sides)
    return float(area), float(variance)


def _chance(late: Flags, weights: Floats) -> float:
    """Variance of the AUC of scores that say nothing, ties apart."""
    n, m = (effective(weights[side].sum(), np.square(weights[side]).sum()) for side in (late, ~late))
    return float(ratio(n + m + 1, 12 * n * m))


def _shuffled(score: _Score, values: Floats, late: Flags, weights: Floats) -> Floats:
    """AUC with the values of one feature after the other shuffled among the rows."""
    order = np.random.default_rng(0).permutation(late.size)
    copies = np.repeat(values[np.newaxis], values.shape[1], axis=0)
    for column in range(values.shape[1]):
        copies[column, :, column] = values[order, column]
    scores = score(copies.reshape(-1, values.shape[1])).reshape(values.shape[1], -1)
    return np.array([_area(row, late, weights)[0] for row in scores])
