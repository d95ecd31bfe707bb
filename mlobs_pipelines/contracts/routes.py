"""Who is told of incidents: the routes of a monitor's `incidents`, from severity and segment to a channel.

Addresses and their secrets belong to an installation, not to a contract: a route names a channel.
"""

import re
from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, model_validator

from mlobs_pipelines.contracts.durations import Duration
from mlobs_pipelines.contracts.sections import Name, Section, Text, Timezone, VersionName, distinct

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def _clock(value: object) -> object:
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, time):
        return value
    if found is None:
        raise ValueError('not a time of day; write it in quotes, as in "22:00"')
    return time(int(found[1]), int(found[2]))


Clock = Annotated[time, BeforeValidator(_clock)]
Severity = Literal["critical", "ticket"]


class Quiet(Section):
    """Hours in which a route keeps still; what is due then is told after them.

    Attributes
    ----------
    start, end
        Times of day, written `from` and `to`; across midnight where the end is the earlier one.
    timezone
        The zone they are read in.
    """

    start: Annotated[Clock, Field(alias="from")]
    end: Annotated[Clock, Field(alias="to")]
    timezone: Timezone = "UTC"

    @model_validator(mode="after")
    def _some_hours(self) -> Self:
        if self.start == self.end:
            raise ValueError("quiet hours end when they begin; write two times, or leave them out")
        return self

    def at(self, moment: datetime) -> bool:
        """Whether a moment lies in them."""
        clock = moment.astimezone(ZoneInfo(self.timezone)).time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


class Rate(Section):
    """How many messages a route sends within a length of time; further ones wait.

    Attributes
    ----------
    messages, per
        At most so many in any stretch of this length.
    """

    messages: Annotated[StrictInt, Field(ge=1)]
    per: Duration = timedelta(hours=1)


class Route(Section):
    """Which incidents a channel is told of, and when.

    Attributes
    ----------
    channel
        Name of a channel of the installation.
    severities
        Severities it is told of.
    versions
        Model versions; None for all.
    segments
        Segment values, such as ``origin=EWR``: only incidents with a signal of one of them; None for all.
    resolved
        Whether it is told of the end, too.
    quiet, at_most
        When it keeps still, and how much it sends.
    """

    channel: Name
    severities: Annotated[tuple[Severity, ...], Field(min_length=1), AfterValidator(distinct)] = (
        "critical",
        "ticket",
    )
    versions: Annotated[tuple[VersionName, ...], Field(min_length=1), AfterValidator(distinct)] | None = None
    segments: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(distinct)] | None = None
    resolved: bool = True
    quiet: Quiet | None = None
    at_most: Rate | None = None
