"""Speed of the statistics pass, in one run beside a bare DuckDB scan and scikit-learn on the same file.

The file is invented once under .mlobs/bench. A start: peers that profile (whylogs, Evidently, NannyML, TFDV)
come with the next work on the statistics. Times are the best of three, reading the file included.
"""

import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from multiprocessing import cpu_count, get_context
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from mlobs_pipelines.core.buckets import fit_grid
from mlobs_pipelines.engine.scan import FeaturePlan, ScanPlan, scan_labels, scan_log

ROWS, REPEATS, BINS = 1_000_000, 3, 10
NUMERIC = [f"x{i}" for i in range(10)]
CATEGORICAL = ["airport", "airline", "aircraft"]
SEGMENTS = {"airport": 3, "airline": 16}
FILE = Path(".mlobs/bench/predictions.parquet")


def make() -> None:
    """Write the file: two in a hundred values missing, a score that knows something of the label."""
    draw = np.random.default_rng(7)
    score = draw.beta(2, 5, ROWS)
    columns = {name: pa.array(draw.normal(size=ROWS), mask=draw.random(ROWS) < 0.02) for name in NUMERIC}
    for name, size in zip(CATEGORICAL, (3, 16, 100), strict=True):
        names = pa.array([f"{name}{i}" for i in range(size)])
        columns[name] = names.take(pa.array(draw.integers(0, size, ROWS)))
    columns |= {"score": pa.array(score), "label": pa.array((draw.random(ROWS) < score).astype(np.int64))}
    columns["latency_ms"] = pa.array(draw.lognormal(3, 0.5, ROWS))
    columns |= {"lag_s": pa.array(draw.exponential(2e4, ROWS)), "age_s": pa.array(np.full(ROWS, 2.6e6))}
    same = {"day": "2013-03-01", "model_version": "v1", "role": "champion", "status": "ok", "state": "known"}
    columns |= {name: pa.array([text] * ROWS) for name, text in same.items()}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), FILE, compression="snappy")


def ours() -> None:
    """Every count that all metrics of all families need, for all rows and each value of two segments."""
    table = pq.read_table(FILE)
    grid = fit_grid(np.random.default_rng(8).normal(size=10_000))
    features = [*(FeaturePlan(x, grid) for x in NUMERIC), *(FeaturePlan(x, None) for x in CATEGORICAL)]
    plan = ScanPlan(tuple(features), tuple(SEGMENTS), {"v1": 0.5})
    assert scan_log(table, plan).num_rows + scan_labels(table, plan).num_rows > 0


def bare_scan() -> None:
    """Count, minimum and maximum of the same columns, by DuckDB: what reading them costs at least."""
    names = [*NUMERIC, *CATEGORICAL, "score", "label", "latency_ms", "lag_s", "age_s"]
    sums = ", ".join(f"count({name}), min({name}), max({name})" for name in names)
    duckdb.connect().sql(f"SELECT {sums} FROM '{FILE}'").fetchall()  # noqa: S608 - our own names


def peer() -> None:
    """AUC by scikit-learn and PSI of every feature on numpy quantile edges, for the same groups; no more."""
    table = pq.read_table(FILE, columns=[*NUMERIC, *CATEGORICAL, "score", "label"])
    numbers = {name: table.column(name).to_numpy() for name in [*NUMERIC, "score", "label"]}
    codes = {name: np.unique(table.column(name).to_numpy(), return_inverse=True)[1] for name in CATEGORICAL}
    edges = {name: np.nanquantile(numbers[name], np.linspace(0, 1, BINS + 1)) for name in NUMERIC}
    whole = {name: np.histogram(numbers[name], edges[name])[0] for name in NUMERIC}
    for rows in _groups(codes):
        roc_auc_score(numbers["label"][rows], numbers["score"][rows])
        for name in NUMERIC:
            _psi(np.histogram(numbers[name][rows], edges[name])[0], whole[name])
        for code in codes.values():
            _psi(np.bincount(code[rows], minlength=100), np.bincount(code, minlength=100))


def _groups(codes: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    yield np.ones(ROWS, dtype=bool)
    for name, size in SEGMENTS.items():
        yield from (codes[name] == value for value in range(size))


def _psi(window: np.ndarray, baseline: np.ndarray) -> float:
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * counts.size) for counts in (window, baseline))
    return float(((p - q) * np.log(p / q)).sum())


def measure(work: Callable[[], None]) -> tuple[float, float, float]:
    """Wall seconds and CPU seconds (best of three), and the peak memory of the process in MB."""
    timed = []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        timed.append((time.perf_counter() - wall, time.process_time() - cpu))
    unit = 1024**2 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return min(wall for wall, _ in timed), min(cpu for _, cpu in timed), peak


def main() -> None:
    """Measure each in a process of its own; print ratios first, then seconds and what they were taken on."""
    if not FILE.exists():
        make()
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        own, scan, other = (pool.apply(measure, (work,)) for work in (ours, bare_scan, peer))
    for name, one, base in (("statistics / DuckDB", own, scan), ("scikit-learn / statistics", other, own)):
        print(f"{name:26} {one[0] / base[0]:6.2f} x wall  {one[1] / base[1]:6.2f} x CPU")
    for name, (wall, cpu, peak) in {"statistics": own, "DuckDB": scan, "scikit-learn": other}.items():
        print(f"{name:26} {wall:6.2f} s wall  {cpu:6.2f} s CPU  {peak:6.0f} MB peak")
    groups = 1 + sum(SEGMENTS.values())
    print(f"{ROWS:,} rows x {len(NUMERIC)} numeric + {len(CATEGORICAL)} categorical, {groups} groups")
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numpy", "pyarrow", "scikit-learn"))
    print(f"{platform.machine()}, {cpu_count()} cores, Python {platform.python_version()}, {packages}")


if __name__ == "__main__":
    main()
