"""The loan model's rows, landing zone and scored lake, made once for all tests of the steps."""

import pytest

from tests.steps import late, loans
from tests.steps.journey import go


@pytest.fixture(scope="session")
def rows():
    """Every row that is delivered, as drawn."""
    return loans.draw()


@pytest.fixture(scope="session")
def landing(rows, tmp_path_factory):
    """The landing zone of `rows`; not to be changed by a test."""
    place = tmp_path_factory.mktemp("loans") / "landing"
    loans.deliver(rows, place)
    return place


@pytest.fixture(scope="session")
def scored(landing, tmp_path_factory):
    """A walk whose lake holds everything, run as one range."""
    walk = loans.walk_of(tmp_path_factory.mktemp("scored"), landing)
    go(walk)
    return walk


@pytest.fixture(scope="session")
def unlabelled(tmp_path_factory):
    """A walk whose small lake has everything but labels; not to be changed by a test."""
    return late.unlabelled_lake(tmp_path_factory.mktemp("unlabelled"), late.FEW)
