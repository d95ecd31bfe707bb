"""Log lines: one JSON object each, with what it is about; no line says what is in rows."""

import json
import logging
from datetime import UTC, date, datetime

import pytest

from mlobs_pipelines.telemetry.logs import about, tell
from mlobs_pipelines.telemetry.work import span, working

COMMIT = {"run_id": "r-1", "batch_id": "b-1"}
DAYS = [date(2013, 5, 2), date(2013, 5, 1)]


@pytest.fixture
def lines(capsys):
    """Give what is on standard error, line by line, while JSON is asked for."""
    tell("json")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    tell("text")


def test_a_line_says_what_it_is_about(lines):
    """Facts of the surrounding work, inner ones first, and the record's own are fields beside the message."""
    with about(model="flights", run_id="r-1"), about(model="churn"):
        logging.getLogger("mlobs.x").warning("%d rows", 3, extra={"facts": {"rows": 3, "none": None}})
    logging.getLogger("mlobs.x").info("after")
    first, second = lines()
    moment = datetime.fromisoformat(first.pop("at"))
    assert (datetime.now(UTC) - moment).total_seconds() < 60
    assert first == {
        "level": "WARNING",
        "logger": "mlobs.x",
        "message": "3 rows",
        "model": "churn",
        "run_id": "r-1",
        "rows": 3,
    }
    assert second.keys() == {"at", "level", "logger", "message"}


def test_work_is_told_when_it_is_done(lines):
    """Its line has model, step, partitions, ids, rows and duration; lines meanwhile know whose they are."""
    with working("statistics", "flights", COMMIT, DAYS) as work:
        logging.getLogger("mlobs.x").info("halfway")
        work.counts["rows_in"] = 7
    during, done = lines()
    known = {
        "model": "flights",
        "step": "statistics",
        "partitions": "2013-05-01/2013-05-02",
        "partition_count": 2,
        "batch_id": "b-1",
        "run_id": "r-1",
    }
    assert known.items() <= during.items()
    assert known.items() <= done.items()
    assert (done["message"], done["rows_in"]) == ("statistics done", 7)
    assert done["duration_s"] >= 0


def test_work_that_fails_names_the_kind_of_error_only(lines):
    """The line has the error's class, not its message, and the error goes on."""
    with pytest.raises(ValueError, match="secret"), working("join", "flights", COMMIT, DAYS[:1]):
        raise ValueError("secret")
    (line,) = lines()
    assert (line["level"], line["error"], line["partitions"]) == ("ERROR", "ValueError", "2013-05-02")
    assert "secret" not in json.dumps(line)


def test_work_without_days_has_no_partitions(lines):
    """Work that is not of days says nothing of any."""
    with working("baseline", "flights", {}):
        pass
    (line,) = lines()
    assert {"partitions", "partition_count"} & line.keys() == set()
    assert span([]) is None


def test_errors_bring_their_traceback(lines):
    """An exception that is logged is told by class and traceback."""
    try:
        {}["x"]
    except KeyError:
        logging.getLogger("mlobs.x").exception("it failed")
    (line,) = lines()
    assert line["error"] == "KeyError"
    assert "test_logs.py" in line["traceback"]


def test_text_tells_people_warnings_only(capsys):
    """Without JSON, work is not told, and asking for JSON twice does not tell it twice."""
    tell("json")
    tell("json")
    tell("text")
    with working("join", "flights", COMMIT, DAYS):
        pass
    assert capsys.readouterr().err == ""


def test_an_instance_may_name_the_handler(tmp_path, monkeypatch, capfd):
    """With the image's `python_logs`, a run's failures are JSON lines with model, days, run and step."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds
    import yaml  # noqa: PLC0415 - as above

    from tests.deploy.test_image import IMAGE  # noqa: PLC0415 - as above

    monkeypatch.setenv("MLOBS_LOG_FORMAT", "json")

    @dg.op
    def breaks(context):
        context.log.info("about to break")
        raise ValueError("broken")

    @dg.job(tags={"mlobs/model": "flights", "dagster/partition": "2013-05-01"})
    def one():
        breaks()

    told = yaml.safe_load((IMAGE / "python_logs.yaml").read_text())
    with dg.instance_for_test(overrides=told, temp_dir=str(tmp_path)) as opened:
        done = one.execute_in_process(instance=opened, raise_on_error=False)
    found = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith('{"at"')]
    assert not done.success
    known = {"model": "flights", "partitions": "2013-05-01", "run_id": done.run_id, "job": "one"}
    assert all(known.items() <= line.items() for line in found)
    said = {line.get("event"): line for line in found}
    assert said[None]["message"] == "about to break"
    assert (said["STEP_FAILURE"]["step"], said["STEP_FAILURE"]["level"]) == ("breaks", "ERROR")
    assert "PIPELINE_FAILURE" in said
