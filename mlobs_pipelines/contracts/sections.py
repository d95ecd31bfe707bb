"""The pieces that `monitor.yaml` is made of: what a name, a number, a day may be, and a section of keys.

Which keys there are is the business of `monitor` and `objectives`.
"""

import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from mlobs_pipelines.contracts.problems import suggestion

Role = Literal["champion", "shadow", "canary"]
_INSTANT = "an instant with its zone, as in 2014-02-01T00:00:00Z"
_PER_FEATURE = re.compile(r"[A-Za-z0-9_]*\{feature\}[A-Za-z0-9_]*")
_OWNER = re.compile(r"team:.+|[^@\s]+@[^@\s]+\.[^@\s]+")


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number; write it without quotes")  # noqa: TRY004 - pydantic reports ValueError
    return value


def _day(value: object) -> object:
    return value if isinstance(value, date) else _iso(value, date.fromisoformat, "a day, as in 2013-03-01")


def _instant(value: object) -> object:
    return value if isinstance(value, datetime) else _iso(value, datetime.fromisoformat, _INSTANT)


def _iso(value: object, parse: Callable[[str], object], wanted: str) -> object:
    """Parse ISO text only: pydantic would take a number for seconds since 1970."""
    try:
        return parse(value) if isinstance(value, str) else parse("")
    except ValueError:
        raise ValueError(f"{value!r} is no ISO 8601 time; write {wanted}") from None


def _owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise ValueError(f"{value!r} is no owner; write an e-mail address or team:<name>")
    return value


def _timezone(value: str) -> str:
    if value not in _timezones():
        raise ValueError(f"{value!r} is no time zone; {suggestion(value, _timezones())}")
    return value


@cache
def _timezones() -> set[str]:
    """Return all time zones; every file of the database is opened for that, so it is done once."""
    return available_timezones()


def _template(value: str) -> str:
    if set("{}") & set(value.replace("{landing}", "", 1)):
        raise ValueError(f"{value!r} has a placeholder that is unknown; valid: {{landing}}")
    return value


def _per_feature(value: str) -> str:
    if not _PER_FEATURE.fullmatch(value) or value == "{feature}":
        raise ValueError(f"{value!r} names no column for each feature; write it as in shap_{{feature}}")
    return value


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that holds a value twice."""
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"written twice: {', '.join(twice)}; write each once")
    return values


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
VersionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=63)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Share = Annotated[Number, Field(gt=0, lt=1)]
Rate = Annotated[Number, Field(gt=0, le=1)]
Category = StrictStr | StrictInt | StrictBool
Day = Annotated[date, BeforeValidator(_day)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
Owner = Annotated[str, AfterValidator(_owner)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Words = Annotated[tuple[Text, ...], AfterValidator(distinct)]
Columns = Annotated[tuple[ColumnName, ...], AfterValidator(distinct)]
PerFeature = Annotated[str, AfterValidator(_per_feature)]
Template = Annotated[str, StringConstraints(min_length=1), AfterValidator(_template)]


class Section(BaseModel):
    """A frozen piece of a monitor that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
