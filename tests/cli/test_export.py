"""Metrics for other systems: files of four kinds, and scrapes."""

import csv
import http.client
import io
import json
from threading import Thread

import pyarrow.parquet as pq
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from mlobs_pipelines.destinations.openmetrics import exposition
from mlobs_pipelines.destinations.scrape import server
from mlobs_pipelines.steps.expose import Cached, known_now, text_of
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.metric_store import MetricStore
from tests.cli.stored import HOSTILE, LAST, MODEL, fill, moment, run, tomorrow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give an installation with nine days of metrics."""
    place = tmp_path_factory.mktemp("exported")
    fill(place / "lake")
    return place


@pytest.fixture(scope="module")
def lake(home):
    """Give its tables."""
    return Lake(str(home / "lake"), None)


def samples(text, parse=openmetrics.text_string_to_metric_families):
    """Values by name and labels that are not empty."""
    return {
        (one.name, *sorted((k, v) for k, v in one.labels.items() if v and k != "model")): one.value
        for family in parse(text)
        for one in family.samples
    }


def test_openmetrics_say_what_the_store_says(home, lake):
    """Each value of the newest day is there in base units with bounds, rows, limit and verdict."""
    run(home, "export", MODEL, "--output", str(home / "m.prom"))
    found = samples((home / "m.prom").read_text())
    (row,) = MetricStore(lake).query(MODEL, metrics=["latency_p95"], versions=["v1"], first=LAST).to_pylist()
    of = (("role", "champion"), ("version", "v1"), ("window", "7d"))
    assert found["mlobs_latency_p95_seconds", *of] == pytest.approx(row["value"] / 1000)
    assert found["mlobs_latency_p95_limit_seconds", *of] == pytest.approx(0.25)
    assert found["mlobs_latency_p95_seen_rows", *of] == row["n"]
    verdict = {("metric", "latency_p95"), *of}
    said = {word: found["mlobs_verdict", *sorted(verdict | {("verdict", word)})] for word in ("pass", "fail")}
    assert said == {"pass": 1.0, "fail": 0.0}
    (row,) = MetricStore(lake).query(MODEL, metrics=["error_share"], versions=["v2"], first=LAST).to_pylist()
    of = (("role", "shadow"), ("version", "v2"), ("window", "7d"))
    assert found["mlobs_error_share_lower_ratio", *of] == pytest.approx(row["lower"])
    assert found["mlobs_measured_until_seconds",] == moment(tomorrow(LAST)).timestamp()


def test_openmetrics_tell_budgets_and_incidents(home):
    """Budgets, burn rates and alerts per SLO; incidents that are not over by severity, zeros too."""
    run(home, "export", MODEL, "--output", str(home / "m.prom"))
    found = samples((home / "m.prom").read_text())
    of = (("slo", "calibrated"), ("version", "v2"))
    assert found["mlobs_slo_budget_left_ratio", *of] == -0.2
    assert found["mlobs_slo_burn_rate", *of, ("window", "7d")] == 4.0
    assert found["mlobs_slo_alert", ("alert", "ticket"), *of] == 1.0
    assert found["mlobs_incidents", ("severity", "ticket"), ("state", "open")] == 1.0
    assert found["mlobs_incidents", ("severity", "critical"), ("state", "open")] == 0.0


def test_both_parsers_of_prometheus_read_the_same(lake):
    """Hostile values arrive as they are in either format; the file's collector reads it too."""
    text = exposition([known_now(lake, MODEL, segments=None)])
    found = samples(text)
    assert found == samples(text, plain)
    assert any(("segment_value", HOSTILE) in labels for labels in found)
    assert text.endswith("# EOF\n")


def test_files_hold_what_the_store_holds(home, lake):
    """Parquet is the store's own rows, JSON and CSV the same; no text of a CSV is a formula."""
    stored = MetricStore(lake).query(MODEL, metrics=["ece"], segments=None)
    for kind in ("parquet", "json", "csv"):
        given = ("--format", kind, "--metric", "ece", "--segment", "any", "--output", str(home / f"m.{kind}"))
        assert f"{stored.num_rows} values" in run(home, "export", MODEL, *given)
    assert pq.read_table(home / "m.parquet").equals(stored)
    rows = json.loads((home / "m.json").read_text())
    assert [row["value"] for row in rows] == stored["value"].to_pylist()
    read = list(csv.DictReader(io.StringIO((home / "m.csv").read_text(), newline="")))
    assert f"'{HOSTILE}" in {row["segment_value"] for row in read}
    assert not [value for row in read for value in row.values() if value.startswith(("=", "+", "@"))]


def test_a_file_is_replaced_whole(home, monkeypatch):
    """Nobody reads half a file: the old one stays until the new one is there, and nothing else is left."""
    target = home / "folder" / "m.prom"
    run(home, "export", MODEL, "--output", str(target), "--metric", "ece")
    before = target.read_bytes()
    monkeypatch.setattr("pathlib.Path.chmod", _broken)
    run(home, "export", MODEL, "--output", str(target), code=1)
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["m.prom"]


def test_what_there_is_not_cannot_be_exported(home):
    """An unknown segment, and days for a text of the newest one, are wrong usage; no file is made."""
    target = ("--output", str(home / "none"))
    assert "unknown segment orign" in run(home, "export", MODEL, *target, "--segment", "orign", code=2)
    assert "leave out --from" in run(home, "export", MODEL, *target, "--from", "2013-03-01", code=2)
    assert not (home / "none").exists()


def test_scrapes_of_an_unknown_model_are_wrong_usage(home):
    """The server is not started."""
    assert "unknown model nobody" in run(home, "serve-metrics", "nobody", code=2)


def _broken(*_):
    raise OSError("no space")


def test_a_terminal_shows_hostile_names_as_text(home):
    """A segment's value moves no cursor and turns no line around."""
    printed = run(home, "metrics", MODEL, "--metric", "ece", "--segment", "origin")
    assert "calc" in printed
    assert not {"\x1b", "\u202e"} & set(printed)


def test_scrapes_are_answered_from_a_kept_text(lake):
    """The lake is read at most once in the given time; each reader gets its format, other paths nothing."""
    clock, made = [0.0], []
    cached = Cached(lambda: made.append(1) or text_of(lake, [MODEL]), 60, lambda: clock[0])
    with server("127.0.0.1", 0, cached.get) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
        first = _get(listening, "/metrics", asked)
        assert first[:2] == (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        assert "mlobs_ece" in first[2]
        assert _get(listening, "/metrics")[:2] == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert _get(listening, "/")[0] == 404
        assert len(made) == 1
        clock[0] = 60.0
        _get(listening, "/metrics")
        assert len(made) == 2
        listening.shutdown()


def test_a_lake_that_cannot_be_read_fails_the_scrape_only():
    """The server goes on, and says nothing of what went wrong."""
    with server("127.0.0.1", 0, lambda: 1 / 0) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        status, _, body = _get(listening, "/metrics")
        assert (status, "division" in body) == (500, False)
        listening.shutdown()


def _get(listening, path, headers=None):
    connection = http.client.HTTPConnection(*listening.server_address[:2], timeout=10)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Content-Type"], body
