"""The served features: the point-in-time values of the views, beside what the request itself carries.

One rule for training and serving: the entity's latest row observed in ``(t - ttl, t]`` and available by t.
"""

import polars as pl

from mlobs_pipelines.demo.flights import REQUEST_FEATURES
from mlobs_pipelines.demo.views import VIEWS, View

CATEGORICAL = ("carrier", "origin", "dest")
NUMERIC = (*(name for view in VIEWS.values() for name in view.features), *REQUEST_FEATURES)
FEATURES = (*CATEGORICAL, *NUMERIC)


def with_features(flights: pl.DataFrame, views: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Add the value of every view's features as it could be known at ``predicted_at``.

    Parameters
    ----------
    flights
        Ordered by ``predicted_at``.
    views
        Per name in `VIEWS`, its published rows.

    Returns
    -------
    pl.DataFrame
        `flights` with a Float64 column per view feature, null where nothing usable was known.
    """
    for name, view in VIEWS.items():
        flights = _as_of(flights, views[name], view)
    return flights


def _as_of(flights: pl.DataFrame, rows: pl.DataFrame, view: View) -> pl.DataFrame:
    # A view publishes with a constant delay, so its latest available row is also its latest observed one.
    joined = flights.join_asof(
        rows.sort("available_at"),
        left_on="predicted_at",
        right_on="available_at",
        by=view.entity,
        check_sortedness=False,  # both sides are sorted above; the check cannot look inside groups
    )
    usable = pl.col("observed_at") > pl.col("predicted_at") - view.ttl
    values = [pl.when(usable).then(feature).alias(feature) for feature in view.features]
    return joined.with_columns(values).drop("observed_at", "available_at")
