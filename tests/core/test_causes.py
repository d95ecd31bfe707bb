"""The order of suspects: what is unusual, large, timely and upstream comes first."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core.causes import EVERYTHING, Effect, Suspect, ranked, surprise, timing

BEGAN = date(2024, 3, 10)
QUALITY = (6, "quality", frozenset({"predictions", "labels", "view", "feature", "scores"}))
EFFECT = Effect(BEGAN, BEGAN, frozenset({QUALITY}))


def suspect(what, tier=4, subject="view:weather", days=0, **more):
    """Something that changed so many days after the effect began."""
    begin = BEGAN + timedelta(days=days)
    plain = {"kind": "drift", "end": None, "surprise": 1.0, "extent": 1.0, "asset": "metrics"}
    return Suspect(what=what, tier=tier, subject=subject, begin=begin, **{**plain, **more})


def order(*suspects, effect=EFFECT):
    """Suspects in their order, in words."""
    return [one.suspect.what for one in ranked(suspects, effect)]


def test_size_surprise_importance_and_time_all_count():
    """Half of any of the four puts a suspect behind one that has all, and a week is half of the time."""
    halves = [{"surprise": 0.5}, {"extent": 0.5}, {"weight": 0.5}, {"days": -8}]
    found = ranked([suspect("all"), *(suspect(str(one), **one) for one in halves)], EFFECT)
    assert found[0].suspect.what == "all"
    assert [one.score for one in found] == [1.0, 0.5, 0.5, 0.5, 0.5]


def test_what_begins_later_or_leads_elsewhere_is_no_suspect():
    """A cause begins no later than its effect, and must be able to lead to it."""
    late, elsewhere = suspect("late", days=2), suspect("queue", 2, "requests")
    assert order(suspect("next day", days=1), late, elsewhere) == ["next day"]
    operations = Effect(BEGAN, BEGAN, frozenset({(2, "requests", frozenset({"predictions"}))}))
    assert order(late, elsewhere, suspect("drift"), effect=operations) == ["queue"]


def test_a_downstream_suspect_stands_behind_what_explains_it():
    """Drift that may follow from a strong skew counts half and names it; a weak skew explains little."""
    follows = frozenset({"predictions", "view:weather"})
    drift = suspect("drift", follows=follows)
    skew = suspect("skew", 3, extent=0.8)
    found = ranked([drift, skew], EFFECT)
    assert [(one.suspect.what, one.behind, one.score) for one in found] == [
        ("skew", "", 0.8),
        ("drift", "skew", 0.5),
    ]
    assert order(drift, suspect("skew", 3, extent=0.4)) == ["drift", "skew"]
    assert order(drift, suspect("skew", 3, subject="view:planes")) == ["skew", "drift"]
    release = suspect("release", 1, EVERYTHING, extent=0.75)
    assert order(drift, release) == ["release", "drift"]


def test_what_was_over_before_counts_little():
    """A fault of one day, days before the effect, halves with every day in between."""
    over = suspect("over", days=-4, end=BEGAN - timedelta(days=4))
    assert ranked([over], EFFECT)[0].score < 0.1
    assert timing(over.begin, None, EFFECT) > 0.6


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(6)), st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_the_order_does_not_depend_on_the_order_of_finding(places, sizes):
    """The same suspects are in the same order however they come, by falling score."""
    suspects = [suspect(str(at), tier=at % 3 + 3, extent=size) for at, size in enumerate(sizes)]
    found = ranked(suspects, EFFECT)
    assert found == ranked([suspects[at] for at in places], EFFECT)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize(("p", "told"), [(1.0, 0.0), (0.01, 0.5), (1e-4, 1.0), (0.0, 1.0)])
def test_surprise_is_the_order_of_magnitude_of_chance(p, told):
    """Nothing for what chance often shows, all from once in 10,000 times on."""
    assert surprise(p) == pytest.approx(told)
