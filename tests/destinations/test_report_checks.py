"""Folding verdicts into episodes and stretches."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.destinations.report_checks import attention, fold, roles, stretches
from mlobs_pipelines.destinations.report_rows import DAY, as_rows
from tests.destinations.season import SCHEMA, row

START = date(2013, 5, 20)
VERDICTS = st.lists(st.sampled_from(["pass", "fail", "undecided", None]), max_size=40)


def checks(verdicts, metric="ece", **given_columns):
    """Rows of one check, a day per verdict; None leaves the day out."""
    import pyarrow as pa  # noqa: PLC0415 - only where rows are built

    made = [
        row(
            metric,
            "v1",
            START + timedelta(days=i),
            0.05 + 0.001 * i,
            verdict=verdict,
            threshold=0.05,
            **given_columns,
        )
        for i, verdict in enumerate(verdicts)
        if verdict
    ]
    return as_rows(pa.Table.from_pylist(made, schema=SCHEMA))


@given(VERDICTS)
def test_folding_loses_no_day(verdicts):
    """Every judged day is in exactly one episode, and an episode has one verdict and no hole."""
    rows = checks(verdicts)
    episodes = fold(rows)
    assert sum(len(episode.rows) for episode in episodes) == len(rows)
    for episode in episodes:
        assert {found["verdict"] for found in episode.rows} == {episode.verdict}
        assert episode.last_day - episode.first_day == DAY * (len(episode.rows) - 1)


@given(VERDICTS)
def test_folding_is_maximal(verdicts):
    """Two neighbouring episodes differ in verdict or have a day without a row between them."""
    episodes = fold(checks(verdicts))
    for before, after in pairwise(episodes):
        assert before.verdict != after.verdict or after.first_day - before.last_day > DAY


def test_seventy_three_days_are_one_episode_with_their_worst():
    """Seventy-three failing days become one episode that knows its ends and its worst value."""
    (episode,) = fold(checks(["fail"] * 73))
    assert (episode.first_day, episode.last_day) == (START, date(2013, 7, 31))
    assert episode.worst["value"] == 0.05 + 0.001 * 72
    assert episode.open


def test_only_episodes_on_the_newest_day_are_open():
    """An episode that ended before the newest day of any check is over."""
    rows = checks(["fail", "fail", "pass"]) + checks(["undecided"], metric="auc")
    assert [(episode.verdict, episode.open) for episode in fold(rows)] == [
        ("undecided", False),
        ("fail", False),
        ("pass", True),
    ]


def test_calendar_months_follow_each_other():
    """Monthly rows of neighbouring months are consecutive; an episode begins on the month's first day."""
    ends = [date(2013, 5, 31), date(2013, 6, 30), date(2013, 8, 31)]
    import pyarrow as pa  # noqa: PLC0415 - only where rows are built

    made = [row("ece", "v1", end, 0.2, window="1mo", limit=0.05) for end in ends]
    first, second = fold(as_rows(pa.Table.from_pylist(made, schema=SCHEMA)))
    assert (first.first_day, first.last_day) == (date(2013, 5, 1), date(2013, 6, 30))
    assert second.first_day == date(2013, 8, 1)


def test_what_still_fails_comes_first():
    """Attention goes to episodes that are still open, then to the longest."""
    rows = checks(["fail"] * 9 + ["pass"]) + checks([None] * 9 + ["fail"], metric="auc")
    assert [concern.episode.rows[0]["metric"] for concern in attention(fold(rows), "fail")] == ["auc", "ece"]


@given(VERDICTS)
def test_a_flapping_check_is_one_concern(verdicts):
    """However often a check changes its mind, it takes one line that accounts for all its failing days."""
    rows = checks(verdicts)
    concerns = attention(fold(rows), "fail")
    assert len(concerns) <= 1
    counted = [len(found.rows) for concern in concerns for found in (concern.episode, *concern.others)]
    assert sum(counted) == sum(row["verdict"] == "fail" for row in rows)


@given(VERDICTS, VERDICTS)
def test_worst_verdict_colours_the_day(one, other):
    """A day of a metric is failing if any of its checks fails, and stretches never overlap."""
    rows = checks(one, feature="temp") + checks(other, feature="hour")
    spans = stretches(rows)
    failing = {found["last_day"] for found in rows if found["verdict"] == "fail"}
    shown = {
        span.start + DAY * i
        for span in spans
        if span.verdict == "fail"
        for i in range((span.end - span.start).days)
    }
    assert shown == failing
    assert all(before.end <= after.start for before, after in pairwise(spans))


def test_roles_are_spans():
    """A version's roles are listed in order with the days they held."""
    rows = checks(["pass"] * 2, role="shadow") + [
        found | {"last_day": found["last_day"] + 2 * DAY} for found in checks(["pass"] * 2, role="champion")
    ]
    assert roles(rows) == [
        ("shadow", START, START + DAY),
        ("champion", START + 2 * DAY, START + 3 * DAY),
    ]


def test_a_month_that_has_not_ended_does_not_close_the_others():
    """A monthly check whose month ends later than the newest day leaves daily checks of that day open."""
    import pyarrow as pa  # noqa: PLC0415 - only where rows are built

    month = [row("ece", "v1", date(2013, 5, 31), 0.2, window="1mo", limit=0.05)]
    rows = checks(["fail", "fail"], metric="auc") + as_rows(pa.Table.from_pylist(month, schema=SCHEMA))
    assert all(episode.open for episode in fold(rows))
