"""How long a code location with many models takes to load: declarations, assets and jobs, the server's part.

Folders of the flight model under other names, each with a year of daily partitions. Prints seconds of wall
and CPU time by stage; --profile shows where they go.
"""

import argparse
import cProfile
import pstats
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FLIGHTS = Path(__file__).parents[1] / "data_contracts" / "flight_delays"


def folders(root: Path, models: int) -> None:
    """Write the folders of some models, alike but for their names; no two contracts are the same."""
    for number in range(models):
        folder = root / f"model_{number:02d}"
        shutil.copytree(FLIGHTS, folder)
        monitor = folder / "monitor.yaml"
        text = monitor.read_text().replace("model: flight_delays", f"model: {folder.name}", 1)
        text = text.replace(
            "end_date: 2014-01-14", "end_date: 2014-01-31"
        )  # a year from the first of February
        monitor.write_text(text)
        for contract in folder.glob("*.odcs.yaml"):
            named = contract.read_text().replace("id: flight-delays-", f"id: {folder.name}-", 1)
            contract.write_text(named)


@contextmanager
def stage(name: str, spent: dict[str, tuple[float, float]]) -> Iterator[None]:
    """Take the time of a stage."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    spent[name] = time.perf_counter() - wall, time.process_time() - cpu


def load(root: Path, home: Path) -> dict[str, tuple[float, float]]:
    """Load as a code server does, by stages."""
    spent: dict[str, tuple[float, float]] = {}
    with stage("import", spent):
        from dagster._core.remote_representation.external_data import RepositorySnap

        from mlobs_pipelines.contracts.folder import load_models
        from mlobs_pipelines.core.metrics import METRICS
        from mlobs_pipelines.definitions import build_defs
        from mlobs_pipelines.defs.resources import Site
        from mlobs_pipelines.settings import Settings
    site = Site(Settings(_env_file=None, home=home, contracts=root))
    with stage("declarations", spent):
        load_models(root, METRICS)
    with stage("build (declarations again)", spent):
        defs = build_defs(site)
    with stage("resolve", spent):
        repository = defs.get_repository_def()
        repository.load_all_definitions()
    with stage("snapshot for the server", spent):
        snapshot = RepositorySnap.from_def(repository)
    print(f"{len(snapshot.asset_nodes)} assets, {len(snapshot.schedules)} schedules")
    return spent


def main() -> None:
    """Load, and print the times."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", type=int, default=50)
    options.add_argument("--profile", action="store_true")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "contracts"
        folders(root, asked.models)
        profile = cProfile.Profile()
        spent = profile.runcall(load, root, Path(folder)) if asked.profile else load(root, Path(folder))
    for name, (wall, cpu) in spent.items():
        print(f"{name:30} {wall:6.1f} s, CPU {cpu:6.1f} s")
    after = [cpu for name, (_, cpu) in spent.items() if name not in ("import", "declarations")]
    print(f"{asked.models} models: CPU {sum(after):.1f} s after imports")
    if asked.profile:
        pstats.Stats(profile).sort_stats("cumtime").print_stats(60)


if __name__ == "__main__":
    main()
