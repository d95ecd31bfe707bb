"""A backfill of the demo's data from landing files to metrics, as a person starts it: time, CPU, peak memory.

Then what orchestration costs a partition, measured apart: days without rows, once through Dagster and once by
the steps alone. The landing zone is built once, under .mlobs/bench/backfill.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

HOME = Path(".mlobs/bench/backfill")
CONTRACTS = Path(__file__).parents[1] / "data_contracts"
MODEL = "flight_delays"
EMPTY_FROM = date(2013, 3, 1)


def mlobs(home: Path, *arguments: str) -> tuple[float, float, float]:
    """Run a command in a process of its own; return seconds, CPU seconds and peak memory in GB."""
    said = {"MLOBS_HOME": home, "MLOBS_LANDING": HOME / "landing", "MLOBS_CONTRACTS": CONTRACTS}
    variables = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}  # noqa: TID251 - a child's
    variables |= {name: str(value.absolute()) for name, value in said.items()}
    started = time.perf_counter()
    command = [Path(sys.executable).parent / "mlobs", *arguments]
    process = subprocess.Popen(command, env=variables)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"mlobs {' '.join(arguments)} failed")
    cpu = used.ru_utime + used.ru_stime
    return time.perf_counter() - started, cpu, used.ru_maxrss / 1024**2


def landed(first: str, last: str) -> None:
    """Build the landing zone with all flights of some days, where that has not been done."""
    done = HOME / f"landed-{first}-{last}"
    if not done.exists():
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir(parents=True)
        mlobs(HOME, "demo", "--full", "--landing-only", "--from", first, "--to", last)
        done.touch()


def backfilled(first: str, last: str) -> None:
    """Backfill into a lake of its own, and print what it took."""
    days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        wall, cpu, memory = mlobs(Path(folder), "backfill", MODEL, "--from", first, "--to", last)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    told = f"{wall:.0f} s, CPU {cpu:.0f} s ({cpu / days:.2f} s a day), peak {memory:.2f} GB"
    print(f"{days} days x 2 versions: {told}", flush=True)
    print(f"lake and events: {size / 1e6:,.0f} MB")


def overhead(days: int) -> None:
    """Print what Dagster adds to a partition: days without rows, through Dagster and by the steps alone."""
    from mlobs_pipelines.contracts.folder import load_models
    from mlobs_pipelines.core.metrics import METRICS
    from mlobs_pipelines.definitions import build_defs
    from mlobs_pipelines.defs import launch
    from mlobs_pipelines.defs.jobs import range_tags
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings

    spec, last = load_models(CONTRACTS, METRICS)[MODEL], EMPTY_FROM + timedelta(days=days - 1)
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        landing = Path(folder) / "landing" / MODEL
        for name in ("predictions", "features", "labels"):
            (landing / name).mkdir(parents=True)
        shutil.copytree(HOME / "landing" / MODEL / "training", landing / "training")
        spent = {}
        for way in ("steps", "dagster"):
            home = Path(folder) / way
            site = Site(
                Settings(_env_file=None, home=home, landing=Path(folder) / "landing", contracts=CONTRACTS)
            )
            defs = build_defs(site)
            with launch.instance(site) as opened:
                assert launch.run(opened, defs, f"{MODEL}_baseline", {}).success
                started = time.process_time()
                if way == "steps":
                    by_steps(site, spec, [EMPTY_FROM + timedelta(days=number) for number in range(days)])
                else:
                    tags = range_tags(EMPTY_FROM, last)
                    assert launch.run(opened, defs, f"{MODEL}_daily", tags).success
                spent[way] = time.process_time() - started
    added = (spent["dagster"] - spent["steps"]) / days
    print(
        f"{days} empty days: steps alone CPU {spent['steps']:.1f} s, through Dagster {spent['dagster']:.1f} s"
    )
    print(f"orchestration, checks' evaluations among it: {added:.3f} s of CPU a partition")


def by_steps(site: object, spec: object, days: list[date]) -> None:
    """Walk days without Dagster."""
    from mlobs_pipelines.contracts.odcs import DATASETS
    from mlobs_pipelines.steps.incidents import follow
    from mlobs_pipelines.steps.ingest import ingest
    from mlobs_pipelines.steps.join import join
    from mlobs_pipelines.steps.judge import judge_slos
    from mlobs_pipelines.steps.log import log
    from mlobs_pipelines.steps.metrics import score
    from mlobs_pipelines.steps.snapshot import snapshot
    from mlobs_pipelines.steps.statistics import measure

    walk = site.walk(spec, "bench")
    for dataset in DATASETS:
        ingest(walk, dataset, days)
    for step in (snapshot, log, join, measure, score, judge_slos, follow):
        step(walk, days)


def main() -> None:
    """Land, backfill, and take orchestration apart."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--from", dest="first", default="2013-03-01")
    options.add_argument("--to", dest="last", default="2013-12-31")
    options.add_argument("--empty-days", type=int, default=60)
    options.add_argument("--overhead-only", action="store_true")
    asked = options.parse_args()
    landed(asked.first, asked.last)
    if not asked.overhead_only:
        backfilled(asked.first, asked.last)
    overhead(asked.empty_days)


if __name__ == "__main__":
    main()
