"""The demo end to end, and the commands that read what it left."""

import csv
import json
import re
import shutil
from datetime import date
from getpass import getuser
from pathlib import Path

import pytest

from mlobs_pipelines.store.tables import METRIC_COLUMNS
from tests.cli.conftest import FIRST, LAST, SHARE, Place

MODEL = "flight_delays"


@pytest.fixture(scope="module")
def rows(season):
    """Give every metric row of the demo, segments included."""
    place, _, _ = season
    read = place.mlobs("metrics", MODEL, "--segment", "any", "--window", "7d", "--format", "json")
    return json.loads(read.stdout)


def test_demo_prints_its_table_and_writes_its_report(season):
    """One command builds, backfills, prints SLIs by month, writes the report and says what to do next."""
    place, done, _ = season
    head, line = re.search(r"^(window .*)\n(1mo 2013-03 .*)$", done.stdout, re.MULTILINE).groups()
    slis = ["auc", "ece", "brier_score", "label_coverage"]
    assert head.split() == ["window", "version", "role", *slis, "n"]
    assert re.fullmatch(r"1mo 2013-03 +v1 +champion( +0\.\d{4}){4} +\d+", line)
    assert "make ui" in done.stdout
    page = (place.home / "reports" / "flight_delays.html").read_text(encoding="utf-8")
    assert LAST in page
    assert "flight_delays_daily: run" in done.stderr


def test_the_same_plan_gives_the_same_bytes_in_another_process(season, history, tmp_path):
    """A zone trained and written here equals the command's, whose thread counts and hash seed are others."""
    from mlobs_pipelines.demo import DemoPlan  # noqa: PLC0415 - only where it is asked for
    from mlobs_pipelines.demo.landing import write_landing  # noqa: PLC0415 - as above

    plan = DemoPlan(date.fromisoformat(FIRST), date.fromisoformat(LAST), SHARE)
    write_landing(plan, history, tmp_path / MODEL)
    assert _files(tmp_path / MODEL) == _files(Path(season[2], MODEL))


def _files(root):
    """Give the content of every file by its path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_metric_of_the_demos_own_is_shown(season, rows):
    """The metric that the model brings along is in the store, with its interval, and in the report."""
    place, _, _ = season
    costs = [row for row in rows if row["metric"] == "expected_cost"]
    assert {row["segment_value"] for row in costs} == {"", "EWR", "JFK", "LGA"}
    known = [row for row in costs if row["value"] is not None]
    assert known
    assert all(0 <= row["lower"] <= row["value"] <= row["upper"] <= 5 for row in known if row["n"] > 1)
    page = (place.home / "reports" / "flight_delays.html").read_text(encoding="utf-8")
    assert "Expected cost, 28 days" in page


def test_pipes_get_plain_text(season):
    """Without a terminal no output holds an escape sequence, a progress bar or trailing blanks."""
    place, done, _ = season
    table = place.mlobs("metrics", MODEL, "--window", "1mo")
    for text in (done.stdout, done.stderr, table.stdout):
        assert not re.search(r"[\x00-\x09\x0b-\x1f]|\u2501|[ \t]\n", text)


def test_json_rows_have_every_column(rows):
    """JSON is a list of objects with all columns of the metric store, numbers or null."""
    assert rows
    assert all(list(row) == METRIC_COLUMNS.names for row in rows)
    assert all(row["value"] is None or isinstance(row["value"], float) for row in rows)
    assert {row["segment_value"] for row in rows} == {"", "EWR", "JFK", "LGA"}


def test_csv_says_the_same_as_json(season, rows):
    """CSV parses back to the rows that JSON gives."""
    place, _, _ = season
    read = place.mlobs("metrics", MODEL, "--segment", "any", "--window", "7d", "--format", "csv")
    parsed = list(csv.DictReader(read.stdout.splitlines()))
    plain = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    assert parsed == plain


def test_filters_narrow_what_is_read(season):
    """Each filter keeps the rows that it names and no others."""
    place, _, _ = season
    asked = ["--metric", "psi", "--metric", "ks", "--feature", "temp", "--version", "v1", "--from", LAST]
    found = json.loads(place.mlobs("metrics", MODEL, *asked, "--format", "json").stdout)
    assert {(row["metric"], row["feature"], row["model_version"]) for row in found} == {
        ("psi", "temp", "v1"),
        ("ks", "temp", "v1"),
    }
    assert all(row["window_end"] > LAST for row in found)
    judged = place.mlobs("metrics", MODEL, "--verdict", "undecided", "--format", "json")
    assert {row["verdict"] for row in json.loads(judged.stdout)} == {"undecided"}


def test_nothing_was_known_before_the_first_run(season):
    """As of a day before the history's clock the store has no value."""
    place, _, _ = season
    assert place.mlobs("metrics", MODEL, "--as-of", FIRST, "--format", "json").stdout == "[]\n"


def test_running_days_again_changes_nothing(season):
    """Backfilling days a second time leaves every table's content, and even its version, as it was."""
    place, _, landing = season
    before = place.mlobs("tables", MODEL, "--format", "json").stdout
    days = ["--from", "2013-03-04", "--to", "2013-03-05"]
    done = place.mlobs("backfill", MODEL, *days, MLOBS_LANDING=landing)
    assert done.stdout == ""
    assert place.mlobs("tables", MODEL, "--format", "json").stdout == before
    assert {row["table"] for row in json.loads(before)} >= {
        "predictions",
        "statistics",
        "metrics",
        "quarantine",
    }


def test_report_goes_where_it_is_told(season, tmp_path):
    """The report can be written to any file, making its folder, and says where it is."""
    place, _, _ = season
    target = tmp_path / "new" / "health.html"
    done = place.mlobs("report", MODEL, "--out", str(target))
    assert str(target) in done.stdout
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_report_that_cannot_be_written_is_one_message(season, tmp_path):
    """Where the file cannot be written the command ends with 1 and one line that names the file."""
    place, _, _ = season
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = place.mlobs("report", MODEL, "--out", str(tmp_path / "file" / "r.html"), code=1)
    assert done.stderr.startswith("mlobs: ")
    assert "Traceback" not in done.stderr


def test_error_budgets_are_printed(season):
    """`mlobs slo` prints the budgets of the last day, and of every day from one on when asked."""
    place, _, _ = season
    last = json.loads(place.mlobs("slo", MODEL, "--format", "json").stdout)
    assert {row["day"] for row in last} == {LAST}
    assert {row["slo"] for row in last} == {"answered", "labelled", "answered_in_time", "calibrated"}
    table = place.mlobs("slo", MODEL, "--from", FIRST, "--name", "answered").stdout
    assert len(table.splitlines()) == 6
    wrong = place.mlobs("slo", MODEL, "--name", "answerd", code=2)
    assert "did you mean answered or" in wrong.stderr


def test_the_demo_is_in_the_audit(season):
    """Its backfill and its report are two acts of the user who gave the command."""
    place, _, _ = season
    rows = json.loads(place.mlobs("audit", MODEL, "--format", "json").stdout)
    mine = [row for row in rows if row["action"] in {"backfill", "report"}][:2]
    assert [row["action"] for row in mine] == ["backfill", "report"]
    assert {row["who"] for row in mine} == {getuser()}
    assert mine[0]["object"] == f"{FIRST} to {LAST}"
    assert json.loads(mine[0]["details"])["failed_runs"] == 0
    assert json.loads(place.mlobs("audit", MODEL, "--action", "report", "--format", "json").stdout)


def test_retention_is_planned_applied_and_told(season, tmp_path):
    """A dry run changes nothing; applied, the same is gone and audited, and a backfill says so."""
    _, _, landing = season
    place = Place(tmp_path / "home")
    shutil.copytree(season[0].home / "lake", place.home / "lake")
    asked = ("retention", MODEL, "--as-of", "2015-03-03", "--format", "json")
    planned = place.mlobs(*asked)
    gone = {row["table"]: row for row in json.loads(planned.stdout) if row["partitions"]}
    assert gone["predictions"]["kept_from"] == "2013-03-03"
    assert (gone["predictions"]["first"], gone["predictions"]["last"]) == ("2013-03-01", "2013-03-02")
    assert "nothing was changed" in planned.stderr
    done = json.loads(place.mlobs(*asked, "--apply").stdout)
    assert {row["table"]: row for row in done if row["partitions"]} == gone
    told = json.loads(place.mlobs("audit", MODEL, "--action", "retention.delete", "--format", "json").stdout)
    assert {row["object"] for row in told} == set(gone)
    days = ("--from", "2013-03-01", "--to", "2013-03-01", "--assets", "predictions")
    done = place.mlobs("backfill", MODEL, *days, MLOBS_LANDING=landing)
    assert "predictions: 2013-03-01 to 2013-03-01: Expired: rows that days before 2013-03-03" in done.stderr
