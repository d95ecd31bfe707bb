"""What is kept and who did what, on the command line; and that no command prints a secret."""

import json
import shutil
import sys
from getpass import getuser

import pytest

from tests.cli.conftest import CHECKOUT, FIRST, LAST, Place
from tests.objects import SECRET, object_store

MODEL = "flight_delays"
EXTRA = {"demo": ["--from", "1999-01-01"], "define": ["auc"]}


def _calls():
    """Give a call of every command there is, with something for whatever it must be given."""
    import typer  # noqa: PLC0415 - only where the command line is looked at

    from mlobs_pipelines.cli import app  # noqa: PLC0415 - as above

    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        inside = getattr(command, "commands", None)
        found |= {f"{name} {word}": one for word, one in inside.items()} if inside else {name: command}
    return {name: [*name.split(), *_needed(one), *EXTRA.get(name, [])] for name, one in found.items()}


def _needed(command):
    for given in command.params:
        if given.name == "model" and not given.opts[0].startswith("-"):
            yield MODEL
        elif given.required:
            yield from [given.opts[0], "2013-03-01"] if given.opts[0].startswith("-") else ["x"]


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
    days = ("--from", "2013-03-01", "--to", "2013-03-01")
    done = place.mlobs("backfill", MODEL, *days, MLOBS_LANDING=landing)
    assert "predictions: 2013-03-01 to 2013-03-01: Expired: rows that days before 2013-03-03" in done.stderr


def test_retention_wants_one_model_or_all(fresh):
    """Neither and both are wrong usage."""
    for arguments in ((), (MODEL, "--all")):
        assert "name one model, or say --all" in fresh.mlobs("retention", *arguments, code=2).stderr


@pytest.fixture(scope="module")
def store():
    """Start an object store without the bucket that is asked for."""
    with object_store() as options:
        yield options


def _wrong(case, store):
    options = json.dumps(store)
    return {
        "a bucket that is not there": {"MLOBS_LAKE": "s3://not-there/lake", "MLOBS_LAKE_OPTIONS": options},
        "options that are no JSON": {"MLOBS_LAKE_OPTIONS": options[:-1]},
        "sources that are no mapping": {"MLOBS_SOURCES": f'["{SECRET}"]'},
        "a number that is none": {"MLOBS_THREADS": SECRET},
        "a database that is none": {"MLOBS_POSTGRES_URL": f"mysql+{SECRET}"},
        "a database that does not answer": {"MLOBS_POSTGRES_URL": f"postgresql://u:{SECRET}@127.0.0.1:9/x"},
        "two keys": {"MLOBS_HMAC_KEY": SECRET, "MLOBS_HMAC_KEY_FILE": "/dev/null"},
    }[case]


@pytest.mark.parametrize(
    "case",
    [
        "a bucket that is not there",
        "options that are no JSON",
        "sources that are no mapping",
        "a number that is none",
        "a database that is none",
        "a database that does not answer",
        "two keys",
    ],
)
def test_no_command_prints_a_secret(case, store, tmp_path, monkeypatch, capfd):
    """Whatever is wrong with the settings, no command says a key, a password or an option in the clear."""
    from mlobs_pipelines.cli import main  # noqa: PLC0415 - the command line takes seconds

    calls = _calls()
    given = {"MLOBS_HMAC_KEY": SECRET, "MLOBS_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster")}
    given |= {"MLOBS_CONTRACTS": str(CHECKOUT / "data_contracts"), **_wrong(case, store)}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    codes = {}
    concerned = ["backfill"] if case.startswith("a database") else list(calls)
    for name in concerned if case != "two keys" else ["report", "backfill"]:
        arguments = calls[name]
        monkeypatch.setattr(sys, "argv", ["mlobs", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        codes[name] = ended.value.code
    said = "".join(capfd.readouterr())
    assert codes["backfill"] in {1, 2}, said
    assert said
    assert SECRET not in said
    assert "Traceback" not in said
