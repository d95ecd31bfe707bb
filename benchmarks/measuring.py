"""Speed and memory of the statistics, in one run beside bare scans of the same file and other profilers.

A day of rows and a baseline half as large are invented once under .mlobs/bench. Every candidate runs in a
process of its own; `work` leaves imports and preparation out, `whole` is the process from start to end. Peers
run in environments of their own under .mlobs/bench/peers: `--install` makes them, an absent one is told.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HOME = Path(".mlobs/bench")
PEERS = HOME / "peers"
NUMBERS = [f"x{i:02d}" for i in range(40)]
NAMES = {f"c{i}": size for i, size in enumerate((3, 8, 16, 50, 100, 100, 200, 300, 500, 1000))}
VERSIONS = ["v1", "v2", "v3"]
SEGMENT, SEGMENTS = "region", 8
IDENTITY = ["day", "role", "status", "model_version", "latency_ms"]
FAMILIES = ("drift", "quality", "calibration")
ROW_GROUP = 131_072  # as the lake writes
REQUIREMENTS = {  # what each needs beside itself is what its own package forgets to ask for, or to forbid
    "evidently": ["evidently==0.7.23", "pandas<3"],
    "whylogs": ["whylogs[viz]==1.6.4", "pandas<3", "numpy<2", "pyarrow<20", "setuptools<81"],
    "nannyml": ["nannyml==0.13.1", "statsmodels"],
    "tfdv": ["tensorflow-data-validation==1.16.1", "dill", "setuptools<81"],
}
SILENT = ["NML_DISABLE_USAGE_LOGGING=1", "WHYLOGS_NO_ANALYTICS=true", "DO_NOT_TRACK=1"]  # no calls home


def file_of(rows: int, kind: str) -> Path:
    """Where the invented rows are."""
    return HOME / f"{kind}-{rows}.parquet"


def make(rows: int, kind: str, seed: int) -> None:
    """Write a file: normal, skewed and rounded numbers, two in a hundred missing, and categories."""
    import pyarrow.parquet as pq

    path = file_of(rows, kind)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    writer, draw = None, _draw(seed)
    for start in range(0, rows, ROW_GROUP):
        part = _rows(draw, min(ROW_GROUP, rows - start))
        texts = [field.name for field in part.schema if str(field.type) == "string"]
        writer = writer or pq.ParquetWriter(path, part.schema, compression="snappy", use_dictionary=texts)
        writer.write_table(part)
    writer.close()


def _draw(seed: int) -> object:
    import numpy as np

    return np.random.default_rng(seed)


def _rows(draw: object, rows: int) -> object:
    import numpy as np
    import pyarrow as pa

    kinds = [
        lambda: draw.normal(size=rows),
        lambda: draw.normal(100, 3, rows),
        lambda: draw.lognormal(3, 1, rows),
        lambda: np.round(draw.normal(50, 12, rows)),
    ]
    same = {"day": "2024-03-01", "role": "champion", "status": "ok", "state": "labelled"}
    columns = {name: pa.array([text] * rows) for name, text in same.items()}
    columns["model_version"] = pa.array(VERSIONS).take(pa.array(draw.integers(0, 3, rows)))
    columns[SEGMENT] = pa.array([f"r{i}" for i in range(SEGMENTS)]).take(
        pa.array(draw.integers(0, SEGMENTS, rows))
    )
    for position, name in enumerate(NUMBERS):
        columns[name] = pa.array(kinds[position % 4](), mask=draw.random(rows) < 0.02)
    for name, size in NAMES.items():
        columns[name] = pa.array([f"{name}-{i}" for i in range(size)]).take(
            pa.array(draw.integers(0, size, rows))
        )
    score = draw.beta(2, 5, rows)
    columns |= {"score": pa.array(score), "label": pa.array((draw.random(rows) < score).astype(np.int64))}
    columns |= {
        "latency_ms": pa.array(draw.lognormal(3, 0.5, rows)),
        "lag_s": pa.array(draw.exponential(2e4, rows)),
    }
    return pa.table(columns | {"age_s": pa.array(np.full(rows, 2.6e6))})


def plan_of(baseline: Path) -> object:
    """What is counted: cells fixed on the baseline."""
    import comparing

    return comparing.plan_of(baseline, SEGMENT)


def statistics(day: Path, baseline: Path, times: int = 1) -> None:
    """Every count that all metrics of all families need, per version, and per version and region."""
    from mlobs_pipelines.engine.reading import read_batches
    from mlobs_pipelines.engine.scan import LabelScan, LogScan

    plan = plan_of(baseline)
    with _Timed():
        log, labels = LogScan(plan), LabelScan(plan)
        for batch in (batch for _ in range(times) for batch in read_batches(str(day))):
            log.add(batch)
            labels.add(batch)
        rows = log.finish().num_rows + labels.finish().num_rows
    assert rows > 0


def tenfold(day: Path, baseline: Path) -> None:
    """The same of ten times as many rows, the file being read ten times over: time grows, memory does not."""
    statistics(day, baseline, 10)


def duckdb(day: Path, _: Path) -> None:
    """Count, minimum and maximum of every column, by DuckDB on two threads."""
    import duckdb as engine
    import pyarrow.parquet as pq

    names = pq.read_schema(day).names
    sums = ", ".join(f"count({name}), min({name}), max({name})" for name in names)
    connection = engine.connect()
    connection.execute("SET threads = 2")
    with _Timed():
        connection.execute(f"SELECT {sums} FROM '{day}'").fetchall()  # noqa: S608 - our own names


def pyarrow(day: Path, _: Path) -> None:
    """Count, minimum and maximum of every column, by PyArrow, a row group at a time."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with _Timed(), pq.ParquetFile(day, pre_buffer=False, buffer_size=65_536) as file:
        for batch in file.iter_batches(ROW_GROUP):
            for column in batch.columns:
                pc.count(column)
                pc.min_max(column)


def drift(day: Path, baseline: Path) -> None:
    """All that peers do: profile the baseline and the day from their files, then compare each feature.

    PSI of each feature, in each of the groups, stands for the one test that peers make of each feature. It is
    more than they do: they know no groups, and neither requests nor latencies. What they do beyond a test is
    left in, as each does by default: Evidently's summary, whylogs' sketches, TFDV's validation.
    """
    with _Timed():
        import comparing

        from mlobs_pipelines.engine.reading import read_batches

        names = [*IDENTITY, SEGMENT, *NUMBERS, *NAMES]
        plan = comparing.plan_of(baseline, SEGMENT)
        before = comparing.log_of(plan, read_batches(str(baseline), names))
        after = comparing.log_of(plan, read_batches(str(day), names))
        assert comparing.compare(plan, before, after, ("psi",)) > 0


def comparison(day: Path, baseline: Path) -> None:
    """Drift of every feature, quality and calibration, in every group, from statistics that are there."""
    import comparing
    import pyarrow as pa

    from mlobs_pipelines.engine.reading import read_batches

    plan = comparing.plan_of(baseline, SEGMENT)
    before = comparing.log_of(plan, read_batches(str(baseline)))
    scans = comparing.log_of, comparing.labels_of
    after = pa.concat_tables([scan(plan, read_batches(str(day))) for scan in scans])
    comparing.compare(plan, before, after, FAMILIES)  # imports
    with _Timed():
        assert comparing.compare(plan, before, after, FAMILIES) > 0


def history(day: Path, baseline: Path) -> None:
    """Drift of a year by quarter, per feature and group, from statistics stored by day."""
    import history as year

    walk = year.walk_of(HOME / "history", baseline.absolute())
    year.write(walk, day)
    year.query(walk)  # once before, so that nothing imported late is timed
    with _Timed():
        year.query(walk)


class _Timed:
    def __enter__(self) -> None:
        self.started, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        seconds, cpu = time.perf_counter() - self.started, time.process_time() - self.cpu
        print(json.dumps({"seconds": seconds, "cpu": cpu}))


OWN = {
    "statistics": statistics,
    "tenfold": tenfold,
    "duckdb": duckdb,
    "pyarrow": pyarrow,
    "comparison": comparison,
    "drift": drift,
    "history": history,
}


def _python(name: str) -> Path:
    return PEERS / name / "bin" / "python"


def install() -> None:
    """Make an environment of its own for every peer that has none."""
    uv = Path(sys.executable).with_name("uv")
    for name, wanted in REQUIREMENTS.items():
        if not _python(name).exists():
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, PEERS / name], check=True)
        done = subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", _python(name), *wanted, "pyarrow"], check=False
        )
        print(f"{name}: {'installed' if done.returncode == 0 else 'could not be installed'}")


def measured(name: str, rows: int, times: int, limit_s: float) -> dict[str, float] | str:
    """Best of several runs, each a process of its own; what went wrong, if anything."""
    script = [sys.executable, __file__, "--work", name] if name in OWN else _peer_script(name)
    if not script:
        return "absent; --install makes it"
    files = [str(file_of(rows, "day")), str(file_of(rows // 2, "baseline"))]
    found = []
    for _ in range(times):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(
                [*script, "--files", *files], capture_output=True, text=True, timeout=limit_s, check=False
            )
        except subprocess.TimeoutExpired:
            return f"not done after {limit_s:.0f} s"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            return f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1][:150]}"
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
        whole = {"whole": time.perf_counter() - started, "whole_cpu": _cpu(after) - _cpu(before)}
        found.append({key: value for one in said for key, value in one.items()} | whole)
    return {key: min(one[key] for one in found) for key in found[0]}


def _peer_script(name: str) -> list[str]:
    python = _python(name)
    script = [str(python), str(Path(__file__).with_name("peers.py")), "--work", name]
    return ["env", *SILENT, *script] if python.exists() else []


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def report(results: dict[str, dict[str, float] | str], rows: int) -> None:
    """Ratios first, then seconds, peaks, and what they were taken on."""
    done = {name: found for name, found in results.items() if isinstance(found, dict)}
    for one, base, keys in [
        *(("statistics", scan, ("seconds", "cpu")) for scan in ("duckdb", "pyarrow")),
        ("tenfold", "statistics", ("seconds", "cpu")),
        *((peer, "drift", ("whole", "whole_cpu")) for peer in REQUIREMENTS),
    ]:
        if one in done and base in done:
            wall, cpu = (done[one][key] / done[base][key] for key in keys)
            print(f"{one + ' / ' + base:26} {wall:7.2f} x wall {cpu:7.2f} x CPU")
    heads = ("work s", "work CPU", "whole s", "whole CPU", "peak MB")
    print(f"\n{'':14}" + "".join(f"{head:>11}" for head in heads))
    for name, found in results.items():
        print(f"{name:14} {found}" if isinstance(found, str) else f"{name:14}{_figures(found)}")
    groups = len(VERSIONS) * (1 + SEGMENTS)
    width = f"{len(NUMBERS)} numeric + {len(NAMES)} categorical"
    print(f"{rows:,} rows x {width}, {groups} groups, baseline {rows // 2:,} rows")
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numpy", "pyarrow"))
    load = ", ".join(f"{some:.1f}" for some in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load}, Python {platform.python_version()}")
    print(packages)


def _figures(found: dict[str, float]) -> str:
    times = (f"{found[key]:11.2f}" for key in ("seconds", "cpu", "whole", "whole_cpu"))
    return "".join(times) + f"{found['peak_mb']:11.0f}"


def main() -> None:
    """Measure and report, or do one candidate's work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=[*OWN, *REQUIREMENTS])
    parser.add_argument("--limit", type=float, default=900.0, help="seconds given to one run of a peer")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--work", choices=list(OWN))
    parser.add_argument("--files", nargs=2, type=Path)
    given = parser.parse_args()
    if given.work:
        OWN[given.work](*given.files)
        print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    if given.install:
        install()
    make(given.rows, "day", 7)
    make(given.rows // 2, "baseline", 8)
    names = given.only or [*OWN, *REQUIREMENTS]
    found = {n: measured(n, given.rows, given.times if n in OWN else 1, given.limit) for n in names}
    report(found, given.rows)


if __name__ == "__main__":
    main()
