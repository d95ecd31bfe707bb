"""Importing libraries of contracts as if Apache Spark were not installed.

Pandera and Great Expectations import PySpark wherever it is installed, though no rule here runs on it: that
takes a third of a second, and `pyspark.sql.connect` ends a process that was spawned, such as a run's worker.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

HIDDEN = ("pyspark", "pyspark.sql.connect")


@contextmanager
def without_spark() -> Iterator[None]:
    """Let imports inside find no PySpark; what was imported before is as before afterwards."""
    kept = {name: sys.modules[name] for name in HIDDEN if name in sys.modules}
    sys.modules.update(dict.fromkeys(HIDDEN))  # type: ignore[arg-type] # none: this module is not to be found
    try:
        yield
    finally:
        for name in HIDDEN:
            del sys.modules[name]
        sys.modules.update(kept)
