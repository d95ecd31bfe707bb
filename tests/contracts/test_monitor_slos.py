"""What a monitor may say about SLOs, and what a person is told who gets it wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlobs_pipelines.contracts.folder import check_folder, load_model
from mlobs_pipelines.core.metrics import METRICS

SLO = "name: good, sli: {metric: availability}, budgeting: occurrences, target: 0.99"
SLICES = "name: ranked, sli: {metric: auc, window: 28d}, budgeting: timeslices, target: 0.9"


def declare(folder: Path, *slos: str) -> list[str]:
    """Problems of the copy with these SLOs."""
    lines = "".join(f"  - {{{slo}}}\n" for slo in slos)
    file = folder / "monitor.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("schedule:", f"slos:\n{lines}schedule:", 1), encoding="utf-8")
    return [str(problem).removeprefix(f"{folder}/") for problem in check_folder(folder, METRICS)]


def test_both_ways_of_budgeting_are_read(folder: Path):
    """Events and windows are declared, and what is not written has its default."""
    assert declare(folder, SLO, SLICES + ", period: 14d, min_events: 3, page: 0.2") == []
    events, windows = load_model(folder, METRICS).monitor.slos
    assert (events.period, events.objective.min_events, events.objective.pages) == (
        timedelta(days=28),
        100,
        True,
    )
    assert (windows.objective.period_days, windows.objective.min_events) == (14, 3)
    assert not windows.objective.pages  # a window of four weeks moves slowly
    assert windows.objective.page_limit == pytest.approx(0.2 * 14)


@pytest.mark.parametrize(
    ("slo", "says"),
    [
        (SLO.replace("0.99", "1.0"), "slos[0].target: 1.0 is out of range; valid: less than 1"),
        (SLO.replace("availability", "availabilty"), "unknown metric 'availabilty'; did you mean availabil"),
        (SLO.replace("availability", "auc"), "auc is no share of events; write budgeting: timeslices"),
        (SLO.replace("availability", "mae"), "sli.metric: a binary model has no mae"),
        (SLO.replace("availability", "availability, window: 7d"), "occurrences are counted by day; write"),
        (SLO.replace("availability", "availability, windw: 7d"), "sli.windw: unknown key; did you mean"),
        (SLO + ", period: 36h", "period is no number of days from 7 to 366; write it as in 28d"),
        (SLO + ", runbook: somewhere", "has a form that is not allowed"),
        (SLICES.replace("auc", "f1"), "no objective judges f1 over 28d, so no window is good or bad; add"),
        (SLICES.replace("28d", "28d, segment: origin"), "no objective judges auc in segments; write segm"),
        (SLICES.replace("28d", "28d, segment: orign"), "'orign' is no segment; did you mean origin?"),
        (SLICES.replace("28d", "28d, roles: [canary]"), "judges auc of the role canary; add the role to"),
        (SLICES.replace("28d", "28d, versions: [v9]"), "unknown version 'v9'"),
        (SLICES.replace("28d", "28d, feature: tempp"), "unknown feature 'tempp'; did you mean temp"),
        (SLICES.replace("28d", "1mo"), "a calendar month ends once in a period; write window: 1d, 7d or"),
    ],
)
def test_a_mistake_is_told_by_its_key_and_remedy(folder: Path, slo: str, says: str):
    """Each mistake is a message with file, line, key and what would be valid."""
    told = declare(folder, slo)
    assert any(says in one for one in told), told
    assert all(one.startswith("monitor.yaml:") for one in told)


def test_names_are_given_once(folder: Path):
    """A second SLO of the same name is refused."""
    assert ["good is declared twice" in one for one in declare(folder, SLO, SLO)] == [True]


def route(folder: Path, line: str) -> list[str]:
    """Problems of the copy with one route."""
    file = folder / "monitor.yaml"
    text = file.read_text(encoding="utf-8")
    section = f"incidents:\n  recover: 2\n  routes:\n    - {{{line}}}\nschedule:"
    file.write_text(text.replace("schedule:", section, 1), encoding="utf-8")
    return [str(problem).removeprefix(f"{folder}/") for problem in check_folder(folder, METRICS)]


def test_a_route_is_read(folder: Path):
    """Channel, choice, quiet hours across midnight and limit arrive as written."""
    line = 'channel: c, severities: [critical], quiet: {from: "22:00", to: "06:30", timezone: Europe/Berlin}'
    assert route(folder, line + ", at_most: {messages: 3, per: 30m}") == []
    rules = load_model(folder, METRICS).monitor.incidents
    assert rules.recovery.windows == 2
    (one,) = rules.routes
    assert [one.quiet.at(datetime(2024, 1, 5, hour, tzinfo=UTC)) for hour in (20, 21, 5, 6, 12)] == [
        *(False, True, True, False, False)
    ]
    assert one.at_most.per == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("chanel: c", "incidents.routes[0].chanel: unknown key; did you mean channel?"),
        (
            'channel: c, quiet: {from: "25:00", to: "06:00"}',
            "not a time of day; write it in quotes, as",
        ),
        (
            'channel: c, quiet: {from: "06:00", to: "06:00"}',
            "quiet hours end when they begin; write two",
        ),
        ("channel: c, at_most: {messages: 0}", "messages: 0 is out of range"),
        ("channel: c, severities: [high]", "'high' is not a valid value; valid: critical, ticket"),
    ],
)
def test_a_mistake_in_a_route_is_told(folder: Path, line: str, says: str):
    """What is wrong with a route is told by key and remedy."""
    told = route(folder, line)
    assert any(says in one for one in told), told
