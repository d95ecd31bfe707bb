"""From reference values to the limit a window is held against, and from many windows' verdicts to one.

Which windows are the reference is the caller's business; holding a value against its limit is `verdicts`.
"""

from dataclasses import dataclass, replace

import numpy as np

from mlobs_pipelines.core.verdicts import Limits, Words, in_digits
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Verdict

LEAST_REFERENCES = 7
_SHARES = ("auc", "accuracy", "precision", "recall", "f1", "specificity", "ece", "mce", "ace")
_LAGS = ("label_lag_gap", "label_lag_gap_p")
_GAINS = ("auc_difference", "accuracy_difference")
_WAITS = ("label_completeness", "label_silence", "oldest_overdue_age", "hours_to_maturity")
_POSITIVE = ("psi", "log_loss", "brier_score", "skew_smape", "row_count", *_WAITS, "mae", "rmse", "mape")


def metric_range(name: str) -> tuple[float, float]:
    """The values that a metric can take, as far as its name tells; the whole line otherwise.

    Examples
    --------
    >>> metric_range("null_share"), metric_range("psi")
    ((0.0, 1.0), (0.0, inf))
    """
    plain = name.removesuffix("_macro").removesuffix("_weighted").removeprefix("class_")
    plain = plain.removeprefix("estimated_").removeprefix("corrected_")
    if plain in (*_SHARES, *_LAGS, "ks") or name.endswith(("_share", "_coverage", "_coverage_at")):
        return 0.0, 1.0
    if name in _GAINS:
        return -1.0, 1.0
    from_zero = plain in _POSITIVE or name.startswith(
        ("latency_", "label_lag_", "label_arrival_", "absolute_error_")
    )
    return (0.0 if from_zero else -np.inf), (1.0 if name == "r2" else np.inf)


@dataclass(frozen=True, slots=True)
class Change:
    """How far a value may lie from its reference, on one side.

    Attributes
    ----------
    size
        The largest change that passes, not negative.
    above
        True where a rise fails, False where a fall does.
    ratio
        Whether the size is a multiple of the reference's magnitude.
    whose
        The reference in words: "the previous window".
    """

    size: float
    above: bool
    ratio: bool
    whose: str

    def limits(self, reference: Estimate) -> Limits:
        """The limit of each value whose reference is given; undefined or poor references give none."""
        known = np.isfinite(reference.value) & reference.sufficient
        allowed = self.size * (np.abs(reference.value) if self.ratio else 1.0)
        limit = np.where(known, reference.value + (allowed if self.above else -allowed), np.nan)
        missing = np.where(known, "", f"{self.whose} has no value to compare with")
        return Limits(limit, np.full(limit.shape, self.above), self._basis(reference.value), missing)

    def _basis(self, values: Floats) -> Words:
        size = f"{100 * self.size:g} %" if self.ratio else in_digits(self.size, 4)
        side = "above" if self.above else "below"
        said = [f"{size} {side} the {in_digits(v, 4)} of {self.whose}" for v in values.ravel().tolist()]
        return np.array(said, dtype=object).reshape(values.shape)

    def widened(self, estimate: Estimate, reference: Estimate) -> Estimate:
        """The estimate with the reference's own error added to its interval and bound.

        The ends for a difference of two independent estimates from the ends of both (MOVER; Zou and Donner
        2008, eq. 2): the lower end is value - √((value - lower)² + (upper' - reference)²). Where both rest on
        the same rows they move together, and this errs on the side of *undecided*.
        """
        sign = 1.0 if self.above else -1.0
        scale = np.abs(1 + sign * self.size * np.sign(reference.value)) if self.ratio else 1.0
        down, up = _arm(estimate.value, estimate.lower), _arm(estimate.value, estimate.upper)
        rise, fall = _arm(reference.value, reference.upper), _arm(reference.value, reference.lower)
        known = np.isfinite(estimate.lower) | np.isfinite(reference.lower)
        lower, upper = np.hypot(down, scale * rise), np.hypot(up, scale * fall)
        return replace(
            estimate,
            lower=np.where(known, estimate.value - lower, np.nan),
            upper=np.where(known, estimate.value + upper, np.nan),
            bound=estimate.bound + scale * np.where(np.isfinite(reference.bound), reference.bound, 0.0),
        )


def _arm(value: Floats, end: Floats) -> Floats:
    """Length from a value to an end of its interval; 0 where it has none."""
    return np.asarray(np.where(np.isfinite(end), np.abs(value - end), 0.0))


@dataclass(frozen=True, slots=True)
class Band:
    """How far a value may lie from the mean of its reference windows, in their standard deviations.

    Attributes
    ----------
    sigmas
        Standard deviations (ddof 0) that pass.
    direction
        That of the metric: +1 judges falls only, -1 rises only, 0 both; an improvement never fails.
    span
        Values that the metric can take; limits are clipped to it.
    """

    sigmas: float
    direction: int = 0
    span: tuple[float, float] = (-np.inf, np.inf)

    def limits(self, values: Floats, references: Floats) -> Limits:
        """The limit of each value.

        Parameters
        ----------
        values : (...)
            The values that will be judged; of both sides of the band, the one they lie on is taken.
        references : (..., K)
            Values of the reference windows, never of the judged one; NaN where a window has none.
        """
        mean, std, known = moments(references)
        above = np.full(mean.shape, self.direction < 0) if self.direction else values >= mean
        low, high = (self._clipped(mean, sign * self.sigmas * std) for sign in (-1, 1))
        enough = known >= LEAST_REFERENCES
        missing = [
            f"only {count} of {references.shape[-1]} reference windows have a value; it takes "
            f"{LEAST_REFERENCES}"
            for count in known.ravel().tolist()
        ]
        said = np.where(enough, "", np.array(missing, dtype=object).reshape(mean.shape))
        limit = np.where(enough, np.where(above, high, low), np.nan)
        return Limits(limit, above, self._basis(mean, std, known, above), said)

    def _clipped(self, mean: Floats, reach: Floats) -> Floats:
        return np.asarray(np.clip(mean + reach, *self.span))

    def _basis(self, mean: Floats, std: Floats, known: Floats, above: Flags) -> Words:
        rows = zip(*(np.ravel(array).tolist() for array in (mean, std, known, above)), strict=True)
        said = [
            f"mean {in_digits(m, 4)} {'+' if up else '-'} {self.sigmas:g} x {in_digits(s, 4)}, the standard "
            f"deviation of {count} reference windows"
            for m, s, count, up in rows
        ]
        return np.array(said, dtype=object).reshape(mean.shape)


def moments(references: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, standard deviation (ddof 0) and number of the values along the last axis that are not NaN.

    Examples
    --------
    >>> mean, std, known = moments(np.arange(10.0))
    >>> round(float(mean - 3 * std), 6), round(float(mean + 3 * std), 6), int(known)
    (-4.116844, 13.116844, 10)
    """
    there = np.isfinite(references)
    known = there.sum(axis=-1)
    count = np.where(known > 0, known, np.nan)
    mean = np.where(there, references, 0.0).sum(axis=-1) / count
    gaps = np.where(there, references - mean[..., None], 0.0)
    return np.asarray(mean), np.sqrt((gaps * gaps).sum(axis=-1) / count), np.asarray(known)


def settle(verdicts: Words, at_least: int) -> Words:
    """One verdict from those of several windows: *fail* once enough of them fail.

    Parameters
    ----------
    verdicts : (..., M)
        Of every window; one that has none might have failed, as an undecided one might.

    Returns
    -------
    (...) of str
        *undecided* where windows that could not be judged decide whether enough of them fail.
    """
    failed = (verdicts == str(Verdict.FAIL)).sum(axis=-1)
    open_ones = (verdicts != str(Verdict.FAIL)) & (verdicts != str(Verdict.PASS))
    may = failed + open_ones.sum(axis=-1) >= at_least
    rest = np.where(may, str(Verdict.UNDECIDED), str(Verdict.PASS))
    return np.asarray(np.where(failed >= at_least, str(Verdict.FAIL), rest))
