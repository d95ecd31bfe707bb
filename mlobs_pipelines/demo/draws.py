"""Every random quantity of a flight, as a slice of one keyed hash of its prediction id.

A draw depends on nothing but the id and the seed, so it is the same whatever days or share are asked for.
What the draws mean is said where they are used.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtri

from mlobs_pipelines.core.vocabulary import Floats

NAMES = (
    "sample",
    "channel",
    "lag",
    "lost",
    "v1_latency",
    "v1_status",
    "v2_latency",
    "v2_status",
    "v1_queue",
    "v2_queue",
)
_FIRST = 8  # of a hash of 64 bytes; those added later come from another one


def uniforms(ids: pl.Series, seed: int) -> pl.DataFrame:
    """Draw one number in (0, 1) per id and name, independent of each other.

    Parameters
    ----------
    ids
        Strings.
    seed
        The key of the hash.

    Returns
    -------
    pl.DataFrame
        A Float64 column per entry of `NAMES`, rows in the order of `ids`.
    """
    key = seed.to_bytes(8, "big", signed=True)
    names = [one.encode() for one in ids]
    words = np.hstack([_words(names, key, b"", _FIRST), _words(names, key, b"more", len(NAMES) - _FIRST)])
    return pl.DataFrame(((words >> 11) + 0.5) / 2.0**53, schema=list(NAMES))


def _words(names: Sequence[bytes], key: bytes, person: bytes, count: int) -> NDArray[np.uint64]:
    hashes = (blake2b(one, digest_size=8 * count, key=key, person=person) for one in names)
    return np.frombuffer(b"".join(one.digest() for one in hashes), dtype=">u8").reshape(-1, count)


def lognormal(uniform: Floats, median: float, sigma: float) -> Floats:
    """Turn uniform draws into log-normal ones of the given median."""
    quantiles: Floats = median * np.exp(sigma * ndtri(uniform))
    return quantiles


def gamma(uniform: Floats, shape: float, scale: float) -> Floats:
    """Turn uniform draws into gamma ones of mean ``shape * scale``."""
    quantiles: Floats = scale * gammaincinv(shape, uniform)
    return quantiles
