"""The loan model with several candidates beside the champion: as good, broken in one region, hardly tried.

Nothing here is asserted; scores and labels are kept as plain rows, for tests with answers of their own.
"""

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.judge import judge_slos
from mlobs_pipelines.steps.log import log
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.snapshot import snapshot
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.steps.walk import Walk
from tests.steps import loans

AS_OF = datetime(2024, 3, 20, tzinfo=UTC)
DAYS = loans.DAYS
CHAMPION, SAME, BROKEN, FEW, CANARY = "a", "same", "broken", "few", "canary"
CANDIDATES = (SAME, BROKEN, FEW, CANARY)
GUARD = """guard:
  limits: {skew_smape: null, skew_mismatch_share: null, psi: null}
  rollback: {command: [python, hook.py], timeout: 20s}
slos:
  - {name: answered, sli: {metric: availability}, budgeting: occurrences, target: 0.995, min_events: 50}
windows:"""
FACTS = {
    "training_dataset_id": "set-1",
    "feature_set_version": "1",
    "importance": dict.fromkeys(
        ("amount", "employed", "region", "balance", "cards", "grade", "region_rate"), 0.1
    ),
}
HOOK = """import json, os, sys
told = json.load(sys.stdin)
open("hooked.json", "w").write(json.dumps({"told": told, "seen": sorted(os.environ)}))
print("token-of-the-hook")
"""


def contracts(home: Path, text: str = GUARD) -> Path:
    """A folder of contracts with the candidates declared."""
    folder = home / "data_contracts" / "loan_risk"
    shutil.copytree(loans.CONTRACTS, folder)
    monitor = folder / "monitor.yaml"
    written = monitor.read_text(encoding="utf-8").replace("windows: [1d, 7d, 28d, 1mo]", f"{text} [1d, 7d]")
    line = '  {0}: {{baseline: "{{landing}}/training/{0}.parquet", facts: "{{landing}}/training/{0}.json"}}'
    versions = "\n".join(line.format(name) for name in CANDIDATES)
    monitor.write_text(written.replace("versions:", f"versions:\n{versions}"), encoding="utf-8")
    (folder / "hook.py").write_text(HOOK, encoding="utf-8")
    return folder


def draw(per_day: int = 180) -> tuple[loans.Rows, pl.DataFrame]:
    """Rows to deliver, and every scored prediction with its label."""
    rows, rng = loans.draw(seed=3, per_day=per_day), np.random.default_rng(4)
    champion = rows.predictions.filter(pl.col("model_version") == "a")
    # Wider apart than drawn, so that there is something to be wrong about.
    spread = np.clip(rng.beta(0.8, 1.6, champion.height), 0.01, 0.99)
    champion = champion.with_columns(score=pl.when(pl.col("score").is_not_null()).then(pl.Series(spread)))
    north = pl.col("region") == "north"
    others = [
        _candidate(champion, SAME, pl.col("score")),
        _candidate(champion, BROKEN, pl.when(north).then(1 - pl.col("score")).otherwise(pl.col("score"))),
        _candidate(champion.filter(pl.col("predicted_at").dt.date() >= DAYS[-2]), FEW, pl.col("score")),
        _candidate(champion, CANARY, pl.col("score"), role="canary").with_columns(
            prediction_id=pl.col("prediction_id").str.replace("-0", "-9")
        ),
    ]
    truth = (rng.random(champion.height) < spread).astype(int)
    labels = champion.select("prediction_id", "predicted_at", label=pl.Series(truth))
    twice = labels.with_columns(pl.col("prediction_id").str.replace("-0", "-9"))
    labels = pl.concat([labels, twice]).unique("prediction_id", maintain_order=True)
    delivered = pl.concat([champion, *others])
    arrived = labels.select(
        "prediction_id",
        "label",
        outcome=pl.when(pl.col("label") == 1).then(pl.lit("bad")).otherwise(pl.lit("good")),
        arrived_at=pl.col("predicted_at") + pl.duration(hours=2),
        revision=pl.lit(1),
        source=pl.lit("live"),
    )
    made = loans.Rows(delivered, arrived, rows.accounts, rows.regions, rows.training)
    return made, delivered.join(labels.drop("predicted_at"), on="prediction_id", how="left")


def _candidate(champion: pl.DataFrame, name: str, scores: pl.Expr, role: str = "shadow") -> pl.DataFrame:
    return champion.with_columns(model_version=pl.lit(name), role=pl.lit(role), score=scores)


def deliver(rows: loans.Rows, landing: Path) -> None:
    """Write the landing zone, with a training set and facts per version."""
    loans.deliver(rows, landing)
    for name in (CHAMPION, "b", *CANDIDATES):
        rows.training.write_parquet(landing / "training" / f"{name}.parquet")
        (landing / "training" / f"{name}.json").write_text(json.dumps(FACTS))


def walk_of(home: Path) -> Walk:
    """A walk over an installation's folders as the command line has them."""
    from dataclasses import replace  # noqa: PLC0415 - of one line

    walk = loans.walk_of(home, home / "landing" / "loan_risk", AS_OF)
    return replace(walk, spec=load_model(home / "data_contracts" / "loan_risk", METRICS))


def go(walk: Walk, labels: Sequence[object] = (*DAYS, AS_OF.date().replace(day=5))) -> None:
    """Run every step."""
    measure_baselines(walk)
    for dataset, days in (("labels", labels), ("features", loans.FEATURE_DAYS), ("predictions", DAYS)):
        ingest(walk, dataset, days)
    for step in (snapshot, log, join, measure, score, judge_slos):
        step(walk, DAYS)
