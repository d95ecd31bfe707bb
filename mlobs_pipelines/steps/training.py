"""What the rows of a training set must hold of scores and labels, by the task of the model.

Reading the file and measuring what it holds is the baseline step's business.
"""

from pathlib import Path

import polars as pl

from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.steps.bins import BaselineError

LABEL = "label"


def scored(monitor: Monitor, version: str, path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Keep the rows that say something of the scores to expect.

    Raises
    ------
    BaselineError
        If there is none.
    """
    names = monitor.score_columns
    if monitor.task == "regression":
        good, what = pl.col("score").cast(pl.Float64).is_finite(), "a finite score"
    else:
        good = pl.all_horizontal(pl.col(name).is_between(0, 1) for name in names)
        what = (
            "a score between 0 and 1" if len(names) == 1 else f"scores between 0 and 1 in {', '.join(names)}"
        )
    kept = frame.filter(good)
    if kept.is_empty():
        raise BaselineError(f"baseline of {version}: {path}: no row has {what}")
    return kept


def labelled(monitor: Monitor, version: str, path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Labels in the type they are counted in; without the column nothing is said of the training's quality.

    Raises
    ------
    BaselineError
        If the column holds something that is no label.
    """
    if LABEL not in frame.columns:
        return frame
    labels, wrong = _labels(monitor, frame[LABEL])
    if wrong:
        what = {
            "binary": "0, 1 and null",
            "multiclass": f"the classes {', '.join(monitor.classes)} and null",
            "regression": "finite numbers and null",
        }[monitor.task]
        raise BaselineError(
            f"baseline of {version}: {path}: column {LABEL} holds something else than {what} in "
            f"{wrong:,} rows; write it so, or leave the column out"
        )
    return frame.with_columns(labels.alias(LABEL))


def _labels(monitor: Monitor, labels: pl.Series) -> tuple[pl.Series, int]:
    """Labels, and how many of them are none."""
    if monitor.task == "multiclass":
        texts = labels.cast(pl.String)
        return texts, int((~texts.drop_nulls().is_in(list(monitor.classes))).sum())
    if not numeric(labels.dtype):
        return labels, labels.len() - labels.null_count()
    numbers = labels.cast(pl.Float64)
    present = numbers.drop_nulls()
    good = present.is_in([0.0, 1.0]) if monitor.task == "binary" else present.is_finite()
    return numbers, int((~good).sum())


def numeric(kind: pl.DataType) -> bool:
    """Whether values of a type can be read as numbers."""
    return kind.is_numeric() or kind in (pl.Boolean, pl.Null)
