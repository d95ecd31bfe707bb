"""The command, run as a person runs it: its own folders and settings, nothing on a terminal.

Most commands run in the process of the tests, which imports what they need once. What a process of its own
means to them is promised where they are asked for one.
"""

import io
import os
import subprocess
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

CHECKOUT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "mlobs"
FIRST, LAST = "2013-03-01", "2013-03-05"
SHARE = 0.05
# The demo's process differs from that of the tests in all that could show in what it writes.
OTHERWISE = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
KEPT = ("PATH", "HOME", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one installation of the product."""

    home: Path
    contracts: Path = CHECKOUT / "data_contracts"

    def mlobs(self, *arguments, code=0, process=False, **variables):
        """Run the command in an empty folder and hold its exit code against what is expected."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}  # noqa: TID251 - a test
        given = {"MLOBS_HOME": str(self.home), "MLOBS_CONTRACTS": str(self.contracts), **variables}
        self.home.mkdir(parents=True, exist_ok=True)
        done = (_apart if process else _here)(arguments, kept | given, self.home)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def _apart(arguments, environment, folder):
    """Run the installed command in a process of its own."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _here(arguments, environment, folder):
    """Run the command in this process, which sees the environment, folder and arguments of its own one."""
    from mlobs_pipelines.cli import main  # noqa: PLC0415 - the command line is slow to import

    said, told = io.StringIO(), io.StringIO()
    with _as_alone(arguments, environment, folder), redirect_stdout(said), redirect_stderr(told):
        try:
            main()
        except SystemExit as ended:
            return SimpleNamespace(returncode=ended.code or 0, stdout=said.getvalue(), stderr=told.getvalue())
    raise AssertionError("the command did not end")


@contextmanager
def _as_alone(arguments, environment, folder):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        for name in set(os.environ) - set(environment):  # noqa: TID251 - a test
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["mlobs", *arguments])
        yield


@pytest.fixture
def fresh(tmp_path):
    """Give an installation in which nothing has run."""
    return Place(tmp_path / "home")


@pytest.fixture(scope="session")
def season(tmp_path_factory):
    """Give an installation after five days of the demo, and what the demo said."""
    place = Place(tmp_path_factory.mktemp("season"), CHECKOUT / "data_contracts")
    landing = str(tmp_path_factory.mktemp("landing"))
    arguments = ("demo", "--from", FIRST, "--to", LAST, "--share", str(SHARE))
    return place, place.mlobs(*arguments, process=True, MLOBS_LANDING=landing, **OTHERWISE), landing
