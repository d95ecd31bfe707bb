"""Thirty-three faults of a simulated shop: what is noticed, how soon, and whether the cause is named first.

Each fault is delivered after 38 calm days, which are walked once, and lasts 1 to 7 of the next 18. Files are
ingested, joined, measured, judged and followed as in production; `shop_faults.py` says what they are. Takes
a quarter of an hour on two cores; `--quick` runs every fifth fault.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shop import DAYS, START, Fault, day_of, land, train
from shop_faults import FAULTS

CONTRACTS = Path(__file__).parent / "returns"
HOME = Path(".mlobs/bench/faults")
SEED = 7
LATE_DAYS = 4  # after the last day: labels still come
DUE_DAYS = 10  # after its last day: by then what a fault did must have been noticed


def walk_of(home: Path, landing: Path) -> object:
    """The shop's walk over its lake, as of after everything."""
    from mlobs_pipelines.contracts.folder import load_model
    from mlobs_pipelines.core.metrics import METRICS
    from mlobs_pipelines.engine.duck import Duck
    from mlobs_pipelines.settings import HashKey, HashKeys
    from mlobs_pipelines.steps.walk import Walk
    from mlobs_pipelines.store.lake import Lake

    end = day_of(DAYS + LATE_DAYS)
    return Walk(
        spec=load_model(CONTRACTS, METRICS),
        lake=Lake(str(home / "lake")),
        duck=Duck("500MB", 2, home / "spill"),
        landing=landing,
        keys=HashKeys(HashKey(b"a key for simulated data", "0f0f0f0f")),
        access={},
        commit={"run_id": "benchmark", "batch_id": "benchmark", "code_version": "0"},
        as_of=datetime(end.year, end.month, end.day, tzinfo=UTC),
    )


def run(walk: object, first: int, last: int) -> None:
    """Walk some days, and those before whose labels are still to come."""
    from mlobs_pipelines.steps.incidents import follow
    from mlobs_pipelines.steps.ingest import ingest
    from mlobs_pipelines.steps.join import join
    from mlobs_pipelines.steps.log import log
    from mlobs_pipelines.steps.metrics import score
    from mlobs_pipelines.steps.snapshot import snapshot
    from mlobs_pipelines.steps.statistics import measure

    arrivals = [day_of(at) for at in range(first, last + (LATE_DAYS if last >= DAYS else 0))]
    for dataset in ("features", "labels", "predictions"):
        ingest(walk, dataset, arrivals)
    days = [day_of(at) for at in range(max(0, first - LATE_DAYS), last)]
    for step in (snapshot, log, join, measure, score):
        step(walk, days)
    follow(walk, days)


def calm(home: Path) -> Path:
    """The lake of the days before any fault."""
    from mlobs_pipelines.steps.baseline import measure_baselines

    place = home / "calm"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        train(place / "landing", SEED)
        land(place / "landing", None, range(START), SEED)
        walk = walk_of(place, place / "landing")
        measure_baselines(walk)
        run(walk, 0, START)
        (place / "done").touch()
    return place


def incidents_of(fault: Fault | None, home: Path) -> list[dict]:
    """Incidents of the days from the fault on, as they stood last, each with the suspects that were named."""
    from mlobs_pipelines.steps.explain import gather, plain, suspects
    from mlobs_pipelines.steps.incidents import current, incident_of

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        shutil.copytree(calm(home) / "lake", place / "lake")
        shutil.copytree(calm(home) / "landing" / "training", place / "landing" / "training")
        land(place / "landing", fault, range(START, DAYS + LATE_DAYS), SEED)
        walk = walk_of(place, place / "landing")
        run(walk, START, DAYS)
        since = day_of(START if fault else 0)
        rows = [row for row in current(walk.lake, walk.model) if row["opened_on"] >= since]
        if not rows:
            return []
        evidence = gather(walk, min(row["opened_on"] for row in rows), day_of(DAYS))
        return [
            {**row, "ranked": plain(suspects(evidence, incident_of(row), day_of(DAYS)))}
            for row in sorted(rows, key=lambda row: (row["opened_on"], row["incident"]))
        ]


def judged(fault: Fault, found: Sequence[dict]) -> dict:
    """What became of one fault."""
    due = day_of(fault.end + DUE_DAYS)
    mine = [row for row in found if row["opened_on"] <= due]
    places = [_place(fault, row["ranked"]) for row in mine]
    named = [place for place in places if place]
    first = min((row["opened_on"] for row in mine), default=None)
    return {
        "incidents": len(found),
        "noticed": bool(mine),
        "delay": (first - day_of(START)).days + 1 if first else None,
        "rank": min(named, default=None),
        "resolved": all(row["state"] == "resolved" for row in found),
        "titles": [row["title"] for row in found],
        "suspects": [[one["what"] for one in row["ranked"]] for row in found],
    }


def _place(fault: Fault, ranked: Sequence[dict]) -> int | None:
    return next((one["rank"] for one in ranked if one["what"].startswith(fault.causes)), None)


def study(home: Path, names: Sequence[str]) -> Iterator[tuple[str, dict]]:
    """Every fault, and first no fault at all."""
    found = incidents_of(None, home)
    yield "none", {"incidents": len(found), "titles": [row["title"] for row in found]}
    for name in names:
        started = time.perf_counter()
        told = judged(FAULTS[name], incidents_of(FAULTS[name], home))
        yield name, {**told, "seconds": time.perf_counter() - started}


def summed(results: dict[str, dict]) -> dict[str, float]:
    """Precision, recall, delay and rank over all faults."""
    of = [one for name, one in results.items() if name != "none"]
    noticed = [one for one in of if one["noticed"]]
    every = sum(one["incidents"] for one in results.values())
    return {
        "faults": len(of),
        "recall": len(noticed) / len(of),
        "precision": len(noticed) / every if every else 1.0,
        "delay_median": float(sorted(one["delay"] for one in noticed)[len(noticed) // 2]),
        "delay_worst": float(max(one["delay"] for one in noticed)),
        "cause_first": sum(one["rank"] == 1 for one in of) / len(of),
        "cause_in_three": sum((one["rank"] or 99) <= 3 for one in of) / len(of),
        "resolved": sum(one["resolved"] for one in noticed) / len(noticed),
    }


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every fifth fault")
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), help="these faults")
    parser.add_argument("--json", type=Path, help="write what was found here too")
    options = parser.parse_args()
    names = options.only or list(FAULTS)[:: 5 if options.quick else 1]
    results = {}
    print(
        f"{'fault':18} {'family':10} {'incidents':>9} {'delay':>6} {'rank':>5} {'resolved':>8}  first suspect"
    )
    for name, one in study(HOME, names):
        results[name] = one
        if name == "none":
            print(f"{name:18} {'':10} {one['incidents']:>9}  {'; '.join(one['titles'])}", flush=True)
            continue
        suspects = next(iter(one["suspects"]), [])
        cells = (FAULTS[name].family, one["incidents"], one["delay"] or "-", one["rank"] or "-")
        print(
            f"{name:18} {cells[0]:10} {cells[1]:>9} {cells[2]:>6} {cells[3]:>5} "
            f"{'yes' if one['resolved'] else 'no':>8}  {suspects[0] if suspects else '-'}",
            flush=True,
        )
    total = summed(results)
    print("; ".join(f"{name} {value:.3g}" for name, value in total.items()))
    if options.json:
        options.json.write_text(json.dumps({"faults": results, "total": total}, indent=1, default=str))


if __name__ == "__main__":
    main()
