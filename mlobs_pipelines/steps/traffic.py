"""Days on which a candidate ran beside the champion, and the stored statistics of both on those days.

What is made of them is `rivals`; no row of a prediction is read here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.summaries import LabelSummary
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT
from mlobs_pipelines.steps.lineup import labels_of
from mlobs_pipelines.steps.stored import known_days, statistics_between
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.steps.windows import Counts
from mlobs_pipelines.store.tables import as_of_key

CHAMPION = "champion"
TRIED = ("shadow", "canary")
Roles = Mapping[date, Mapping[str, frozenset[str]]]  # by day and version


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions on the days that are judged.

    Attributes
    ----------
    counts
        Its statistics, as one window.
    labels
        How far its labels have come.
    """

    name: str
    counts: Counts
    labels: LabelSummary


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the candidate and the champion did beside each other.

    Attributes
    ----------
    days
        Days on which both ran, ascending; none where they never did.
    roles
        Roles of the candidate on these days.
    inputs
        Content hash of each day's statistics.
    sides
        Candidate and champion; None where there is no day.
    """

    candidate: str
    champion: str
    days: tuple[date, ...]
    roles: tuple[str, ...]
    inputs: Mapping[date, str]
    sides: tuple[Side, Side] | None


def roles_by_day(walk: Walk) -> Roles:
    """Roles of every version by day, as known to the run."""
    if not walk.lake.exists(walk.model, STATISTICS_LAYOUT.name):
        return {}
    known = {day.isoformat(): as_of_key(moment) for day, moment in known_days(walk).items()}
    one = (pc.field("part") == "status") & (pc.field("segment") == "")
    columns = ["day", "as_of_key", "model_version", "role"]
    rows = walk.lake.dataset(walk.model, STATISTICS_LAYOUT).to_table(columns=columns, filter=one)
    found: dict[date, dict[str, frozenset[str]]] = {}
    for day, key, version, role in zip(*(rows.column(name).to_pylist() for name in columns), strict=True):
        if known.get(day) == key:
            mine = found.setdefault(date.fromisoformat(day), {})
            mine[version] = mine.get(version, frozenset()) | {role}
    return found


def champion_beside(roles: Roles, candidate: str) -> str | None:
    """The version that was the champion on the last day on which the candidate was tried beside it."""
    for day in sorted(roles, reverse=True):
        leading = _holding(roles[day], CHAMPION, candidate)
        if leading and not roles[day].get(candidate, frozenset()).isdisjoint(TRIED):
            return leading[0]
    return None


def champion_now(roles: Roles) -> str | None:
    """The version that was the champion on the last day that has one."""
    leading = (_holding(roles[day], CHAMPION) for day in sorted(roles, reverse=True))
    return next((names[0] for names in leading if names), None)


def _holding(versions: Mapping[str, frozenset[str]], role: str, other_than: str = "") -> list[str]:
    return sorted(name for name, held in versions.items() if role in held and name != other_than)


def days_beside(roles: Roles, candidate: str, champion: str) -> list[date]:
    """Days on which the candidate was tried beside the champion, ascending."""
    return sorted(
        day
        for day, held in roles.items()
        if CHAMPION in held.get(champion, frozenset())
        and not held.get(candidate, frozenset()).isdisjoint(TRIED)
    )


def traffic(walk: Walk, roles: Roles, names: tuple[str, str], days: Sequence[date]) -> Traffic:
    """Gather what two versions did on some days, from stored statistics.

    Parameters
    ----------
    names
        Candidate and champion.
    days
        Of those of `days_beside`, ascending.
    """
    candidate, champion = names
    held = {role for day in days for role in roles[day][candidate] if role in TRIED}
    if not days:
        return Traffic(*names, (), (), {}, None)
    rows, hashes = statistics_between(walk, days[0], days[-1])
    inside = rows.filter(pc.is_in(rows.column("day"), pa.array([day.isoformat() for day in days])))
    span = Span(Window.FOUR_WEEKS, days[0], days[-1] + timedelta(days=1))
    sides = (
        _side(walk.spec, candidate, inside, TRIED, span),
        _side(walk.spec, champion, inside, (CHAMPION,), span),
    )
    inputs = {day: hashes[day] for day in days}
    return Traffic(candidate, champion, tuple(days), tuple(sorted(held)), inputs, sides)


def _side(spec: ModelSpec, name: str, rows: pa.Table, roles: Collection[str], span: Span) -> Side:
    held = pc.is_in(rows.column("role"), pa.array(sorted(roles)))
    mine = rows.filter(pc.and_(held, pc.equal(rows.column("model_version"), name)))
    counts = arranged(mine, [span])
    return Side(name, counts, labels_of(spec, counts))
