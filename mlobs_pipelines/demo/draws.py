"""Every random quantity of a flight, as a slice of one keyed hash of its prediction id.

A draw depends on nothing but the id and the seed, so it is the same whatever days or share are asked for.
What the draws mean is said where they are used.
"""

from hashlib import blake2b

import numpy as np
import polars as pl
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
)


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
    digests = b"".join(blake2b(one.encode(), digest_size=64, key=key).digest() for one in ids)
    words = np.frombuffer(digests, dtype=">u8").reshape(-1, len(NAMES))
    return pl.DataFrame(((words >> 11) + 0.5) / 2.0**53, schema=list(NAMES))


def lognormal(uniform: Floats, median: float, sigma: float) -> Floats:
    """Turn uniform draws into log-normal ones of the given median."""
    quantiles: Floats = median * np.exp(sigma * ndtri(uniform))
    return quantiles


def gamma(uniform: Floats, shape: float, scale: float) -> Floats:
    """Turn uniform draws into gamma ones of mean ``shape * scale``."""
    quantiles: Floats = scale * gammaincinv(shape, uniform)
    return quantiles
