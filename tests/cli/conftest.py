"""The installed command, run as a person runs it: another process, its own folders, nothing on a terminal."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "mlobs"
FIRST, LAST = "2013-03-01", "2013-03-10"


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one installation of the product."""

    home: Path
    contracts: Path = CHECKOUT / "data_contracts"

    def mlobs(self, *arguments, code=0, **variables):
        """Run the command in an empty folder and hold its exit code against what is expected."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}  # noqa: TID251 - a test
        given = {"MLOBS_HOME": str(self.home), "MLOBS_CONTRACTS": str(self.contracts), **variables}
        self.home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [COMMAND, *arguments],
            env=kept | given,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture
def fresh(tmp_path):
    """Give an installation in which nothing has run."""
    return Place(tmp_path / "home")


@pytest.fixture(scope="session")
def season(tmp_path_factory):
    """Give an installation after ten days of the demo, and what the demo said."""
    place = Place(tmp_path_factory.mktemp("season"), CHECKOUT / "data_contracts")
    landing = str(tmp_path_factory.mktemp("landing"))
    done = place.mlobs("demo", "--from", FIRST, "--to", LAST, "--share", "0.05", MLOBS_LANDING=landing)
    return place, done, landing
