"""The two versions of the model: what each learnt from, when it was cut, and how it scores.

scikit-learn is imported only when a version is trained. Who serves when lives in serving.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from mlobs_pipelines.core.vocabulary import Floats
from mlobs_pipelines.demo.features import CATEGORICAL, FEATURES
from mlobs_pipelines.demo.flights import require

THRESHOLD = 0.5
FEATURE_SET_VERSION = "flights-features-1"
IMPORTANCE_ROWS = 5_000
HELD_OUT = timedelta(days=28)
SEED = 2013
SCORE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Version:
    """A model version before it is trained.

    Attributes
    ----------
    name
        ``model_version`` in every file.
    training_dataset_id
        Names the rows it learnt from.
    cut_at
        It learns from every flight since 1 January predicted before this instant whose label had arrived
        before it.
    make
        Builds the untrained scikit-learn estimator.
    """

    name: str
    training_dataset_id: str
    cut_at: datetime
    make: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained version with its baseline.

    Attributes
    ----------
    version
        What was trained.
    estimator
        The fitted scikit-learn estimator, on columns as `encode` gives them.
    categories
        Per categorical feature, the values seen in training; others count as missing.
    rows
        The training set: ``prediction_id``, ``predicted_at``, features, ``score`` and ``label``. The scores
        are in-sample: the version's opinion of the rows that it learnt from.
    importance
        Per feature, the loss of AUC when it is permuted, never below 0. Measured by a rehearsal: the same
        estimator learns without the last four weeks and is judged on them.
    """

    version: Version
    estimator: Any
    categories: dict[str, tuple[str, ...]]
    rows: pl.DataFrame
    importance: dict[str, float]

    def score(self, rows: pl.DataFrame) -> pl.Series:
        """Probability that each flight is late, rounded to six digits."""
        if rows.is_empty():  # before its first day a version is asked nothing, and scikit-learn refuses that
            return pl.Series("score", [], dtype=pl.Float64)
        return _scores(self.estimator, encode(rows, self.categories))

    def facts(self) -> dict[str, object]:
        """What the registry says of the version, ready for JSON."""
        return {
            "training_dataset_id": self.version.training_dataset_id,
            "feature_set_version": FEATURE_SET_VERSION,
            "rows": self.rows.height,
            "cut_at": self.version.cut_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "importance": self.importance,
            "threshold": THRESHOLD,
        }


def encode(rows: pl.DataFrame, categories: dict[str, tuple[str, ...]]) -> Floats:
    """Turn features into numbers, in the order of `FEATURES`; missing and unseen values are NaN."""
    codes = [_codes(name, categories[name]) for name in CATEGORICAL]
    numeric = [name for name in FEATURES if name not in CATEGORICAL]
    return rows.select(*codes, *numeric).fill_null(np.nan).to_numpy()


def _codes(name: str, seen: tuple[str, ...]) -> pl.Expr:
    numbers = {value: float(code) for code, value in enumerate(seen)}
    return pl.col(name).replace_strict(numbers, default=None, return_dtype=pl.Float64)


def _logistic() -> Any:  # noqa: ANN401 - scikit-learn has no types
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 - the product runs without scikit-learn
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 - as above
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - as above
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - as above
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415 - as above

    words = list(range(len(CATEGORICAL)))
    numbers = list(range(len(CATEGORICAL), len(FEATURES)))
    scale = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer(
        [("words", OneHotEncoder(handle_unknown="ignore"), words), ("numbers", scale, numbers)]
    )
    return make_pipeline(columns, LogisticRegression(max_iter=400))


def _boosting() -> Any:  # noqa: ANN401 - scikit-learn has no types
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - as in _logistic

    return HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.06,
        min_samples_leaf=500,
        max_features=0.7,
        early_stopping=False,
        categorical_features=list(range(len(CATEGORICAL))),
        random_state=SEED,
    )


VERSIONS = (
    Version("v1", "flights-2013-jan-feb", datetime(2013, 3, 1, tzinfo=UTC), _logistic),
    Version("v2", "flights-2013-jan-apr", datetime(2013, 5, 1, tzinfo=UTC), _boosting),
)


def train(version: Version, flights: pl.DataFrame, labels: pl.DataFrame) -> Trained:
    """Train one version on what was known at its cut, on one thread so that the result is repeatable.

    Parameters
    ----------
    version
        One of `VERSIONS`.
    flights
        All flights with their features.
    labels
        The undisturbed label feed.
    """
    require("sklearn")
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - comes with sklearn

    rows = known_at(version.cut_at, flights, labels)
    with threadpool_limits(limits=1):
        estimator, categories = _fit(version, rows)
        scored = rows.with_columns(_scores(estimator, encode(rows, categories)))
        importance = _rehearse(version, rows, known_at(version.cut_at - HELD_OUT, flights, labels))
    columns = ("prediction_id", "predicted_at", *FEATURES, "score", "label")
    return Trained(version, estimator, categories, scored.select(columns), importance)


def _fit(version: Version, rows: pl.DataFrame) -> tuple[Any, dict[str, tuple[str, ...]]]:
    categories = {name: tuple(rows[name].unique().sort()) for name in CATEGORICAL}
    return version.make().fit(encode(rows, categories), rows["label"].to_numpy()), categories


def _rehearse(version: Version, rows: pl.DataFrame, past: pl.DataFrame) -> dict[str, float]:
    estimator, categories = _fit(version, past)
    unseen = rows.filter(pl.col("predicted_at") >= version.cut_at - HELD_OUT)
    return _importance(estimator, encode(unseen, categories), unseen["label"].to_numpy())


def known_at(cut_at: datetime, flights: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Flights predicted before the cut, with the label that had arrived before it; no void outcomes."""
    arrived = labels.filter(pl.col("arrived_at") < cut_at, pl.col("label").is_not_null())
    past = flights.filter(pl.col("predicted_at") < cut_at).drop("label")
    rows = past.join(arrived.select("prediction_id", "label"), on="prediction_id", how="inner")
    return rows.sort("predicted_at", "prediction_id")


def _scores(estimator: Any, inputs: Floats) -> pl.Series:  # noqa: ANN401 - scikit-learn has no types
    return pl.Series("score", estimator.predict_proba(inputs)[:, 1]).round(SCORE_DIGITS)


def _importance(
    estimator: Any,  # noqa: ANN401 - scikit-learn has no types
    inputs: Floats,
    target: Floats,
) -> dict[str, float]:
    from sklearn.inspection import permutation_importance  # noqa: PLC0415 - as in _logistic

    chosen = np.random.default_rng(SEED).permutation(len(target))[:IMPORTANCE_ROWS]
    result = permutation_importance(
        estimator, inputs[chosen], target[chosen], scoring="roc_auc", n_repeats=3, random_state=SEED
    )
    drops = np.maximum(result.importances_mean, 0.0).round(5)
    return dict(zip(FEATURES, drops.tolist(), strict=True))
