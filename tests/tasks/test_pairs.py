"""Stored comparisons with the champion of a multiclass and of a regression model, against the raw pairs."""

import numpy as np
import pytest

from tests.tasks.models import CLASS_COLUMNS, CLASSES
from tests.tasks.test_oracles import ALL, SPANS, close

CASES = [("b", segment, span) for segment in (ALL, ("site", "north")) for span in SPANS]
over_pairs = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[1][1]} {c[2][0]}")


def pairs(model, case):
    """Rows of the shadow with the champion's scores of the same prediction beside them."""
    champion = model.part(("a", *case[1:]))
    return model.part(case).join(champion, on="prediction_id", suffix="_champion")


@over_pairs
def test_classes_are_compared_pair_by_pair(iris, case):
    """Decisions and losses differ as they do on the pairs, and the counts are theirs."""
    rows = pairs(iris, case)
    close(iris.read(case, "paired_count"), rows.height)
    rows = rows.drop_nulls("label")
    truth = rows["label"].to_numpy()[:, None] == np.array(CLASSES)
    floor = np.finfo(float).eps
    both = [rows.select(f"{name}{end}" for name in CLASS_COLUMNS).to_numpy() for end in ("", "_champion")]
    right = [truth[np.arange(len(truth)), one.argmax(axis=1)] for one in both]
    losses = [-np.log(np.clip(one[truth], floor, 1 - floor)) for one in both]
    errors = [((one - truth) ** 2).sum(axis=1) for one in both]
    close(iris.read(case, "accuracy_difference"), right[0].mean() - right[1].mean(), rows.height)
    close(iris.read(case, "log_loss_difference"), (losses[0] - losses[1]).mean(), rows.height)
    close(iris.read(case, "brier_difference"), (errors[0] - errors[1]).mean(), rows.height)


@over_pairs
def test_mcnemar_is_scipys(iris, case):
    """The p-value is that of the discordant pairs: binomial where they are few, χ² with correction else."""
    from scipy.stats import binomtest, chi2  # noqa: PLC0415 - heavy

    rows = pairs(iris, case).drop_nulls("label")
    label = rows["label"].to_numpy()
    own, champion = (
        np.array(CLASSES)[rows.select(f"{name}{end}" for name in CLASS_COLUMNS).to_numpy().argmax(axis=1)]
        == label
        for end in ("", "_champion")
    )
    up, down = int((own & ~champion).sum()), int((~own & champion).sum())
    few = up + down < 25
    away = max(abs(up - down) - 1, 0) ** 2 / max(up + down, 1)
    expected = binomtest(up, up + down).pvalue if few and up + down else chi2.sf(away, 1)
    close(iris.read(case, "mcnemar_p"), expected, rows.height)


@over_pairs
def test_numbers_are_compared_pair_by_pair(wine, case):
    """Absolute and squared errors differ as they do on the pairs, with the interval of the differences."""
    rows = pairs(wine, case)
    close(wine.read(case, "paired_count"), rows.height)
    rows = rows.drop_nulls("label")
    own, champion = (np.abs(rows[name] - rows["label"]).to_numpy() for name in ("score", "score_champion"))
    for name, moved in {"mae_difference": own - champion, "mse_difference": own**2 - champion**2}.items():
        row = wine.read(case, name)
        close(row, moved.mean(), rows.height)
        half = 1.959964 * moved.std(ddof=1) / np.sqrt(moved.size)
        assert (row["upper"] - row["lower"]) / 2 == pytest.approx(half, rel=1e-6)


def test_only_the_shadow_is_compared(iris, wine):
    """The champion has no rows of comparisons, and areas are a binary model's alone."""
    compared = {"paired_count", "accuracy_difference", "mae_difference", "auc_difference", "delong_p"}
    for model in (iris, wine):
        found = {(key[0], key[-1]) for key in model.stored if key[-1] in compared}
        assert {version for version, _ in found} == {"b"}
        assert not {metric for _, metric in found} & {"auc_difference", "delong_p"}
