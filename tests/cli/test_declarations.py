"""`mlobs check`, and what every command says about wrong names and settings."""

import shutil

import pytest

from mlobs_pipelines.core.metrics import METRICS
from tests.cli.conftest import CHECKOUT, Place


def broken(tmp_path, before, after):
    """Give an installation whose one monitor has a mistake, and the line it is on."""
    contracts = tmp_path / "contracts"
    shutil.copytree(CHECKOUT / "data_contracts", contracts)
    monitor = contracts / "flight_delays" / "monitor.yaml"
    text = monitor.read_text(encoding="utf-8")
    assert before in text
    monitor.write_text(text.replace(before, after, 1), encoding="utf-8")
    line = text[: text.index(before)].count("\n") + 1
    return Place(tmp_path / "home", contracts), line


def test_check_says_that_declarations_are_fine(fresh):
    """Contracts without problems end with 0 and the names of their models."""
    done = fresh.mlobs("check")
    assert done.stdout == "1 model declared without problems: flight_delays\n"
    assert done.stderr == ""


def test_check_names_file_and_line(tmp_path):
    """A mistake is printed as file:line with what would be valid, and the command ends with 2."""
    place, line = broken(tmp_path, "metric: auc", "metric: aucc")
    done = place.mlobs("check", "flight_delays", code=2, process=True)
    assert f"flight_delays/monitor.yaml:{line}: " in done.stdout
    assert "did you mean auc" in done.stdout
    assert done.stderr == "mlobs: 1 problem\n"


@pytest.mark.parametrize("command", [["metrics"], ["tables"], ["report"], ["backfill"]])
def test_no_command_works_on_a_broken_declaration(tmp_path, command):
    """With a broken declaration every command that needs it says where it is broken and ends with 2."""
    place, line = broken(tmp_path, "task: binary", "task: ternary")
    days = ["--from", "2013-03-01", "--to", "2013-03-02"] if command == ["backfill"] else []
    done = place.mlobs(*command, "flight_delays", *days, code=2)
    assert f"flight_delays/monitor.yaml:{line}: " in done.stderr
    assert "Traceback" not in done.stderr


JUNE = ["--from", "2013-06-01", "--to", "2013-06-30"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["metrics", "flights"], ["unknown model flights", "there are: flight_delays"]),
        (["check", "flights"], ["unknown model flights", "there are: flight_delays"]),
        (["metrics", "flight_delays", "--metric", "aucc"], ["did you mean auc or", *METRICS]),
        (["metrics", "flight_delays", "--window", "2d"], ["'1d'", "'7d'", "'1mo'"]),
        (["metrics", "flight_delays", "--version", "v9"], ["unknown version v9", "v1, v2"]),
        (["metrics", "flight_delays", "--segment", "dest"], ["unknown segment dest", "any, origin"]),
        (["metrics", "flight_delays", "--as-of", "noon"], ["as_of", "2013-06-13T06:00:00Z"]),
        (["demo", "--incident", "stall"], ["did you mean label-stall?", "skew-celsius"]),
        (["demo", "--from", "2012-01-01", "--to", "2012-01-02"], ["2013-03-01 to 2013-12-31"]),
        (["backfill", "flight_delays", "--from", "2012-01-01", "--to", "2012-01-02"], ["from 2013-02-01 to"]),
        (["backfill", "flight_delays", *JUNE, "--as-of", "2013-06-15"], ["to 2013-06-14"]),
        (
            ["backfill", "flight_delays", "--from", "2013-03-02", "--to", "2013-03-01"],
            ["the earlier one first"],
        ),
    ],
)
def test_wrong_usage_names_what_is_valid(fresh, arguments, said):
    """Wrong usage ends with 2, prints nothing on stdout, and the message names the valid choices."""
    done = fresh.mlobs(*arguments, code=2)
    assert done.stdout == ""
    assert not [words for words in said if words not in done.stderr]
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named_without_its_value(fresh):
    """A setting that cannot be read is named by its variable; what it was set to is not repeated."""
    done = fresh.mlobs("check", code=2, MLOBS_THREADS="canary-7f3a")
    assert "MLOBS_THREADS" in done.stderr
    assert "canary-7f3a" not in done.stderr


def test_a_missing_folder_of_contracts_says_how_to_name_one(fresh, tmp_path):
    """Outside of a project the message says which variable names the contracts."""
    done = fresh.mlobs("metrics", "flight_delays", code=2, MLOBS_CONTRACTS=str(tmp_path / "none"))
    assert "MLOBS_CONTRACTS" in done.stderr


def test_before_any_run_there_is_nothing(fresh):
    """Reading before the first run gives an empty list, a bare header, or a hint on stderr, and no error."""
    read = ["metrics", "flight_delays", "--as-of", "2013-06-13", "--format"]
    assert fresh.mlobs(*read, "json").stdout == "[]\n"
    assert fresh.mlobs(*read, "csv").stdout.startswith("model,model_version,role,")
    table = fresh.mlobs(*read, "table")
    assert table.stdout == ""
    assert "nothing found" in table.stderr


def test_a_metric_is_defined_in_words(fresh):
    """A named metric is told whole, with its source; all together take a line each; a typo is told."""
    said = fresh.mlobs("define", "ece").stdout
    assert "calibration, unit 1, better lower" in said
    assert "Naeini et al. 2015" in said
    lines = fresh.mlobs("define").stdout.splitlines()
    assert sum(line.startswith("psi ") for line in lines) == 1
    assert "did you mean ece?" in fresh.mlobs("define", "ecee", code=2).stderr
    assert "expected_cost" in fresh.mlobs("define", "--model", "flight_delays").stdout
