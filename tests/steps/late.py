"""A small lake of three days that waits for its labels; asserts nothing."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.log import log
from mlobs_pipelines.steps.snapshot import snapshot
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Lake
from tests.steps import loans

FEW = ("amount", "grade", "region_rate")  # of the request, and of each view
FIRST, SECOND, THIRD = DAYS = loans.DAYS[3:6]


def unlabelled_lake(home: Path, features: Sequence[str] | None = None) -> Walk:
    """A walk over a small landing zone whose lake has everything but labels, of all features or of some."""
    loans.deliver(loans.draw(seed=11, per_day=12), home / "landing")
    walk = loans.walk_of(home, home / "landing")
    monitor = walk.spec.monitor
    some = tuple(one for one in monitor.features if features is None or one.name in features)
    shorter = {"windows": ("1d", "7d"), "segments": (), "objectives": monitor.objectives[:1]}
    shorter = monitor.model_copy(update={**shorter, "features": some})
    walk = replace(walk, spec=replace(walk.spec, monitor=shorter))
    measure_baselines(walk)
    ingest(walk, "features", loans.FEATURE_DAYS)
    ingest(walk, "predictions", DAYS)
    snapshot(walk, DAYS)
    log(walk, DAYS)
    return walk


def lake_of(walk: Walk, home: Path) -> Walk:
    """The same walk over a lake of its own that begins as the walk's."""
    shutil.copytree(walk.lake.root, home / "lake")
    return replace(walk, lake=Lake(str(home / "lake")), duck=Duck("500MB", 2, home / "spill"))
