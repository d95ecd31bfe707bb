"""Data frames for notebooks: what the commands print, in three kinds, from a light import."""

import doctest
import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlobs_pipelines import read
from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.tables import as_of_key
from tests.cli.stored import LAST, MODEL, environment, fill, run
from tests.destinations.season import AS_OF
from tests.test_readme import ROOT

EARLY = datetime(2013, 6, 1, tzinfo=UTC)

DOCS = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give an installation with nine days, whose settings this process has."""
    place = tmp_path_factory.mktemp("read")
    fill(place / "lake")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(place).items():
            patch.setenv(name, value)
        yield place


@pytest.mark.usefixtures("home")
def test_examples_are_right():
    """Each example of a docstring gives what it says."""
    result = doctest.testmod(read)
    assert result.attempted > 8
    assert result.failed == 0


@pytest.mark.usefixtures("home")
def test_examples_of_the_documentation_run():
    """The notebook's lines in the documentation run one after the other."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    known = {}
    exec(compile(code, "docs/dashboards.md", "exec"), known)  # noqa: S102 - the documentation's own lines
    assert len(known["worst"]) == 5


def test_a_frame_holds_what_the_command_prints(home):
    """Metrics, budgets and incidents are those of the command with the same filters."""
    said = json.loads(
        run(home, "metrics", MODEL, "--metric", "ece", "--segment", "origin", "--format", "json")
    )
    found = read.metrics(MODEL, metric="ece", segment="origin")
    assert found["value"].to_list() == [row["value"] for row in said]
    said = json.loads(run(home, "slo", MODEL, "--from", "2013-03-05", "--format", "json"))
    assert read.slo(MODEL, first="2013-03-05")["budget_left"].to_list() == [
        row["budget_left"] for row in said
    ]
    said = json.loads(run(home, "incidents", "list", MODEL, "--format", "json"))
    assert read.incidents(MODEL)["incident"].to_list() == [row["incident"] for row in said]


@pytest.mark.usefixtures("home")
def test_filters_take_one_name_or_several():
    """A name, a list, a day as text or date, an instant with or without a zone."""
    several = read.metrics(MODEL, metric=["ece", "auc"], version="v1", first=LAST, last=LAST.isoformat())
    assert set(several["metric"]) == {"ece", "auc"}
    assert set(several["model_version"]) == {"v1"}
    assert read.metrics(MODEL, as_of="2013-01-01").empty
    assert set(read.metrics(MODEL, verdict="fail", segment="any")["verdict"]) == {"fail"}


@pytest.mark.usefixtures("home")
def test_frames_are_of_the_kind_asked_for():
    """Pandas, Polars or Arrow, with the same rows; another kind and an unknown model say what to do."""
    kinds = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.Table}
    frames = [read.signals(MODEL, kind=kind) for kind in kinds]
    assert [type(frame) for frame in frames] == list(kinds.values())
    assert {len(frame) for frame in frames} == {2}
    with pytest.raises(ValueError, match="pandas, polars or arrow"):
        read.metrics(MODEL, kind="list")
    with pytest.raises(ValueError, match="no metrics of this model"):
        read.metrics("nobody")


def test_statistics_are_the_stored_counts_known_last(home):
    """Of a day that was counted twice the later counts are given, by version, subject and part."""
    counted = {
        "day": LAST.isoformat(),
        "model_version": "v1",
        "segment": "",
        "subject": "humid",
        "part": "rows",
    }
    keys = [(LAST.isoformat(), as_of_key(at)) for at in (EARLY, AS_OF)]
    rows = [
        counted | {"counts": [count], "codes": [0], "as_of": at, "as_of_key": as_of_key(at)}
        for count, at in ((1, EARLY), (2, AS_OF))
    ]
    table = pa.Table.from_pylist(rows, schema=STATISTICS_LAYOUT.schema)
    Lake(str(home / "lake"), None).replace(MODEL, STATISTICS_LAYOUT, keys, table, commit={})
    found = read.statistics(MODEL, day=LAST, version="v1", subject="humid", part=["rows"])
    assert [list(counts) for counts in found["counts"]] == [[2]]
    assert read.statistics(MODEL, day=LAST, segment="origin").empty


def test_the_import_is_light():
    """No data frame library, Delta Lake or Dagster is loaded before something is read."""
    heavy = "('pandas', 'polars', 'pyarrow', 'deltalake', 'dagster', 'duckdb', 'sklearn')"
    code = f"import sys, mlobs_pipelines.read; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
