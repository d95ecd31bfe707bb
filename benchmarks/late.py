"""Late labels, from the delivery of a file to new rows in the metric store: time, runs, what is read.

First one label for the oldest day of a demo, then one label for each of 400 days of a small model. Both go
the product's way: the labels job, the sensor's tick, and the runs that it asks for. Lakes are made once under
.mlobs/bench/late; what is read is counted where the lake opens files.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

HOME = Path(".mlobs/bench/late")
CONTRACTS = Path(__file__).parents[1] / "data_contracts"
MODEL = "flight_delays"
FIRST, LAST = date(2013, 5, 1), date(2013, 6, 30)
OPENING = "_dataset"  # where the lake opens files
MANY_FIRST, MANY, ROWS_PER_DAY = date(2012, 12, 1), 400, 40


def site_of(home: Path) -> object:
    """An installation under a folder."""
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings

    return Site(Settings(_env_file=None, home=home, contracts=CONTRACTS))


def spec_of() -> object:
    """The flight model as declared."""
    from mlobs_pipelines.contracts.folder import load_models
    from mlobs_pipelines.core.metrics import METRICS

    return load_models(CONTRACTS, METRICS)[MODEL]


def demo(home: Path) -> None:
    """Land and walk the days of the demo, where that has not been done."""
    from mlobs_pipelines.definitions import build_defs
    from mlobs_pipelines.defs.backfills import Asked
    from mlobs_pipelines.defs.launch import backfill, instance
    from mlobs_pipelines.demo import DemoPlan
    from mlobs_pipelines.demo.landing import build_landing

    if (home / "done").exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    site = site_of(home)
    build_landing(DemoPlan(FIRST, LAST, share=1.0, incidents=frozenset()), home / "landing" / MODEL)
    spec = spec_of()
    asked = Asked(FIRST, LAST, spec.monitor.replay_as_of)
    with instance(site) as opened:
        for run in backfill(site, build_defs(site), spec, asked, opened):
            if not run.success:
                sys.exit(f"{run.job}: {run.error}")
    (home / "done").touch()


def many_days(spec: object) -> object:
    """The flight model with a longer history, two windows and no segments."""
    last = MANY_FIRST + timedelta(days=MANY + 9)
    less = {"start_date": MANY_FIRST, "end_date": last, "windows": ("1d", "7d"), "segments": ()}
    return replace(spec, monitor=spec.monitor.model_copy(update={**less, "objectives": (), "slos": ()}))


def many(home: Path, source: Path) -> None:
    """Walk 400 days whose logs are some rows of one day of the demo under other ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from mlobs_pipelines.steps.baseline import measure_baselines
    from mlobs_pipelines.steps.join import join
    from mlobs_pipelines.steps.layouts import log_layout
    from mlobs_pipelines.steps.metrics import score
    from mlobs_pipelines.steps.statistics import measure

    if (home / "done").exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(source / "landing" / MODEL / "training", home / "landing" / MODEL / "training")
    shutil.copytree(source / "landing" / MODEL / "labels", home / "landing" / MODEL / "labels")
    for path in (home / "landing" / MODEL / "labels").iterdir():
        path.unlink()
    spec = many_days(spec_of())
    layout, days = log_layout(spec), [MANY_FIRST + timedelta(days=i) for i in range(MANY)]
    rows = site_of(source).lake.read(MODEL, layout, where={"day": FIRST.isoformat()}).slice(0, ROWS_PER_DAY)
    tables = []
    for day in days:
        shift = pa.scalar(day - FIRST, pa.duration("us"))
        ids = pc.replace_substring_regex(rows.column("prediction_id"), r"-\d{8}T", f"-{day:%Y%m%d}T")
        at = pc.add(rows.column("predicted_at"), shift)
        table = rows.set_column(rows.schema.get_field_index("prediction_id"), "prediction_id", ids)
        table = table.set_column(table.schema.get_field_index("predicted_at"), "predicted_at", at)
        text = pa.repeat(pa.scalar(day.isoformat()), rows.num_rows)
        tables.append(table.set_column(table.schema.get_field_index("day"), "day", text).cast(layout.schema))
    walk = site_of(home).walk(spec, "bench")
    walk.lake.replace(
        MODEL, layout, [(day.isoformat(),) for day in days], pa.concat_tables(tables), commit=walk.commit
    )
    measure_baselines(walk)
    for step in (join, measure, score):
        step(walk, days)
    (home / "done").touch()


def deliver(home: Path, days: list[date], arrived: date) -> None:
    """Write a file with a revised label for one prediction of each day."""
    lake, rows = site_of(home).lake, []
    for day in days:
        ids = lake.read(MODEL, "prediction_log", where={"day": day.isoformat()}, columns=["prediction_id"])
        row = {"prediction_id": ids.column(0)[0].as_py(), "label": 1, "outcome": "late", "revision": 9}
        rows.append({**row, "arrived_at": f"{arrived}T09:00:00Z", "source": "reconciliation"})
    path = home / "landing" / MODEL / "labels" / f"{arrived}.jsonl"
    with path.open("a") as file:  # beside what the day has brought already
        file.write("".join(json.dumps(row) + "\n" for row in rows))


@contextmanager
def reading() -> Iterator[Counter]:
    """Count rows and partitions of every table whose files are opened."""
    from mlobs_pipelines.store.lake import Lake

    found: Counter = Counter()
    opened: Callable = getattr(Lake, OPENING)

    def counted(lake: object, table: object, files: list, schema: object) -> object:
        for file in files:
            found[file.path.split(f"/{MODEL}/")[1].split("/")[0], file.key, file.path] = file.rows
        return opened(lake, table, files, schema)

    setattr(Lake, OPENING, counted)
    try:
        yield found
    finally:
        setattr(Lake, OPENING, opened)


def told(found: Counter) -> str:
    """What was read, by table."""
    rows, parts = Counter(), {}
    for (table, key, _), count in found.items():
        rows[table] += count
        parts.setdefault(table, set()).add(key)
    return "\n".join(
        f"    {table:22} {rows[table]:8,} rows of {len(parts[table])} partitions" for table in sorted(rows)
    )


def measured(home: Path, spec: object, days: list[date], arrived: date) -> None:
    """Deliver, ingest, tick and run; print what each took."""
    import dagster as dg

    from mlobs_pipelines.defs.launch import QUIET
    from mlobs_pipelines.defs.model import model_definitions

    site = site_of(home)
    defs = model_definitions(site, spec)
    deliver(home, days, arrived)
    sensor, job = defs.resolve_sensor_def(f"{MODEL}_late_labels"), defs.resolve_job_def(f"{MODEL}_rescore")
    labels = defs.resolve_job_def(f"{MODEL}_labels")
    with dg.DagsterInstance.ephemeral() as instance:
        start, spent = time.perf_counter(), time.process_time()
        labels.execute_in_process(instance=instance, partition_key=arrived.isoformat(), run_config=QUIET)
        ingested = time.perf_counter()
        asked = sensor(dg.build_sensor_context(instance, definitions=defs)).run_requests
        ticked = time.perf_counter()
        with reading() as found:
            for request in asked:
                config = {**request.run_config, **QUIET}
                done = job.execute_in_process(instance=instance, run_config=config)
        ended, spent = time.perf_counter(), time.process_time() - spent
        events = instance.all_logs(done.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    took = f"ingest {ingested - start:.1f} s, tick {ticked - ingested:.2f} s, runs {ended - ticked:.1f} s"
    print(f"  {len(asked)} runs; {took}; from delivery to new metric rows: {ended - start:.1f} s,")
    print(f"  {spent:.1f} s of CPU; {len(events)} materializations in the last run; the runs read")
    print(told(found))


def main() -> None:
    """Print both measurements."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    demo(HOME / "demo")
    many(HOME / "many", HOME / "demo")
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("demo", "many"):
            shutil.copytree(HOME / name, Path(scratch) / name)
        print(f"one late label for {FIRST}, of {(LAST - FIRST).days + 1} days of flights")
        measured(Path(scratch) / "demo", spec_of(), [FIRST], LAST + timedelta(days=9))
        print(f"one late label for each of {MANY} days, {ROWS_PER_DAY} rows a day")
        days = [MANY_FIRST + timedelta(days=i) for i in range(MANY)]
        measured(Path(scratch) / "many", many_days(spec_of()), days, days[-1] + timedelta(days=9))


if __name__ == "__main__":
    main()
