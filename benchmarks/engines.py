"""One week of the demo on both engines: what differs between the two metric stores, and how long each took.

The same deliveries go through the same steps into two lakes under .mlobs/bench/engines; only the monitor's
`engine` differs. Exit code 1 where a count, a verdict or a row differs, or a float by more than 1e-9.
"""

import argparse
import shutil
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import SecretStr

HOME = Path(".mlobs/bench/engines")
CONTRACTS = Path(__file__).parents[1] / "data_contracts"
MODEL = "flight_delays"
FIRST, DAYS, LATER, EARLIER = date(2013, 5, 13), 7, 4, 10
ENGINES = ("embedded", "spark")
TOLERANCE = 1e-9


def landed(share: float) -> Path:
    """Deliveries of the week, of the features it looks back on and of labels that come later."""
    from mlobs_pipelines.demo import DemoPlan
    from mlobs_pipelines.demo.landing import build_landing

    landing = HOME / f"landing-{share}"
    if not (landing / "done").exists():
        shutil.rmtree(landing, ignore_errors=True)
        first, last = FIRST - timedelta(days=EARLIER), FIRST + timedelta(days=DAYS + LATER)
        build_landing(DemoPlan(first, last, share=share, incidents=frozenset()), landing / MODEL)
        (landing / "done").touch()
    return landing


def walk_of(engine: str, landing: Path, conf: Path | None) -> object:
    """A walk of the demo's model on one engine, with an empty lake."""
    from mlobs_pipelines.contracts.folder import load_models
    from mlobs_pipelines.core.metrics import METRICS
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings

    home = HOME / engine
    shutil.rmtree(home, ignore_errors=True)
    key = SecretStr("no secret of anybody")
    site = Site(
        Settings(
            _env_file=None, home=home, landing=landing, contracts=CONTRACTS, hmac_key=key, spark_conf=conf
        )
    )
    spec = load_models(CONTRACTS, METRICS)[MODEL]
    monitor = spec.monitor.model_copy(update={"engine": engine})
    return site.walk(replace(spec, monitor=monitor), "bench")


def run(walk: object) -> dict[str, float]:
    """Take every step over the week; return seconds by step."""
    from mlobs_pipelines.steps.baseline import measure_baselines
    from mlobs_pipelines.steps.ingest import ingest
    from mlobs_pipelines.steps.join import join
    from mlobs_pipelines.steps.log import log
    from mlobs_pipelines.steps.metrics import score
    from mlobs_pipelines.steps.snapshot import snapshot
    from mlobs_pipelines.steps.statistics import measure

    week = [FIRST + timedelta(days=at) for at in range(DAYS)]
    before = [FIRST - timedelta(days=at) for at in range(1, EARLIER)]
    after = [week[-1] + timedelta(days=at) for at in range(1, LATER)]
    steps = {
        "start": lambda: walk.engine.each(len, [[]]).__next__(),
        "baseline": lambda: measure_baselines(walk),
        "ingest features": lambda: ingest(walk, "features", before + week),
        "ingest predictions": lambda: ingest(walk, "predictions", week),
        "ingest labels": lambda: ingest(walk, "labels", week + after),
        "snapshot": lambda: snapshot(walk, week),
        "log": lambda: log(walk, week),
        "join": lambda: join(walk, week),
        "statistics": lambda: measure(walk, week),
        "metrics": lambda: score(walk, week),
    }
    taken = {}
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        taken[name] = time.perf_counter() - start
    return taken


def differing(one: pa.Table, other: pa.Table) -> dict[str, tuple[int, float]]:
    """Values that differ by column, and by how much of themselves, or of 1 where they are smaller.

    Rows stand in the lake's order in both.
    """
    found = {}
    for name in one.column_names:
        mine, theirs = one[name], other[name]
        if pa.types.is_list(mine.type):
            mine, theirs = pc.list_flatten(mine), pc.list_flatten(theirs)
        if len(mine) != len(theirs):
            found[name] = (abs(len(mine) - len(theirs)), np.inf)
        elif pa.types.is_floating(mine.type):
            both = [np.asarray(column.to_pylist(), dtype=np.float64) for column in (mine, theirs)]
            apart = np.abs(both[0] - both[1]) / np.maximum(np.abs(both[0]), 1.0)
            apart = apart[~(np.isnan(both[0]) & np.isnan(both[1]))]
            apart = np.where(np.isnan(apart), np.inf, apart)
            found[name] = (int(np.count_nonzero(apart)), float(apart.max(initial=0.0)))
        else:
            unequal = pc.sum(pc.not_equal(mine, theirs)).as_py() or 0
            found[name] = (unequal + abs(mine.null_count - theirs.null_count), np.inf)
    return {name: (count, most) for name, (count, most) in found.items() if count}


def compare(walks: list[object]) -> bool:
    """Print what differs between two lakes; whether it is no more than rounding."""
    equal, fine = [], True
    summaries = [{table.table: table for table in walk.lake.summary(MODEL)} for walk in walks]
    for name in summaries[0]:
        one, other = (found[name] for found in summaries)
        if one.content_hash == other.content_hash:
            equal.append(f"{name} ({one.rows:,})")
        if name == "metrics" or one.content_hash != other.content_hash:
            fine &= compare_table(walks, name)
    print(f"equal to the content hash, with rows: {', '.join(equal)}")
    return fine


def compare_table(walks: list[object], name: str) -> bool:
    """Print what differs between two tables; whether it is no more than rounding."""
    one, other = (walk.lake.read(MODEL, name) for walk in walks)
    # A metric cites its statistics by their hash, which tells last digits of sums apart.
    told = [column for column in one.column_names if column not in ("inputs", "run_id")]
    found = differing(one.select(told), other.select(told))
    said = "; ".join(
        f"{count:,} of {column}, by at most {most:.1e}" for column, (count, most) in found.items()
    )
    print(f"{name}: {one.num_rows:,} rows and {other.num_rows:,}; values that differ: {said or 'none'}")
    return one.num_rows == other.num_rows and all(most <= TOLERANCE for _, most in found.values())


def main() -> None:
    """Run the week on both engines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="share of the demo's flights")
    parser.add_argument("--landing", type=Path, help="landing zones that hold the week, instead of a new one")
    parser.add_argument("--conf", type=Path, help="properties of Spark")
    options = parser.parse_args()
    landing = options.landing or landed(options.share)
    walks = [walk_of(engine, landing, options.conf) for engine in ENGINES]
    taken = [run(walk) for walk in walks]
    print(f"{'seconds':20}{ENGINES[0]:>10}{ENGINES[1]:>10}")
    for name in taken[0]:
        print(f"{name:20}{taken[0][name]:10.2f}{taken[1][name]:10.2f}")
    sys.exit(0 if compare(walks) else 1)


if __name__ == "__main__":
    main()
