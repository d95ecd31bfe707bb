"""A year of stored statistics asked one question: the drift of every feature in every group, by quarter.

The year is one small day of `measuring`'s rows, counted anew for each date, and kept in a lake as the product
keeps it. Timed is the product's own answer, from the table's log to PSI with its noise points.
"""

import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

FIRST, DAYS, QUARTER = date(2023, 1, 1), 365, 91
ROWS_PER_DAY, MODEL, SEGMENT = 5_000, "year", "region"
AS_OF = datetime(2024, 2, 1, tzinfo=UTC)


def walk_of(home: Path, baseline: Path) -> object:
    """A walk over the year's lake, for a monitor that has no folder of contracts."""
    from mlobs_pipelines.contracts.monitor import Monitor
    from mlobs_pipelines.engine.duck import Duck
    from mlobs_pipelines.settings import HashKey, HashKeys
    from mlobs_pipelines.steps.walk import Walk
    from mlobs_pipelines.store.lake import Lake

    names = [name for name in pq.read_schema(baseline).names if name[0] in "xc" and name[1:].isdigit()]
    monitor = Monitor.model_validate(
        {
            "model": MODEL,
            "description": "rows that were invented",
            "task": "binary",
            "owners": ["team:bench"],
            "runbook": "https://example.org/runbook",
            "start_date": FIRST,
            "segments": [SEGMENT],
            "features": [
                {"name": name, "kind": "numeric" if name[0] == "x" else "categorical"} for name in names
            ],
            "labels": {"horizon": "7d", "unit": "1h", "horizons": ["7d"], "coverage_target": 0.95},
            "versions": {
                version: {"baseline": str(baseline), "facts": f"{home}/none.json"}
                for version in ("v1", "v2", "v3")
            },
            "windows": ["1d"],
            "schedule": {"cron": "0 6 * * *"},
        }
    )
    keys, duck = HashKeys(HashKey(b"no secret of anybody", "bench")), Duck("1GB", 2, home / "spill")
    spec = SimpleNamespace(monitor=monitor)
    return Walk(spec, Lake(str(home / "lake")), duck, home, keys, {}, {"run_id": "bench"}, AS_OF)


def write(walk: object, day: Path) -> None:
    """Measure the baselines and store the year's statistics, where they are not there yet."""
    from mlobs_pipelines.steps.baseline import measure_baselines
    from mlobs_pipelines.steps.bins import load_baselines, scan_plan
    from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT
    from mlobs_pipelines.store.tables import as_of_key

    if walk.lake.exists(MODEL, STATISTICS_LAYOUT.name):
        return
    measure_baselines(walk)
    plan, rows = scan_plan(walk, load_baselines(walk)), pq.read_table(day)
    for start in range(0, DAYS, 31):
        days = range(start, min(start + 31, DAYS))
        counted = pa.concat_tables([_counted(rows, number, plan) for number in days])
        at = pa.array([AS_OF] * counted.num_rows, pa.timestamp("us", tz="UTC"))
        counted = counted.append_column("as_of", at)
        counted = counted.append_column("as_of_key", pa.array([as_of_key(AS_OF)] * counted.num_rows))
        partitions = [(str(FIRST + timedelta(days=number)), as_of_key(AS_OF)) for number in days]
        walk.lake.replace(MODEL, STATISTICS_LAYOUT, partitions, counted, commit=walk.commit)


def _counted(rows: pa.Table, number: int, plan: object) -> pa.Table:
    from mlobs_pipelines.engine.scan import scan_labels, scan_log

    part = rows.slice(number * 331 % (rows.num_rows - ROWS_PER_DAY), ROWS_PER_DAY)
    named = pa.array([str(FIRST + timedelta(days=number))] * part.num_rows)
    part = part.set_column(part.column_names.index("day"), "day", named)
    return pa.concat_tables([scan_log(part, plan), scan_labels(part, plan)])


def query(walk: object) -> pa.Table:
    """PSI of each quarter against the first: per version and region, and per feature."""
    from mlobs_pipelines.core.vocabulary import Window
    from mlobs_pipelines.core.windows import Span
    from mlobs_pipelines.steps.between import drift_between

    ends = [FIRST + timedelta(days=QUARTER * quarter) for quarter in range(4)]
    ends.append(FIRST + timedelta(days=DAYS))
    spans = [Span(Window.MONTH, start, end) for start, end in pairwise(ends)]
    return drift_between(walk, spans[0], spans[1:])


if __name__ == "__main__":
    import time

    year = walk_of(Path(sys.argv[1]), Path(sys.argv[2]).absolute())
    write(year, Path(sys.argv[3]))
    for _ in range(3):
        started, cpu = time.perf_counter(), time.process_time()
        found = query(year)
        seconds = time.perf_counter() - started
        print(f"{found.num_rows:,} values: {seconds:.2f} s, {time.process_time() - cpu:.2f} s of CPU")
