"""Error budgets: how much of what may fail has failed, how fast it is going, and when somebody is told.

Arithmetic on daily counts of events; where these come from, and what becomes of an alert, is not known here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.vocabulary import Flags, Floats, Verdict

PAGE_DAYS, TICKET_DAYS = 1, 7
Words = NDArray[np.str_]


def burn_limit(budget_share: float, period_days: float, window_days: float) -> float:
    """The burn rate at which a window spends this share of the whole period's budget.

    Beyer et al., *The Site Reliability Workbook* (2018), chapter 5, table 5-8.

    Examples
    --------
    >>> burn_limit(0.10, 30, 3)
    1.0
    >>> round(burn_limit(0.02, 30, 1 / 24), 6)
    14.4
    """
    return budget_share * period_days / window_days


@dataclass(frozen=True, slots=True)
class Objective:
    """What share of events is to be good, over how long, and what is too fast a way to miss it.

    Attributes
    ----------
    target
        Share of good events, between 0 and 1.
    period_days
        Length of the period; it ends with the day that is looked at.
    min_events
        Events of a stretch under which nothing is said about it.
    page_share, ticket_share
        Share of the budget that one day, or seven days, must spend before somebody is told.
    pages
        False for events that move too slowly to wake anybody: what would be a page is a ticket.
    """

    target: float
    period_days: int
    min_events: float = 1
    page_share: float = 0.1
    ticket_share: float = 0.25
    pages: bool = True

    @property
    def page_limit(self) -> float:
        """Burn rate of a day beyond which to page."""
        return burn_limit(self.page_share, self.period_days, PAGE_DAYS)

    @property
    def ticket_limit(self) -> float:
        """Burn rate of seven days beyond which to open a ticket."""
        return burn_limit(self.ticket_share, self.period_days, TICKET_DAYS)


@dataclass(frozen=True, slots=True)
class Spending:
    """The budget as of each day; every array has the shape (..., days).

    Attributes
    ----------
    events, bad
        Of the period that ends with the day.
    budget
        Bad events that the target allows in that period.
    left
        Share of the budget that is not spent; below 0 once the target is missed, NaN without events.
    day_burn, week_burn
        Burn rate of the last day and of the last seven: 1 spends the budget exactly in a period; NaN without
        events.
    day_events, week_events
        Events of the last day and of the last seven.
    """

    events: Floats
    bad: Floats
    budget: Floats
    left: Floats
    day_burn: Floats
    week_burn: Floats
    day_events: Floats
    week_events: Floats


def spend(bad: Floats, events: Floats, objective: Objective) -> Spending:
    """Add up daily events over the period, over seven days and over one.

    Parameters
    ----------
    bad, events : (..., days)
        Bad events and all of them, consecutive days; 0 where a day has none.
    """
    bad_period, all_period = (trailing(array, objective.period_days) for array in (bad, events))
    bad_week, all_week = (trailing(array, TICKET_DAYS) for array in (bad, events))
    allowed = 1 - objective.target
    budget = allowed * all_period
    return Spending(
        all_period,
        bad_period,
        budget,
        1 - _ratio(bad_period, budget),
        _ratio(bad, allowed * events),
        _ratio(bad_week, allowed * all_week),
        np.asarray(events, dtype=np.float64),
        all_week,
    )


def trailing(values: Floats, days: int) -> Floats:
    """Sums over the last `days` days, the own one included; fewer at the start.

    Examples
    --------
    >>> trailing(np.array([1.0, 2.0, 4.0, 8.0]), 2).tolist()
    [1.0, 3.0, 6.0, 12.0]
    """
    array = np.asarray(values, dtype=np.float64)
    padded = np.concatenate([np.zeros((*array.shape[:-1], days - 1)), array], axis=-1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, days, axis=-1).sum(axis=-1))


def alerts(spending: Spending, objective: Objective) -> Words:
    """Whether somebody is told, by day: *page*, *ticket*, *none*, or *undecided* on too few events.

    For daily batches the two windows of a page are the day and the last batch, which are one; a ticket takes
    seven days and the last of them both, so that nobody is told of what is over.
    """
    enough_day = (spending.day_events >= objective.min_events) & (spending.day_events > 0)
    enough_week = (spending.week_events >= objective.min_events) & (spending.day_events > 0)
    fast = enough_day & _over(spending.day_burn, objective.page_limit)
    page = fast & objective.pages
    slow = _over(spending.week_burn, objective.ticket_limit) & _over(
        spending.day_burn, objective.ticket_limit
    )
    ticket = fast | (enough_week & slow)
    return np.select([page, ticket, enough_week], ["page", "ticket", "none"], "undecided")


def kept(spending: Spending, objective: Objective) -> Words:
    """Verdict on the target over the period, by day."""
    enough = (spending.events >= objective.min_events) & (spending.events > 0)
    good = np.where(_over(spending.bad, spending.budget), str(Verdict.FAIL), str(Verdict.PASS))
    return np.where(enough, good, str(Verdict.UNDECIDED))


def _over(values: Floats, limit: float | Floats) -> Flags:
    """Whether values are beyond a limit by more than rounding: at the limit the budget is just spent."""
    return np.asarray(values > np.asarray(limit) * (1 + 1e-9) + 1e-12)


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
