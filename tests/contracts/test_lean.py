"""What an installed Spark or Hypothesis must not do to a process that runs contracts."""

import multiprocessing
import sys

LEFT_OUT = ("pyspark", "hypothesis")


def _check(queue):
    from mlobs_pipelines.contracts import expectations, rows  # noqa: PLC0415 - imported by the new process

    found = [library.__name__ for library in (rows._pandera(), expectations._library())]
    queue.put((*found, sorted(name for name in sys.modules if name.startswith(LEFT_OUT))))


def test_a_worker_that_was_spawned_runs_contracts():
    """Libraries of rules import neither, nor does PySpark end the process, as it would a run's worker."""
    spawned = multiprocessing.get_context("spawn")
    queue = spawned.Queue()
    process = spawned.Process(target=_check, args=(queue,))
    process.start()
    found = queue.get(timeout=120)
    process.join(30)
    assert process.exitcode == 0
    assert found == ("pandera", "great_expectations", [])


def test_what_was_imported_stays(monkeypatch):
    """A PySpark that the process uses is found inside; what it has not imported is not, and is afterwards."""
    from mlobs_pipelines.contracts.lean import lean_imports  # noqa: PLC0415 - as above

    monkeypatch.setitem(sys.modules, "pyspark", sys)
    monkeypatch.delitem(sys.modules, "pyspark.sql.connect", raising=False)
    with lean_imports():
        assert sys.modules["pyspark"] is sys
        assert sys.modules["pyspark.sql.connect"] is None
    assert sys.modules["pyspark"] is sys
    assert "pyspark.sql.connect" not in sys.modules
