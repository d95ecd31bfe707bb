"""The report reads what it shows and no more, and shows what is there."""

import pytest

from mlobs_pipelines.contracts.folder import load_models
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.destinations.html import render_report
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.steps.tell import operations, report_rows
from mlobs_pipelines.store.metric_store import ANY, MetricStore
from mlobs_pipelines.store.tables import METRICS as STORED
from tests.cli.stored import DAYS, MODEL, environment, fill
from tests.destinations.season import AS_OF, facts
from tests.test_readme import ROOT


@pytest.fixture
def walk(tmp_path, monkeypatch):
    """A walk over a small lake."""
    from mlobs_pipelines.defs.resources import Site  # noqa: PLC0415 - Dagster is slow to import

    fill(tmp_path / "lake")
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    spec = load_models(ROOT / "data_contracts", METRICS)[MODEL]
    return Site(Settings()).walk(spec, "a test", AS_OF)


def test_the_page_is_that_of_all_rows(walk):
    """Rows that are not read would have changed nothing; each is read once."""
    read = report_rows(walk)
    stored = MetricStore(walk.lake).query(MODEL, maturities=[ANY])
    assert read.group_by(list(STORED.sort_by)).aggregate([]).num_rows == read.num_rows < stored.num_rows
    told = operations(walk)
    assert (len(told.budgets), len(told.incidents)) == (2 * DAYS, 2)
    page = render_report(facts(DAYS), read, told)
    assert page == render_report(facts(DAYS), stored, told)
    assert "flight_delays-20130301-a" in page
