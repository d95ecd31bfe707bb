from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span, month_of, span_ending, spans_ending, spans_touching

FIRST = date(2013, 3, 1)
some_days = st.sets(st.integers(0, 70).map(lambda offset: FIRST + timedelta(days=offset)), max_size=12)


@pytest.mark.parametrize(("window", "start"), [("1d", 31), ("7d", 25), ("28d", 4), ("1mo", 1)])
def test_spans_that_end_on_a_day(window, start):
    """A span includes its last day and reaches back its whole length."""
    span = span_ending(date(2013, 3, 31), Window(window))
    assert span == Span(Window(window), date(2013, 3, start), date(2013, 4, 1))
    assert span.last == date(2013, 3, 31)
    assert len(span.days) == span.needed


def test_a_month_ends_on_its_last_day_only():
    """In the middle of a month no calendar month ends; leap years count."""
    assert [span.window for span in spans_ending(date(2013, 3, 30), Window)] == ["1d", "7d", "28d"]
    assert span_ending(date(2012, 2, 29), Window.MONTH).needed == 29
    assert span_ending(date(2013, 2, 28), Window.MONTH).needed == 28
    assert month_of(date(2013, 12, 5)).end == date(2014, 1, 1)


def test_a_changed_day_concerns_every_window_that_holds_it():
    """One day's labels touch its own day, the seven 7-day windows that hold it, and its month."""
    available = {FIRST + timedelta(days=offset) for offset in range(31)}
    spans = spans_touching({date(2013, 3, 10)}, available, [Window.DAY, Window.WEEK, Window.MONTH])
    assert sum(span.window is Window.WEEK for span in spans) == 7
    assert sum(span.window is Window.DAY for span in spans) == 1
    assert spans[-1] == month_of(date(2013, 3, 10))


def test_windows_do_not_run_ahead_of_the_data():
    """No window of fixed length ends after the last day with data; the running month is shown, as partial."""
    available = {FIRST + timedelta(days=offset) for offset in range(10)}
    spans = spans_touching({date(2013, 3, 10)}, available, Window)
    assert {span.last for span in spans if span.window is not Window.MONTH} == {date(2013, 3, 10)}
    month = spans[-1]
    assert (month.present(available), month.needed, month.partial(available)) == (10, 31, True)


@given(days=some_days, available=some_days)
def test_touching_is_what_a_plain_search_finds(days, available):
    """The spans found are exactly those that hold a changed day and are due."""
    horizon = [FIRST + timedelta(days=offset) for offset in range(-40, 140)]
    expected = {
        span
        for day in horizon
        for span in spans_ending(day, Window)
        if days & set(span.days)
        and (available & set(span.days) if span.window is Window.MONTH else span.last in available)
    }
    found = spans_touching(days, available, Window)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert [span.end for span in found] == sorted(span.end for span in found)


@given(days=some_days, other=some_days)
def test_touching_is_additive_in_the_changed_days(days, other):
    """Changing two sets of days concerns the windows of either."""
    available = days | other
    both = spans_touching(days | other, available, Window)
    apart = {*spans_touching(days, available, Window), *spans_touching(other, available, Window)}
    assert set(both) == apart


def test_a_window_without_gaps_is_whole():
    """A window is partial only when one of its days has no data."""
    span = span_ending(date(2013, 3, 7), Window.WEEK)
    assert not span.partial(set(span.days))
    assert span.partial(set(span.days[1:]))
