"""Categories of windows that were folded on some day: the registers that still tell how many there were.

What registers are is `core.distinct`; which categories a day folds is the engine's business.
"""

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.distinct import REGISTERS, Registers, register_of
from mlobs_pipelines.core.vocabulary import Amounts
from mlobs_pipelines.engine.features import DISTINCT
from mlobs_pipelines.engine.folding import OTHER
from mlobs_pipelines.engine.hashing import hashed
from mlobs_pipelines.steps.windows import Counts


def registers(counts: Counts, feature: str, names: pa.StringArray, cells: Amounts) -> Registers | None:
    """Registers of every window, 0 where no day of it folded a category; None where no day ever did.

    Parameters
    ----------
    names : (C,)
        The categories that are counted apart.
    cells : (G, W, C)
        Their rows.
    """
    if (feature, DISTINCT) not in counts.parts:
        return None
    found = counts.greatest(feature, DISTINCT, REGISTERS)
    group, window = np.nonzero(found.any(axis=-1))
    # A day that folds nothing has no registers: its categories are known by name.
    register, rank = register_of(hashed(names))
    kept = np.asarray([name != OTHER for name in names.to_pylist()], dtype=bool)
    at, name = np.nonzero((cells[group, window] > 0) & kept)
    np.maximum.at(found, (group[at], window[at], register[name]), rank[name])
    return found
