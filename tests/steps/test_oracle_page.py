"""The page that holds the metric store against scikit-learn, on the loans."""

import shutil
from pathlib import Path

import pytest

from tests.steps import loans

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
ASKED = [
    "--model",
    "loan_risk",
    "--version",
    "a",
    "--window",
    "7d",
    "--start",
    "2024-02-25",
    "--segment",
    "region",
]


@pytest.fixture
def oracle(scored, landing, tmp_path, monkeypatch):
    """The script, and the loans' lake as its settings."""
    shutil.copytree(loans.CONTRACTS, tmp_path / "contracts" / "loan_risk")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "loan_risk").symlink_to(landing)
    places = {"CONTRACTS": tmp_path / "contracts", "LAKE": scored.lake.root, "LANDING": tmp_path / "landing"}
    for name, place in places.items():
        monkeypatch.setenv(f"MLOBS_{name}", str(place))
    monkeypatch.syspath_prepend(SCRIPTS)
    import oracle  # noqa: PLC0415 - a script, found from here on

    return oracle


def test_every_number_is_that_of_the_rows(oracle, capsys):
    """Each metric of quality and calibration, of all rows and of each region, agrees; all are compared."""
    assert oracle.main(ASKED) == 0
    page = capsys.readouterr().out
    assert " 0 beyond." in page
    assert "Not compared" not in page
    groups = {line.split("  ")[0] for line in page.splitlines() if " auc " in line}
    assert groups == {"all rows", "north", "south", "east", "__null__"}


def test_a_wrong_number_is_told(oracle, capsys, monkeypatch):
    """A number that is off by more than its bound is marked, and the script fails."""
    right = oracle.SCIKIT["accuracy"]
    monkeypatch.setitem(oracle.SCIKIT, "accuracy", lambda rows: right(rows) + 1e-6)
    assert oracle.main(ASKED) == 1
    told = [line for line in capsys.readouterr().out.splitlines() if line.endswith("BEYOND")]
    assert len(told) == 5
    assert all(" accuracy " in line for line in told)


def test_nothing_stored_is_no_agreement(oracle, capsys):
    """Where the window was never computed the script says so and fails."""
    assert oracle.main([*ASKED[:-4], "--start", "2020-01-01"]) == 2
    assert "run it first" in capsys.readouterr().out
