"""Suspects of an incident in the order to look at them: how unusual, large and timely, how far upstream.

Arithmetic on what was found out about each; where evidence comes from is not known here. Why the order is
what it is: docs/incidents.md.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from mlobs_pipelines.core.incidents import Incident

EVERYTHING = "everything"  # the subject of what may lead to any failure: another version, say
HALF_LIFE_DAYS = 7
SLACK_DAYS = 1  # days are UTC days: what begins at the end of one may show on the next
LEAST_SCORE = 0.05
EXPLAINED = 0.5
CERTAIN = 1e-4


@dataclass(frozen=True, slots=True)
class Suspect:
    """One thing that changed, and how it did.

    Attributes
    ----------
    kind
        delivery, schema, release, operations, labels, skew, drift, score, segment, relation or outcomes.
    what
        In words.
    tier, subject, follows
        As of a `Signal`.
    begin, end
        Its first day and its last; the end is None where it still is so on the last day that was looked at.
    surprise
        How unusual it is beside its own history, from 0 to 1; see `surprise`.
    extent
        Its size as a share of what counts as large, from 0 to 1.
    weight
        How much it can matter to what failed, from 0 to 1: the importance of a feature.
    asset
        The asset to open, at its first day.
    told
        Evidence that plain JSON can hold.
    """

    kind: str
    what: str
    tier: int
    subject: str
    begin: date
    end: date | None
    surprise: float
    extent: float
    asset: str
    follows: frozenset[str] = frozenset()
    weight: float = 1.0
    told: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """What is to be explained.

    Attributes
    ----------
    first, last
        Between which days it began; one day where its daily series tells.
    members
        Tier, subject and what each of its signals may follow from.
    """

    first: date
    last: date
    members: frozenset[tuple[int, str, frozenset[str]]]

    @classmethod
    def of(cls, incident: Incident, first: date, last: date) -> "Effect":
        """That of an incident which began between two days."""
        signals = (one.signal for one in incident.members)
        return cls(first, last, frozenset((one.tier, one.subject, one.follows) for one in signals))

    def may_follow(self, suspect: Suspect) -> bool:
        """Whether something of it is what the suspect is about, or may follow from that."""
        names = {suspect.subject, suspect.subject.partition(":")[0]}
        return suspect.subject == EVERYTHING or any(
            (subject == suspect.subject and suspect.tier <= tier) or (names & follows)
            for tier, subject, follows in self.members
        )


@dataclass(frozen=True, slots=True)
class Ranked:
    """A suspect in its place.

    Attributes
    ----------
    timing
        1 for what begins with the effect, halved for every week before it.
    score
        From 0 to 1: surprise x extent x weight x timing, half of it for what may follow from another.
    behind
        What that other one is, in words; "" where nothing explains it.
    """

    suspect: Suspect
    timing: float
    score: float
    behind: str = ""


def surprise(p: float) -> float:
    """How unusual it is, from 0 for what chance often shows to 1 for what it shows once in 10,000 times.

    Parameters
    ----------
    p
        Bound on the probability that chance shows as much in any of the series that were looked at.

    Examples
    --------
    >>> [round(surprise(p), 2) for p in (1.0, 0.05, 0.001, 1e-12)]
    [0.0, 0.33, 0.75, 1.0]
    """
    return 1.0 if p <= CERTAIN else abs(math.log10(min(p, 1.0)) / math.log10(CERTAIN))


def timing(begin: date, end: date | None, effect: Effect) -> float:
    """How well days fit an effect: 0 after it, 1 with it, a half a week before, a quarter two before.

    What was over before the effect began loses a half with every day in between.

    Examples
    --------
    >>> effect = Effect(date(2024, 3, 10), date(2024, 3, 10), frozenset())
    >>> [round(timing(date(2024, 3, day), None, effect), 2) for day in (2, 9, 10, 11, 12)]
    [0.5, 1.0, 1.0, 1.0, 0.0]
    """
    if begin > effect.last + timedelta(days=SLACK_DAYS):
        return 0.0
    soon = effect.first - timedelta(days=SLACK_DAYS)
    early, over = (max(0, (soon - day).days) for day in (begin, end or soon))
    return float(2.0 ** (-early / HALF_LIFE_DAYS - over))


def ranked(suspects: Iterable[Suspect], effect: Effect, most: int = 8) -> list[Ranked]:
    """Put suspects in order, the likeliest first.

    Parameters
    ----------
    most
        How many to return at most.

    Returns
    -------
    list of Ranked
        None that begins after the effect, cannot lead to it, or scores less than `LEAST_SCORE`.
    """
    scored = [_scored(one, effect) for one in suspects if effect.may_follow(one)]
    found = [_explained(one, scored) for one in scored]
    kept = [one for one in found if one.score >= LEAST_SCORE]
    return sorted(kept, key=_order)[:most]


def _scored(suspect: Suspect, effect: Effect) -> Ranked:
    when = timing(suspect.begin, suspect.end, effect)
    return Ranked(suspect, when, suspect.surprise * suspect.extent * suspect.weight * when)


def _explained(one: Ranked, scored: Sequence[Ranked]) -> Ranked:
    """The same behind the likeliest of what it may follow from: that stands upstream and began no later."""
    mine = one.suspect
    upstream = [
        other
        for other in scored
        if other.suspect.tier < mine.tier
        and {other.suspect.subject, other.suspect.subject.partition(":")[0]} & {*mine.follows, EVERYTHING}
        and other.suspect.begin <= mine.begin + timedelta(days=SLACK_DAYS)
        and other.score >= EXPLAINED * one.score
    ]
    if not upstream:
        return one
    leader = min(upstream, key=_order)
    return replace(one, score=EXPLAINED * one.score, behind=leader.suspect.what)


def _order(one: Ranked) -> tuple[float, int, date, str]:
    return -round(one.score, 9), one.suspect.tier, one.suspect.begin, one.suspect.what
