"""Questions to the embedded engine do not see each other."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from mlobs_pipelines.engine import duck
from mlobs_pipelines.engine.duck import Duck

SUM = "SELECT sum(x)::BIGINT AS x FROM numbers"


def test_questions_at_once_read_their_own_tables(tmp_path):
    """Tables of one name that are asked about at the same time are kept apart."""
    engine = Duck("200MB", 2, tmp_path)
    tables = [{"numbers": pa.table({"x": list(range(size))})} for size in range(1, 40)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda table: engine.query(SUM, table)["x"][0].as_py(), tables))
    assert found == [size * (size - 1) // 2 for size in range(1, 40)]


def test_no_table_outlives_its_question(tmp_path):
    """What one question was given, the next does not know."""
    engine = Duck("200MB", 1, tmp_path)
    engine.query(SUM, {"numbers": pa.table({"x": [1]})})
    with pytest.raises(Exception, match="numbers does not exist"):
        engine.query(SUM, {})


def test_a_large_question_has_an_engine_of_its_own(tmp_path, monkeypatch):
    """Small or large, the answer is the same, under the limits of who asks."""
    table = {"numbers": pa.table({"x": [1, 2, 3]})}
    limit = "SELECT current_setting('threads')::BIGINT AS threads FROM numbers LIMIT 1"
    for size in (duck.SMALL, 0):
        monkeypatch.setattr(duck, "SMALL", size)
        for threads in (1, 2):
            engine = Duck("200MB", threads, tmp_path)
            assert engine.query(limit, table)["threads"].to_pylist() == [threads]
            assert engine.query(SUM, table)["x"].to_pylist() == [6]
