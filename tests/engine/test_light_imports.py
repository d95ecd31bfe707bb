"""What a short process pays for before the first row is counted."""

import subprocess
import sys

import pyarrow.parquet as pq

from tests.engine.test_scan import table

COUNT = """
import sys
import numpy as np
from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.engine.reading import read_batches
from mlobs_pipelines.engine.scan import FeaturePlan, LabelScan, LogScan, ScanPlan

features = (FeaturePlan("x", Grid(1.0, 2.0, np.array([0.0, 1.5]))), FeaturePlan("c", None))
plan = ScanPlan(features, ("c",), {"v1": 0.5, "v2": 0.25})
for scan in (LogScan(plan), LabelScan(plan)):
    for batch in read_batches(sys.argv[1]):
        scan.add(batch)
    assert scan.finish().num_rows
print(*sorted({"pandas", "polars", "duckdb", "dagster", "pydantic", "scipy", "sklearn"} & set(sys.modules)))
"""


def test_rows_are_counted_without_what_takes_long_to_import(tmp_path):
    """Neither scan makes Arrow import pandas, half a second of a short process, nor asks for more itself."""
    path = tmp_path / "rows.parquet"
    pq.write_table(table(200), path)
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")
