"""Windows as spans of calendar days, and which of them a change of days concerns.

Days are UTC dates given by the caller. No clock, no table and no metric is known here.
"""

from calendar import monthrange
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta

from mlobs_pipelines.core.vocabulary import Window

_LENGTHS = {Window.DAY: 1, Window.WEEK: 7, Window.FOUR_WEEKS: 28}


@dataclass(frozen=True, slots=True)
class Span:
    """One window in the calendar: the days from `start` up to, not including, `end`.

    Examples
    --------
    >>> span = span_ending(date(2013, 3, 7), Window.WEEK)
    >>> span.start, span.last, span.needed
    (datetime.date(2013, 3, 1), datetime.date(2013, 3, 7), 7)
    """

    window: Window
    start: date
    end: date

    @property
    def last(self) -> date:
        """The last day inside the span: the partition that its metrics belong to."""
        return self.end - timedelta(days=1)

    @property
    def needed(self) -> int:
        """How many days the span covers."""
        return (self.end - self.start).days

    @property
    def days(self) -> list[date]:
        """Every day of the span, ascending."""
        return [self.start + timedelta(days=offset) for offset in range(self.needed)]

    def present(self, available: AbstractSet[date]) -> int:
        """How many of the span's days are among `available`."""
        return sum(day in available for day in self.days)

    def partial(self, available: AbstractSet[date]) -> bool:
        """Whether a day of the span is missing from `available`."""
        return self.present(available) < self.needed


def month_of(day: date) -> Span:
    """The calendar month that holds `day`."""
    start = day.replace(day=1)
    return Span(Window.MONTH, start, start + timedelta(days=monthrange(day.year, day.month)[1]))


def span_ending(day: date, window: Window) -> Span | None:
    """The span of kind `window` whose last day is `day`; None for a month that ends on another day."""
    if window is Window.MONTH:
        month = month_of(day)
        return month if month.last == day else None
    end = day + timedelta(days=1)
    return Span(window, end - timedelta(days=_LENGTHS[window]), end)


def earlier(span: Span, steps: int, stride_days: int = 0) -> Span:
    """The span of the same kind `steps` before: next to one another, so that none overlaps another.

    Parameters
    ----------
    stride_days
        Days between one span and the next; by default the length of the span, a month for months.

    Examples
    --------
    >>> earlier(month_of(date(2013, 3, 7)), 2).start
    datetime.date(2013, 1, 1)
    """
    if span.window is Window.MONTH:
        months = span.start.year * 12 + span.start.month - 1 - steps
        return month_of(date(months // 12, months % 12 + 1, 1))
    back = timedelta(days=steps * (stride_days or span.needed))
    return Span(span.window, span.start - back, span.end - back)


def spans_ending(day: date, windows: Iterable[Window]) -> list[Span]:
    """The spans whose last day is `day`, in the order of `windows`."""
    spans = (span_ending(day, window) for window in windows)
    return [span for span in spans if span is not None]


def spans_touching(
    days: AbstractSet[date], available: AbstractSet[date], windows: Iterable[Window]
) -> list[Span]:
    """Every span that holds one of `days` and is due given the days with data.

    A span of a fixed length is due when its last day is among `available`; a calendar month when any of its
    days is, so that a running month is shown before it ends. Whether a span is whole is `Span.partial`.

    Parameters
    ----------
    days
        Days whose rows or labels changed.
    available
        Days that have data.
    windows
        The kinds of window wanted.

    Returns
    -------
    list of Span
        Without repeats, by last day, shorter spans first.
    """
    spans: set[Span] = set()
    for window in windows:
        spans |= _months(days, available) if window is Window.MONTH else _rolling(days, available, window)
    return sorted(spans, key=lambda span: (span.end, span.needed, span.window))


def _months(days: AbstractSet[date], available: AbstractSet[date]) -> set[Span]:
    """Calendar months of `days` in which any day has data."""
    alive = {(day.year, day.month) for day in available}
    return {month_of(day) for day in days if (day.year, day.month) in alive}


def _rolling(days: AbstractSet[date], available: AbstractSet[date], window: Window) -> set[Span]:
    """Spans of a fixed length that hold one of `days` and end on an available day."""
    reach = [timedelta(days=offset) for offset in range(_LENGTHS[window])]
    ends = {day + offset for day in days for offset in reach} & available
    return {span for span in (span_ending(day, window) for day in ends) if span is not None}
