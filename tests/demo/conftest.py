"""Landing zones written from the session's history."""

from datetime import date

import pytest

from mlobs_pipelines.demo import DemoPlan
from mlobs_pipelines.demo.landing import write_landing


@pytest.fixture(scope="session")
def june():
    """Give a plan of ten days in June with both versions serving and no incident."""
    return DemoPlan(start=date(2013, 6, 8), end=date(2013, 6, 17), share=0.05)


@pytest.fixture(scope="session")
def zone(history, june, tmp_path_factory):
    """Give the folder of the landing zone of `june`."""
    root = tmp_path_factory.mktemp("demo") / "flight_delays"
    write_landing(june, history, root)
    return root
