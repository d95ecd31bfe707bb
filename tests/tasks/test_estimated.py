"""Stored estimates of a multiclass model, row by row from what was delivered."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from tests.tasks.models import CLASS_COLUMNS, CLASSES

APRIL, MARCH = (("1mo", date(2024, 4, 1), date(2024, 5, 1)), ("1mo", date(2024, 3, 1), date(2024, 4, 1)))
GROUPS = [("", ""), ("site", "north")]


def binned(rows):
    """Bin of the top score of each row, and whether its class is the right one; None without a label."""
    scores = rows.select(CLASS_COLUMNS).to_numpy()
    said = pl.Series([CLASSES[at] for at in scores.argmax(axis=1)], dtype=pl.String)
    bins = np.minimum((scores.max(axis=1) * 15).astype(int), 14)
    return pl.DataFrame({"bin": bins, "right": said == rows["label"]})


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("version", ["a", "b"])
def test_a_month_is_estimated_from_the_month_before(iris, version, group):
    """The expected accuracy is the mean over rows of how often rows of such a top score were right before."""
    before, rows = (binned(iris.part((version, group, month))) for month in (MARCH, APRIL))
    share = before.drop_nulls("right").group_by("bin").agg(pl.col("right").mean())
    expected = rows.join(share, on="bin", suffix="_before", how="left")["right_before"]
    assert not expected.null_count()
    row = iris.read((version, group, APRIL), "estimated_accuracy")
    assert row["value"] == pytest.approx(expected.mean(), abs=row["bound"] + 1e-9)
    assert row["bound"] < 0.02
    assert row["n"] == rows.height


def test_the_record_is_the_difference_to_what_came_true(iris):
    """Estimated less realised accuracy, of a month whose labels are mature."""
    case = ("a", GROUPS[0], MARCH)
    mine, real, off = (
        iris.read(case, name) for name in ("estimated_accuracy", "accuracy", "estimated_accuracy_error")
    )
    assert off["value"] == pytest.approx(mine["value"] - real["value"], abs=1e-9)


def expected(rows, before):
    """Scores, chance of each class by one isotonic regression per class, and predicted class of every row."""
    scores, earlier = (some.select(CLASS_COLUMNS).to_numpy() for some in (rows, before))
    label = before["label"].to_numpy()
    fits = [
        IsotonicRegression(out_of_bounds="clip").fit(earlier[:, k], label == name)
        for k, name in enumerate(CLASSES)
    ]
    chance = np.column_stack([fit.predict(scores[:, k]) for k, fit in enumerate(fits)])
    return scores, chance, scores.argmax(axis=1)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("version", ["a", "b"])
def test_all_scores_together_are_calibrated_on_the_month_before(iris, version, group):
    """Macro F1, macro AUC and log loss are those of the chances that rows of the month before give."""
    before, rows = (iris.part((version, group, month)) for month in (MARCH, APRIL))
    scores, chance, said = expected(rows, before.drop_nulls("label"))
    table = np.array([chance[said == k].sum(axis=0) for k in range(3)]).T
    table *= np.bincount(said, minlength=3) / table.sum(axis=0)
    f1 = np.mean(2 * np.diag(table) / (table.sum(axis=0) + table.sum(axis=1)))
    twice, sides = np.tile(scores, (2, 1)), np.repeat([1, 0], rows.height)
    areas = [
        roc_auc_score(sides, twice[:, k], sample_weight=np.r_[chance[:, k], 1 - chance[:, k]])
        for k in range(3)
    ]
    loss = -np.log(np.clip(scores, np.finfo(float).eps, 1)) * chance
    expectations = {"f1_macro": f1, "auc_macro": np.mean(areas), "log_loss": loss.sum() / chance.sum()}
    for name, value in expectations.items():
        row = iris.read((version, group, APRIL), f"estimated_{name}")
        assert row["value"] == pytest.approx(value, abs=0.004 + (row["bound"] or 0)), name
        assert row["n"] == rows.height


@pytest.mark.parametrize("name", ["f1_macro", "auc_macro", "log_loss"])
def test_the_record_of_all_scores_is_the_difference_to_what_came_true(iris, name):
    """Estimated less realised values, of a month whose labels are mature."""
    mine, real, off = (
        iris.read(("a", GROUPS[0], MARCH), one)["value"]
        for one in (f"estimated_{name}", name, f"estimated_{name}_error")
    )
    assert off == pytest.approx(mine - real, abs=1e-9)


@pytest.mark.parametrize("group", GROUPS)
def test_a_mature_month_needs_no_correction(iris, group):
    """Once all predictions have reached the horizon, corrected values are those of the labels."""
    case = ("a", group, MARCH)
    names = ["accuracy", "f1_macro", "recall_macro", *(("class_share", name) for name in CLASSES)]
    for name in names:
        metric, feature = (name, "") if isinstance(name, str) else name
        mine, plain = (iris.read(case, one, feature) for one in (f"corrected_{metric}", metric))
        for field in ("value", "lower", "upper"):
            assert mine[field] == pytest.approx(plain[field], abs=1e-9), name
        assert mine["n"] == plain["n"]


def stretched(rows, before):
    """Loss of rows by where their prediction lies between the middles of 50 stretches of those before."""
    before = before.with_columns(error=(pl.col("score") - pl.col("label")).abs()).drop_nulls("error")
    before = before.sort("score").with_row_index("place")
    stretch = (pl.col("place") * 50 / before.height).cast(pl.Int64)
    means = before.group_by(stretch.alias("stretch"), maintain_order=True).agg(
        pl.col("score").mean(), pl.col("error").mean(), (pl.col("error") ** 2).mean().alias("square")
    )
    score = rows["score"].to_numpy()
    return [np.interp(score, means["score"], means[name]).mean() for name in ("error", "square")]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("version", ["a", "b"])
def test_errors_are_estimated_from_the_month_before(wine, version, group):
    """Expected losses are those of such predictions before, within a twentieth of their interval."""
    before, rows = (wine.part((version, group, month)) for month in (MARCH, APRIL))
    absolute, square = stretched(rows, before)
    for name, expected in (("estimated_mae", absolute), ("estimated_rmse", square**0.5)):
        row = wine.read((version, group, APRIL), name)
        assert row["value"] == pytest.approx(expected, abs=(row["upper"] - row["lower"]) / 20 + row["bound"])
        assert row["n"] == rows.height
        assert row["unit"] == "label"


def test_the_record_of_errors_is_the_difference_to_what_came_true(wine):
    """Estimated less realised errors, of a month whose labels are mature."""
    for name in ("mae", "rmse"):
        mine, real, off = (
            wine.read(("a", GROUPS[0], MARCH), one)["value"]
            for one in (f"estimated_{name}", name, f"estimated_{name}_error")
        )
        assert off == pytest.approx(mine - real, abs=1e-9)


def test_each_task_has_its_own_estimates(iris, wine):
    """A regression model has estimates of its errors alone, a multiclass one none of them."""
    assert {key[-1] for key in wine.stored if key[-1].startswith("estimated_")} == {
        f"estimated_{name}{more}" for name in ("mae", "rmse") for more in ("", "_error")
    }
    assert not [key for key in iris.stored if key[-1].startswith("estimated_mae")]
