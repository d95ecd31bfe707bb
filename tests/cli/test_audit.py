"""What is kept and who did what, on the command line; and that no command prints a secret."""

import json
import sys

import pytest

from tests.cli.conftest import CHECKOUT
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
        "a form of log lines that is none": {"MLOBS_LOG_FORMAT": SECRET},
        "log lines as objects, two keys": {"MLOBS_LOG_FORMAT": "json", "MLOBS_HMAC_KEY_FILE": "/dev/null"},
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
        "a form of log lines that is none",
        "log lines as objects, two keys",
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
    few = {"a database": ["backfill", "health"], "a form of": ["backfill", "health", "report"]}
    few |= {"log lines": ["report", "backfill"], "two keys": ["report", "backfill"]}
    concerned = [names for start, names in few.items() if case.startswith(start)]
    for name in concerned[0] if concerned else calls:
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
