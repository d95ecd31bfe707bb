"""What a landing zone is asked to hold: days, share of the flights, incidents, seed.

Only the request and its refusal live here; nothing is built.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from mlobs_pipelines.demo.incidents import INCIDENTS

FIRST_DAY = date(2013, 3, 1)
LAST_DAY = date(2013, 12, 31)


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Which part of the year lands, and what goes wrong in it.

    Attributes
    ----------
    start, end
        First and last UTC day of predictions, both included.
    share
        Share of the flights that are served, chosen by a hash of the prediction id. Features and models
        always come from all flights.
    incidents
        Names of `INCIDENTS`; empty for the real data alone. An incident outside the days does nothing.
    seed
        Key of every random draw.

    Raises
    ------
    ValueError
        For days, a share or an incident that the demo does not have.
    """

    start: date = date(2013, 3, 1)
    end: date = date(2013, 7, 31)
    share: float = 0.2
    incidents: frozenset[str] = frozenset()
    seed: int = 20130101

    def __post_init__(self) -> None:
        if not FIRST_DAY <= self.start <= self.end <= LAST_DAY:
            raise ValueError(
                f"the demo serves {FIRST_DAY} to {LAST_DAY}: choose a start and an end in that range, "
                f"start first (asked for {self.start} to {self.end})"
            )
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1 (asked for {self.share})")
        unknown = sorted(set(self.incidents) - set(INCIDENTS))
        if unknown:
            raise ValueError(f"unknown incident {', '.join(unknown)}: choose among {', '.join(INCIDENTS)}")

    @property
    def days(self) -> list[date]:
        """Every day of the plan, in order."""
        return [self.start + timedelta(days=i) for i in range((self.end - self.start).days + 1)]
