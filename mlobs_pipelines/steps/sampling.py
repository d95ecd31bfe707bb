"""Which rows of a frame are kept when only a share of the predictions is ingested, and what each stands for.

A pure function. The choice hangs on the correlation id alone, so it is the same for every version of the
model, for every delivery, and however rows are cut into frames. What weights do to later numbers is theirs.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import polars as pl

from mlobs_pipelines.contracts.samplings import Sampling
from mlobs_pipelines.engine.groups import WEIGHT

IDENTIFIER = "correlation_id"


def sample(
    frame: pl.DataFrame, rule: Sampling, labelled: pl.Series | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Divide typed predictions into those that are kept, each with its weight, and those that are left out.

    A row is kept if the uniform number of its correlation id lies below the row's rate, so that a sample of a
    lower rate is part of every sample of a higher one. The weight is one over the rate, the inverse of the
    probability to be kept: weighted totals are unbiased (Horvitz and Thompson 1952, equation 7).

    Parameters
    ----------
    frame
        Before it is protected: an identifier that is hashed under a new key is not sampled anew.
    rule
        The monitor's section. A column that it names and `frame` lacks decides nothing.
    labelled
        Prediction ids whose label is known, which are kept if the rule says so.

    Returns
    -------
    tuple of polars.DataFrame
        Kept rows with ``sample_weight`` (float64; 1 for what is always kept, also without a correlation id);
        rows left out, as they came. Both in the order of `frame`.
    """
    rates = frame.with_columns(_rate(frame, rule, labelled).alias(WEIGHT)).get_column(WEIGHT).to_numpy()
    rates = np.where(_without_id(frame), 1.0, rates)
    kept = pl.Series(uniform(_identifiers(frame), rule.seed) < rates)
    weighted = frame.with_columns(pl.Series(WEIGHT, 1 / rates))
    return weighted.filter(kept), frame.filter(~kept)


def uniform(identifiers: pl.Series, seed: str) -> npt.NDArray[np.float64]:
    """The number in [0, 1) that belongs to each identifier; 0 for null.

    The first 53 of the 256 bits of SHA-256 over ``<seed>NUL<identifier>`` (UTF-8), as a fraction: FIPS 180-4,
    so any tool can repeat it.
    """
    start = hashlib.sha256(seed.encode() + b"\0")
    digests = []
    for value in identifiers.fill_null("").to_list():
        digest = start.copy()
        digest.update(value.encode())
        digests.append(digest.digest())
    leading = np.frombuffer(b"".join(digests), dtype=">u8")[::4].astype(np.uint64) >> np.uint64(11)
    return np.where(identifiers.is_null().to_numpy(), 0.0, leading * 2.0**-53)


def _identifiers(frame: pl.DataFrame) -> pl.Series:
    return frame.get_column(IDENTIFIER).cast(pl.String)


def _without_id(frame: pl.DataFrame) -> npt.NDArray[np.bool_]:
    return (_identifiers(frame).fill_null("") == "").to_numpy()


def _rate(frame: pl.DataFrame, rule: Sampling, labelled: pl.Series | None) -> pl.Expr:
    """The highest rate of those that hold for a row; the general one where no other does."""
    special = [
        pl.when(_is(name, frame.schema[name], [value])).then(rate)
        for name, by_value in rule.rates.items()
        if name in frame.columns
        for value, rate in by_value.items()
    ]
    always = [
        _is(name, frame.schema[name], values) for name, values in _kept(rule).items() if name in frame.columns
    ]
    if rule.keep.labelled and labelled is not None:
        always.append(pl.col("prediction_id").is_in(labelled.implode()))
    special += [pl.when(condition).then(1.0) for condition in always]
    return pl.coalesce(pl.max_horizontal(*special, pl.lit(None, pl.Float64)), rule.rate)


def _kept(rule: Sampling) -> dict[str, list[str | int | bool]]:
    kept: dict[str, list[str | int | bool]] = {name: [*values] for name, values in rule.keep.segments.items()}
    if rule.keep.status:
        kept["status"] = [*kept.get("status", []), *rule.keep.status]
    return kept


def _is(name: str, kind: pl.DataType, values: list[str | int | bool]) -> pl.Expr:
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    if kind.is_numeric():  # 1 in a document is 1.0 in a column of numbers
        wanted = pl.Series(texts, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
        return pl.col(name).cast(pl.Float64).is_in(wanted.implode()).fill_null(value=False)
    return pl.col(name).cast(pl.String).is_in(texts).fill_null(value=False)
