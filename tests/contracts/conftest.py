"""A copy of a small model's documents that a test may break."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlobs_pipelines.contracts.folder import check_folder

DEMO = Path(__file__).parents[2] / "data_contracts" / "flight_delays"
SMALL = Path(__file__).parent / "documents" / "flight_delays"
METRICS = (
    "psi",
    "auc",
    "ece",
    "label_lag_p50",
    "label_coverage",
    "overdue_share",
    "label_silence",
    "label_completeness",
    "skew_smape",
    "skew_mismatch_share",
    "error_share",
    "latency_p95",
    "availability",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the small model's folder."""
    return Path(shutil.copytree(SMALL, tmp_path / "flight_delays"))


@pytest.fixture
def broken(folder: Path) -> Callable[..., list[str]]:
    """Replace a text of one document of the copy and return the problems, without the folder's path."""

    def edit(file: str, old: str, new: str) -> list[str]:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        return [str(problem).removeprefix(f"{folder}/") for problem in check_folder(folder, METRICS)]

    return edit
