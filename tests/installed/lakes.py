"""Lakes to compare: what a walk that nothing disturbed leaves behind, and how it was before the walk."""

import shutil
from pathlib import Path

import pytest

from mlobs_pipelines.contracts.folder import load_models
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.tables import AUDIT
from tests.defs.conftest import CONTRACTS, MODEL, site_at
from tests.installed.installation import KEY

WALK = "daily"


def land(history, root, days, share, incidents=()):
    """Write landing files of days, from the first to the last, into a folder."""
    from mlobs_pipelines.demo import DemoPlan  # noqa: PLC0415 - only where it is asked for
    from mlobs_pipelines.demo.landing import write_landing  # noqa: PLC0415 - as above

    write_landing(DemoPlan(*days, share=share, incidents=frozenset(incidents)), history, root / MODEL)
    return root


def undisturbed(home, landing, first, last):
    """Walk days in this process; keep the lake as it is then, and in `before` as it was before the walk."""
    from mlobs_pipelines.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds
    from mlobs_pipelines.defs.backfills import Asked  # noqa: PLC0415 - as above
    from mlobs_pipelines.defs.launch import backfill, instance  # noqa: PLC0415 - as above

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLOBS_POSTGRES_URL", raising=False)
        patch.setenv("MLOBS_HMAC_KEY", KEY)
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        site, spec = site_at(home, landing), load_models(CONTRACTS, METRICS)[MODEL]
        asked = Asked(first, last, spec.monitor.replay_as_of)
        with instance(site) as opened:
            for launched in backfill(site, build_defs(site), spec, asked, opened):
                assert launched.success, launched
                if not launched.job.endswith(WALK):
                    shutil.copytree(home / "lake", home / "before", dirs_exist_ok=True)
    return home


def restore(home: Path, reference: Path):
    """Give an installation the lake as it was before the walk."""
    lake = home / "lake"
    lake.mkdir(parents=True, exist_ok=True)
    for found in lake.iterdir():  # the folder itself may be where a disk is mounted
        shutil.rmtree(found)
    shutil.copytree(reference / "before", lake, dirs_exist_ok=True)


def contents(home):
    """Say what a lake holds: rows and content of each table, without the audit."""
    lake = Lake(str(home / "lake"))
    return {one.table: (one.rows, one.content_hash) for one in lake.summary(MODEL) if one.table != AUDIT.name}
