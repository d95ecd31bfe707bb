"""What the release guard says of candidates of known quality: how often it is right, and what it prints.

`python benchmarks/release_guard.py` simulates candidates; with `--demo HOME`, the home of a finished demo of
May 2013, it breaks version v2 for the flights of one airport only and judges it, and it judges one day.
"""

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.estimates import Z95
from mlobs_pipelines.core.release import against_margin, together
from mlobs_pipelines.core.vocabulary import Estimate, Floats

GROUPS, TRIALS = 12, 300
MARGIN, FACTOR = 0.005, 3.0
CASES = ("the same model", "as good, other errors", "worse everywhere", "broken in one group")
CONTRACTS = Path(__file__).parents[1] / "data_contracts" / "flight_delays"
MAY = [date(2013, 5, 1) + timedelta(days=i) for i in range(14)]
BROKEN = "LGA"


@dataclass(frozen=True, slots=True)
class Rows:
    """Predictions of both versions, and what came true."""

    group: np.ndarray
    label: Floats
    champion: Floats
    candidate: Floats


def draw(rng: np.random.Generator, case: str, n: int) -> Rows:
    """Draw n rows in 12 groups of equal size."""
    truth = rng.beta(0.8, 1.8, n)
    group, label = np.arange(n) % GROUPS, (rng.random(n) < truth).astype(float)
    said = [np.clip(truth + rng.normal(0, 0.1, n), 0, 1) for _ in range(2)]
    candidate = said[0] if case == CASES[0] else said[1]
    if case == CASES[2]:
        candidate = np.clip(candidate + rng.normal(0, 0.15, n), 0, 1)
    if case == CASES[3]:
        candidate = np.where(group == 0, np.clip(candidate + rng.normal(0, 0.3, n), 0, 1), candidate)
    return Rows(group, label, said[0], candidate)


def judged(rows: Rows) -> tuple[str, list[str]]:
    """Verdict by the Brier score of all rows, and of each group."""
    moved = (rows.candidate - rows.label) ** 2 - (rows.champion - rows.label) ** 2
    whole = against_margin(_estimate([moved]), np.full(1, MARGIN), -1, shown=True).verdicts[0]
    parts = _estimate([moved[rows.group == one] for one in range(GROUPS)])
    return whole, against_margin(parts, np.full(GROUPS, MARGIN * FACTOR), -1, shown=True).verdicts.tolist()


def _estimate(samples: list[Floats]) -> Estimate:
    value = np.array([one.mean() for one in samples])
    half = np.array([Z95 * one.std(ddof=1) / np.sqrt(one.size) for one in samples])
    return Estimate(value, np.array([one.size for one in samples]), value - half, value + half)


def simulate() -> None:
    """Print how often each kind of candidate passes, fails and stays undecided."""
    print(f"{TRIALS} candidates of each kind, {GROUPS} groups; Brier score, margin {MARGIN}")
    print(
        f"{'candidate':24} {'pairs':>7} {'pass':>6} {'fail':>6} {'undecided':>10}  a group fails  the broken"
    )
    for case in CASES:
        for n in (1200, 6000, 24000):
            said = [judged(draw(np.random.default_rng((n, trial)), case, n)) for trial in range(TRIALS)]
            every = [together([one, *parts]) for one, parts in said]
            shares = [every.count(word) / TRIALS for word in ("pass", "fail", "undecided")]
            groups = sum("fail" in parts for _, parts in said) / TRIALS
            named = sum(parts[0] == "fail" for _, parts in said) / TRIALS if case == CASES[3] else None
            told = "" if named is None else f"{named:11.1%}"
            print(
                f"{case:24} {n:7,} {shares[0]:6.1%} {shares[1]:6.1%} {shares[2]:10.1%} {groups:14.1%} {told}"
            )


def demo(home: Path) -> None:
    """Break v2 at one airport in a copy of a demo, walk these days again, and judge."""
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.ingest import ingest
    from mlobs_pipelines.steps.join import join
    from mlobs_pipelines.steps.log import log
    from mlobs_pipelines.steps.statistics import measure

    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "home"
        for name in ("lake", "landing", "hmac.key"):
            source = home / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, _ready(copy / name))
        site = Site(Settings(home=copy, contracts=CONTRACTS.parent), lambda: datetime.now(UTC))
        walk = site.walk(load_model(CONTRACTS, METRICS), "benchmark")
        _report(walk, "v2 against v1", MAY)
        for day in MAY:
            _break(walk.landing / "predictions" / f"{day}.parquet")
        ingest(walk, "predictions", MAY)
        for step in (log, join, measure):
            step(walk, MAY)
        _report(walk, f"v2 that is broken at {BROKEN} only", MAY)
        _report(walk, "v2 on a single day", MAY[-1:])


def _ready(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _break(file: Path) -> None:
    rows = pl.read_parquet(file)
    mine = (pl.col("model_version") == "v2") & (pl.col("origin") == BROKEN)
    rows.with_columns(
        pl.when(mine).then(1 - pl.col("score")).otherwise("score").alias("score")
    ).write_parquet(file)


def _report(walk: object, title: str, days: list[date]) -> None:
    from mlobs_pipelines.steps.guard import Asked, judge_release

    said = judge_release(walk, Asked("v2", "v1", days[0], days[-1]))  # type: ignore[arg-type] # a Walk
    print(f"\n{title}: {said.verdict}, {said.labelled:,} labelled pairs of {len(said.days)} days")
    print("\n".join(f"- {reason}" for reason in said.reasons))


def main() -> None:
    """Simulate, or judge the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, metavar="HOME")
    given = parser.parse_args()
    if given.demo is None:
        simulate()
    else:
        demo(given.demo)


if __name__ == "__main__":
    sys.exit(main())
