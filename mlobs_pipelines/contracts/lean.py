"""Importing libraries of contracts as if Apache Spark and Hypothesis were not installed.

Pandera and Great Expectations import PySpark wherever it is installed, though no rule here runs on it: that
takes a third of a second, and `pyspark.sql.connect` ends a process that was spawned, such as a run's worker.
Hypothesis, which Pandera draws examples with that nobody asks for here, takes half a second.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

HIDDEN = ("pyspark", "pyspark.sql.connect", "hypothesis")


@contextmanager
def lean_imports() -> Iterator[None]:
    """Let imports inside find none of them, but for what the process has imported before."""
    hidden = [name for name in HIDDEN if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # none: this module is not to be found
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
