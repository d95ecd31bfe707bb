"""The year as it was, before any plan: flights with features, label feed, views and the trained versions.

It depends on the seed alone, so one history serves any number of landing zones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from mlobs_pipelines.demo.draws import uniforms
from mlobs_pipelines.demo.features import with_features
from mlobs_pipelines.demo.flights import load_flights, require
from mlobs_pipelines.demo.labels import label_feed
from mlobs_pipelines.demo.training import VERSIONS, Trained, train
from mlobs_pipelines.demo.views import build_views

Progress = Callable[[str, int, int], None]
STAGES = 3 + len(VERSIONS)


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happened in 2013.

    Attributes
    ----------
    flights
        One row per flight, ordered by ``predicted_at``: clocks, outcome, features, uniform draws.
    labels
        The undisturbed label feed.
    views
        Published rows per feature view.
    models
        The trained versions, in order.
    """

    flights: pl.DataFrame
    labels: pl.DataFrame
    views: dict[str, pl.DataFrame]
    models: tuple[Trained, ...]


def build_history(seed: int, progress: Progress) -> History:
    """Build the year; `progress` is called with a stage's name, stages done and stages in all.

    Raises
    ------
    mlobs_pipelines.demo.flights.DemoDataMissingError
        When a package that the demo needs is not installed.
    """
    require("sklearn")
    progress("read flights", 0, STAGES)
    flights = load_flights()
    draws = uniforms(flights["prediction_id"], seed)
    progress("compute features", 1, STAGES)
    labels = label_feed(flights, draws)
    views = build_views(flights, labels)
    featured = with_features(flights, views)
    models = []
    for done, version in enumerate(VERSIONS, start=2):
        progress(f"train {version.name}", done, STAGES)
        models.append(train(version, featured, labels))
    return History(featured.hstack(draws), labels, views, tuple(models))
