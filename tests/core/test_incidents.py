"""Incidents as a fold over days: what is one, when it ends, and what people's actions do."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core.incidents import Action, Recovery, Signal, State, advance

FIRST = date(2024, 1, 1)
SKEW = {"tier": 3, "subject": "view:weather", "follows": frozenset({"predictions"}), "days": 7}
DRIFT = {"tier": 4, "subject": "view:weather", "follows": frozenset({"predictions", "view:weather"})}
QUALITY = {"tier": 6, "subject": "quality", "follows": frozenset({"predictions", "view", "feature"})}
KINDS = {
    "file": ("predictions: missing", {"tier": 0, "subject": "predictions", "critical": True}),
    "skew": ("skew of weather", SKEW),
    "other": ("skew of planes", SKEW | {"subject": "view:planes"}),
    "drift": ("drift of weather", DRIFT),
    "auc": ("quality of v1", QUALITY | {"version": "v1", "days": 28}),
    "auc2": ("quality of v2", QUALITY | {"version": "v2", "days": 28}),
}


def day(number):
    """The day of a number."""
    return FIRST + timedelta(days=number)


def signal(name, *, failed):
    """What one of the kinds says."""
    cause, more = KINDS[name]
    return Signal(key=name, cause=cause, check=f"metrics/{name}", failed=failed, **more)


def fold(*days, actions=(), before=(), start=0, recovery=None):
    """Incidents by day, of days given as the names of what fails; every kind says something each day."""
    found, kept = [], list(before)
    for number, failing in enumerate(days, start):
        said = [signal(name, failed=name in failing) for name in KINDS]
        kept = advance("m", kept, day(number), said, actions, recovery or Recovery())
        found.append(kept)
    return found


def live(incidents):
    """Those that are not resolved."""
    return [one for one in incidents if one.resolved is None]


def test_one_failure_is_one_incident_from_its_first_day_to_its_recovery():
    """It opens on the first failure, and ends on the third window in a row that passes."""
    found = fold(["skew"], ["skew"], [], [], ["skew"], [], [], [], [])
    assert [len(live(one)) for one in found] == [1, 1, 1, 1, 1, 1, 1, 0, 0]
    (incident,) = found[-1]
    assert (incident.opened, incident.resolved) == (day(0), day(7))
    assert (incident.members[0].failures, incident.members[0].last) == (3, day(4))


def test_what_comes_back_soon_is_the_same_incident():
    """A failure within a week of the end opens it again; a later one is another incident."""
    soon = fold(["skew"], [], [], [], [], ["skew"])[-1]
    assert [(one.opened, one.resolved, one.reopened) for one in soon] == [(day(0), None, 1)]
    late = fold(["skew"], *[[]] * 12, ["skew"])[-1]
    assert [(one.opened, one.reopened) for one in late] == [(day(13), 0)]


def test_symptoms_belong_to_what_is_upstream():
    """Drift and quality that fail after a skew of the same view are the skew's incident, by any version."""
    (incident,) = fold(["skew"], ["skew", "drift"], ["drift", "auc", "auc2"])[-1]
    assert incident.root.signal.key == "skew"
    assert [one.signal.key for one in incident.members] == ["skew", "drift", "auc", "auc2"]
    assert incident.versions == ("v1", "v2")


def test_a_cause_that_shows_days_later_leads_the_incident_it_explains():
    """What is upstream and takes days to show joins under the id that is known, and becomes its cause."""
    before, after = fold(["auc"], ["auc", "skew"])
    assert [one.id for one in before] == [one.id for one in after]
    assert after[0].root.signal.key == "skew"
    assert len(fold(["auc"], ["auc", "file"])[-1]) == 2  # a file of today explains nothing of yesterday


def test_two_causes_are_two_incidents():
    """Skews of two views are two; a symptom goes to the one that was opened last."""
    first, second = fold(["skew"], ["skew"], ["skew", "other"], ["skew", "other", "auc"])[-1]
    assert [one.signal.key for one in first.members] == ["skew"]
    assert [one.signal.key for one in second.members] == ["other", "auc"]


def test_what_failed_long_before_is_not_explained_by_what_came_later():
    """A quality incident of weeks keeps its own when a skew begins."""
    found = fold(*[["auc"]] * 10, ["auc", "skew"])[-1]
    assert [one.root.signal.key for one in found] == ["auc", "skew"]


def test_other_versions_are_not_drawn_in():
    """Quality of one version is no symptom of another version's."""
    assert len(fold(["auc"], ["auc", "auc2"])[-1]) == 2


def test_undecided_is_neither_failure_nor_recovery():
    """Days that say nothing do not end an incident, until they are four weeks."""
    kept = advance("m", [], day(0), [signal("skew", failed=True)])
    for number in range(1, 40):
        kept = advance("m", kept, day(number), [signal("skew", failed=None)])
        assert bool(live(kept)) == (number < 28)


def test_people_acknowledge_mute_and_resolve():
    """Each action holds from its day on; what fails again after a person resolved it comes back open."""
    (one,) = fold(["skew"])[0]
    acted = [Action(one.id, "skew of weather", day(1), "ack", "ann")]
    acted += [Action(one.id, "skew of weather", day(2), "mute", "bob", "known", day(4))]
    acted += [Action(one.id, "skew of weather", day(5), "resolve", "ann", "fixed")]
    states = [one[0].state(day(n)) for n, one in enumerate(fold(*[["skew"]] * 7, actions=acted))]
    assert states == [State.OPEN, "acknowledged", "muted", "muted", "acknowledged", "resolved", "open"]


def test_an_action_finds_its_incident_though_its_first_day_moved():
    """Labels that come in later may move the first day, and so the id; the cause still names it."""
    action = Action("m-20240103-000000", "skew of weather", day(2), "ack", "ann")
    assert fold(["skew"], ["skew"], ["skew"], actions=[action])[-1][0].acknowledged


DAYS = st.lists(st.lists(st.sampled_from(sorted(KINDS)), unique=True, max_size=3), min_size=2, max_size=25)


@settings(max_examples=40, deadline=None)
@given(DAYS, st.integers(1, 24))
def test_stopping_and_going_on_changes_nothing(days, cut):
    """A fold from the state of any day gives what one fold over all days gives."""
    whole = fold(*days)
    cut = min(cut, len(days) - 1)
    assert fold(*days[cut:], before=whole[cut - 1], start=cut) == whole[cut:]


@settings(max_examples=40, deadline=None)
@given(DAYS)
def test_every_failure_is_in_exactly_one_incident(days):
    """No failing signal is without an incident or in two, ids are unique, and ends lie after beginnings."""
    for number, found in enumerate(fold(*days)):
        keys = [one.signal.key for incident in found for one in incident.members]
        assert sorted(set(keys)) == sorted(keys)
        failing = {one.signal.key for incident in live(found) for one in incident.failing(day(number))}
        assert failing == set(days[number])
        assert len({one.id for one in found}) == len(found)
        assert all(one.resolved is None or one.resolved > one.opened for one in found)
