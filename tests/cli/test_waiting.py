"""`mlobs awaited` and `mlobs triangle`: tables, JSON, CSV, a picture, and what is no option."""

import csv
import io
import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.awaited import expected_by_day
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.store.metric_store import ANY, MetricStore
from tests.steps import late, loans

MODEL, NOW = "loan_risk", loans.AS_OF.isoformat()


class Installed:
    """A small lake, and the command over it in this process."""

    def __init__(self, home):
        contracts = home / "contracts" / MODEL
        shutil.copytree(loans.CONTRACTS, contracts)
        walk = late.unlabelled_lake(home)
        self.walk = replace(walk, spec=load_model(contracts, METRICS))
        ingest(self.walk, "labels", [day for day in loans.LABEL_DAYS if day <= late.THIRD])
        for step in (join, measure, score):
            step(self.walk, late.DAYS)
        places = {"HOME": home, "LAKE": home / "lake", "CONTRACTS": contracts.parent}
        self.environment = {f"MLOBS_{name}": str(place) for name, place in places.items()}

    def run(self, *arguments, code=0):
        """Run the command; give what it printed, and what it said beside that."""
        from mlobs_pipelines.cli import app  # noqa: PLC0415 - the command line is slow to import

        done = CliRunner().invoke(app, list(arguments), env=self.environment)
        assert done.exit_code == code, done.output
        return done.stdout, done.stderr

    def json(self, *arguments):
        """What a command prints as JSON."""
        return json.loads(self.run(*arguments, "--format", "json")[0])


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Give an installation in which three days wait for some of their labels."""
    return Installed(tmp_path_factory.mktemp("waiting"))


def test_awaited_counts_what_is_late(installed):
    """JSON, CSV and the table say the same: predictions, pending and late by version and day."""
    command = ("awaited", MODEL, "--as-of", NOW)
    expected = expected_by_day(installed.walk, None, None)
    rows = installed.json(*command)
    names = ("model_version", "day", "predictions", "pending", "late")
    assert [[row[name] for name in names] for row in rows] == [[row[n] for n in names] for row in expected]
    assert any(row["pending"] for row in rows)
    assert [bool(row["expected_by"]) for row in rows] == [bool(row["expected_by"]) for row in expected]
    lines = list(csv.DictReader(io.StringIO(installed.run(*command, "--format", "csv")[0])))
    assert [row["pending"] for row in lines] == [str(row["pending"]) for row in rows]
    table = installed.run(*command)[0].splitlines()
    assert table[0].split() == ["model", "version", "day", "predictions", "pending", "late", "expected", "by"]
    assert len(table) == len(rows) + 1


def test_awaited_narrows_to_days_and_to_one_prediction(installed):
    """Days between two ends, and one prediction with the state of its label."""
    day = late.SECOND.isoformat()
    rows = installed.json("awaited", MODEL, "--from", day, "--to", day, "--as-of", NOW)
    assert {row["day"] for row in rows} == {day}
    (one, *_) = installed.json(
        "awaited", MODEL, "--prediction", f"loan-{day}-0003", "--as-of", f"{day}T00:00:00Z"
    ) or [{}]
    assert one == {}
    found = installed.json("awaited", MODEL, "--prediction", f"loan-{day}-0003", "--as-of", NOW)
    assert {row["state"] for row in found} <= {"labelled", "void", "pending"}
    assert found
    printed, said = installed.run("awaited", MODEL, "--prediction", "nobody", "--as-of", NOW)
    assert not printed
    assert "nothing found" in said


def test_the_triangle_shows_each_age_and_now(installed):
    """One line per window and version, with a column per declared age; JSON and CSV have the rows."""
    command = ("triangle", MODEL, "--version", "a", "--as-of", NOW)
    rows = installed.json(*command)
    about = {"metrics": ["label_coverage"], "versions": ["a"], "windows": ["1d"], "segments": [""]}
    stored = MetricStore(installed.walk.lake).query(MODEL, **about, maturities=[ANY], as_of=loans.AS_OF)
    assert sorted((row["window_start"], row["maturity"], row["value"]) for row in rows) == sorted(
        (row["window_start"].isoformat(), row["maturity"], row["value"]) for row in stored.to_pylist()
    )
    lines = list(csv.DictReader(io.StringIO(installed.run(*command, "--format", "csv")[0])))
    assert len(lines) == len(rows)
    table = installed.run(*command)[0].splitlines()
    assert table[0] == "metric label_coverage"
    assert table[1].split() == ["version", "window", "1d", "3d", "now", "n", "labels", "now"]
    assert len(table) == 2 + len(late.DAYS)


def test_the_triangle_is_drawn(installed, tmp_path):
    """One version becomes a PNG file, and the command says where it is."""
    path = tmp_path / "triangle.png"
    said, _ = installed.run("triangle", MODEL, "--version", "a", "--as-of", NOW, "--picture", str(path))
    assert str(path) in said.replace("\n", "")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("awaited", "loan_rsik"), "did you mean loan_risk"),
        (("awaited", MODEL, "--as-of", "yesterday"), "write it as 2013-06-13"),
        (("awaited", MODEL, "--from", "1 March"), "1 March"),
        (("triangle", MODEL, "--metric", "label_coverge"), "did you mean label_coverage"),
        (("triangle", MODEL, "--version", "z"), "there are: a, b"),
        (("triangle", MODEL, "--window", "2d"), "2d"),
    ],
)
def test_what_there_is_not_is_wrong_usage(installed, arguments, says):
    """Exit code 2, and a word on what would be right."""
    printed, said = installed.run(*arguments, code=2)
    assert not printed
    assert says in " ".join(said.replace("│", " ").split())
