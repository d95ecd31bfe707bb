"""The loan model's scored lake under another monitor; asserts nothing."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps import loans

# One feature of the request and one of each view, for tests about no other.
FEW_FEATURES = {
    "  - {name: employed, kind: categorical}\n": "",
    "  - {name: region, kind: categorical}\n": "",
    "  - {name: balance, kind: numeric, view: accounts}\n": "",
    "  - {name: cards, kind: numeric, view: accounts}\n": "",
}


def redeclared(scored, home: Path, **edited):
    """A copy of the lake, whose monitor somebody edited."""
    shutil.copytree(scored.lake.root, home / "lake")
    return declared(dataclasses.replace(scored, lake=Lake(str(home / "lake"))), home, **edited)


def declared(
    walk, home: Path, before: str = "", objectives: str = "", changes: Mapping[str, str] | None = None
):
    """The same walk with more keys before `windows`, more objectives, and other texts changed."""
    folder = home / f"edit-{len(list(home.iterdir()))}" / "loan_risk"
    shutil.copytree(loans.CONTRACTS, folder)
    monitor = folder / "monitor.yaml"
    text = monitor.read_text(encoding="utf-8").replace("windows:", f"{before}\nwindows:")
    text = text.replace("objectives:\n", f"objectives:\n{objectives}")
    for old, new in (changes or {}).items():
        text = text.replace(old, new)
    monitor.write_text(text, encoding="utf-8")
    return dataclasses.replace(walk, spec=load_model(folder, METRICS))


def metrics_of(walk, **wanted) -> pl.DataFrame:
    """Latest rows of the metric store, with what they were computed from as plain data."""
    rows = pl.DataFrame(MetricStore(walk.lake).query(walk.model, **wanted))
    told = pl.Series("told", [json.loads(text) for text in rows["inputs"]], dtype=pl.Object)
    return rows.with_columns(told)
