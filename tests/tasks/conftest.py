"""Both models walked through all steps once, with the rows that were drawn for them."""

import pytest

from mlobs_pipelines.store.metric_store import MetricStore
from tests.tasks import models


class Walked:
    """A model whose history was walked: its rows, the walk and every metric row by what it is about."""

    def __init__(self, model, home):
        self.rows = models.draw(model)
        models.deliver(model, self.rows, home / "landing")
        self.walk = models.walk_of(model, home, home / "landing")
        models.go(self.walk)
        keys = ("model_version", "segment", "segment_value", "window", "window_start", "feature", "metric")
        found = MetricStore(self.walk.lake).query(model).to_pylist()
        self.stored = {tuple(row[key] for key in keys): row for row in found}
        self.raw = models.joined(self.rows)

    def part(self, case):
        """Raw scored rows of a version, segment and window."""
        version, (segment, value), (_, start, end) = case
        day = models.pl.col("predicted_at").dt.date()
        rows = self.raw.filter(models.pl.col("model_version") == version, day >= start, day < end)
        rows = rows.filter(models.pl.col("status") == "ok")
        return rows.filter(models.pl.col(segment) == value) if segment else rows

    def read(self, case, metric, feature=""):
        """One row of the store."""
        version, segment, (window, start, _) = case
        return self.stored[(version, *segment, window, start, feature, metric)]


@pytest.fixture(scope="session")
def iris(tmp_path_factory):
    """The multiclass model."""
    return Walked("iris_species", tmp_path_factory.mktemp("iris"))


@pytest.fixture(scope="session")
def wine(tmp_path_factory):
    """The regression model."""
    return Walked("wine_quality", tmp_path_factory.mktemp("wine"))
