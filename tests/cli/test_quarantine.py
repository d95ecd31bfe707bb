"""`mlobs deliveries` and `mlobs quarantine`: what was delivered, what waits, and how it leaves."""

import csv
import json
import shutil

import polars as pl
import pytest

from tests.cli.conftest import Place
from tests.steps.waiting import ALLOWED, DAY, RANGE, STRICT, contracts, deliver, rows

DELIVERY = f"predictions/{DAY}.parquet"
COUNTS = ("accepted", "repeated", "quarantined", "refused", "sampled_out")


def installation(root):
    """An installation of the loan model under a strict contract, after a day of which six rows wait."""
    from mlobs_pipelines.contracts.folder import load_model  # noqa: PLC0415 - heavy
    from mlobs_pipelines.core.metrics import METRICS  # noqa: PLC0415 - as above
    from mlobs_pipelines.defs.resources import Site  # noqa: PLC0415 - as above
    from mlobs_pipelines.settings import Settings  # noqa: PLC0415 - as above
    from mlobs_pipelines.steps.ingest import ingest  # noqa: PLC0415 - as above

    folder, home = contracts(root / "contracts", *STRICT), root / "home"
    deliver(home / "landing" / "loan_risk", rows())
    walk = Site(Settings(home=home)).walk(load_model(folder, METRICS), "run")
    ingest(walk, "predictions", [DAY])
    return Place(home, root / "contracts")


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    """An installation that only reading commands are run on."""
    return installation(tmp_path_factory.mktemp("waiting"))


def asked(place, *arguments, **options):
    """Rows that a command prints as JSON."""
    return json.loads(place.mlobs(*arguments, "--format", "json", **options).stdout)


def test_deliveries_lists_what_became_of_rows_with_sums(waiting):
    """A line says state, counts and reason; the last one sums up, and both add up."""
    (record,) = asked(waiting, "deliveries", "loan_risk")
    assert (record["delivery"], record["state"], record["rows_in"]) == (DELIVERY, "partial", 40)
    assert sum(record[name] for name in COUNTS) == 40
    assert record["reason"] == f"{ALLOWED}: 5 rows; {RANGE}: 2 rows"
    lines = waiting.mlobs("deliveries", "loan_risk").stdout.splitlines()
    assert lines[-1].split() == ["total", "1", "delivery", "40", "34", "0", "6", "0", "0"]


@pytest.mark.parametrize(
    "narrowed",
    [["--state", "refused"], ["--dataset", "labels"], ["--from", "2024-03-01"], ["--to", "2024-02-01"]],
)
def test_deliveries_are_narrowed_by_options(waiting, narrowed):
    """State, dataset and days leave out what they do not mean."""
    assert asked(waiting, "deliveries", "loan_risk", *narrowed) == []


def test_list_counts_rows_by_rule(waiting):
    """Rows are counted by dataset, day, delivery, rule and version, with how many were released."""
    found = asked(waiting, "quarantine", "list", "loan_risk")
    assert [(row["rule"], row["rows"], row["released"]) for row in found] == [(ALLOWED, 5, 0), (RANGE, 2, 0)]
    assert {(row["dataset"], row["day"], row["delivery"]) for row in found} == {
        ("predictions", DAY.isoformat(), DELIVERY)
    }
    told = waiting.mlobs("quarantine", "list", "loan_risk", "--rule", RANGE)
    assert RANGE in told.stdout
    assert ALLOWED not in told.stdout
    assert told.stderr == "2 rows, each under every rule it broke; 0 released\n"


def test_show_prints_rows_without_who_they_are_about(waiting):
    """The rows come as they were delivered, identifiers as hashes; the help says that this prints content."""
    found = asked(waiting, "quarantine", "show", "loan_risk", "--rule", RANGE)
    assert [row["row_number"] for row in found] == [14, 15]
    assert found[0]["rules"] == [ALLOWED, RANGE]
    assert found[0]["row"]["prediction_id"] == "p-014"
    assert len(found[0]["row"]["customer"]) == 41
    help_text = " ".join(waiting.mlobs("quarantine", "show", "--help").stdout.split())
    assert "THE ONE COMMAND THAT PRINTS WHAT IS IN ROWS" in help_text
    text = waiting.mlobs("quarantine", "show", "loan_risk", "--limit", "2", "--format", "csv")
    assert [json.loads(row["row"])["grade"] for row in csv.DictReader(text.stdout.splitlines())] == ["E", "E"]
    assert text.stderr == "first 2 of 6 rows; --limit shows more, other options narrow\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deliveries", "loans"], ["unknown model loans", "there are: loan_risk"]),
        (["deliveries", "loan_risk", "--dataset", "label"], ["did you mean labels?"]),
        (["deliveries", "loan_risk", "--state", "bad"], ["'accepted'", "'partial'", "'refused'"]),
        (["quarantine", "list", "loan_risk", "--rule", "allowed:grad"], [f"did you mean {ALLOWED}?", RANGE]),
        (["quarantine", "show", "loan_risk", "--delivery", "x"], ["unknown delivery x", DELIVERY]),
        (["quarantine", "release", "loan_risk", "--dataset", "feature"], ["did you mean features?"]),
        (["quarantine", "release", "loan_risk", "--dataset", "prediction_log"], ["monitor.yaml", "backfill"]),
    ],
)
def test_wrong_usage_names_what_is_valid(waiting, arguments, said):
    """Wrong usage ends with 2, prints nothing on stdout, and the message names the valid choices."""
    done = waiting.mlobs(*arguments, code=2)
    assert done.stdout == ""
    assert not [words for words in said if words not in done.stderr]
    assert "Traceback" not in done.stderr


def test_before_any_run_nothing_is_listed(fresh):
    """Without a lake there are no deliveries, no rows that wait, and nothing to release; no error."""
    assert asked(fresh, "deliveries", "flight_delays") == []
    assert asked(fresh, "quarantine", "list", "flight_delays") == []
    assert asked(fresh, "quarantine", "show", "flight_delays") == []
    assert "nothing found" in fresh.mlobs("quarantine", "release", "flight_delays").stderr


def test_rows_leave_after_the_contract_was_fixed(tmp_path):
    """Nothing leaves under the same contract; under a fixed one rows flow on, once, and days are named."""
    place = installation(tmp_path)
    stuck = place.mlobs("quarantine", "release", "loan_risk", code=1)
    assert f"still fails: {ALLOWED}" in stuck.stdout
    assert "no row could be released" in stuck.stderr
    shutil.rmtree(place.contracts)
    contracts(place.contracts, STRICT[1])
    dry = place.mlobs("quarantine", "release", "loan_risk", "--dry-run")
    assert "4 of 6 rows would be released" in dry.stdout
    done = place.mlobs("quarantine", "release", "loan_risk")
    assert "4 of 6 rows released" in done.stdout
    assert f"mlobs backfill loan_risk --from {DAY} --to {DAY}" in done.stdout
    assert [row["released"] for row in asked(place, "quarantine", "list", "loan_risk")] == [4, 0]
    states = {row["delivery"]: row["accepted"] for row in asked(place, "deliveries", "loan_risk")}
    assert states == {DELIVERY: 34, f"{DELIVERY} (released)": 4}
    place.mlobs("quarantine", "release", "loan_risk", code=1)
    audit = pl.read_parquet(next((place.home / "lake" / "loan_risk" / "audit").rglob("*.parquet")))
    assert audit["action"].to_list() == ["quarantine.release"]
