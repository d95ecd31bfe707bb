"""Drift of all features together, from the rows of a lake to the metric store."""

import dataclasses
from datetime import date

import numpy as np
import polars as pl
import pyarrow.compute as pc
import pytest

from mlobs_pipelines.contracts.problems import ContractError
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.hashing import hashed
from mlobs_pipelines.steps.arranged import arranged, single
from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.bins import sampled_features
from mlobs_pipelines.steps.layouts import BASELINE_LAYOUT, STATISTICS_LAYOUT
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.references import FIXED_LAYOUT
from mlobs_pipelines.steps.samples import WINDOW_ROWS, sample_summary
from mlobs_pipelines.steps.statistics import measure
from tests.steps.loans import AS_OF, DAYS
from tests.steps.redeclared import declared, metrics_of, redeclared

SECTION = "multivariate: {sample: 32, without: [cards]}"
OBJECTIVE = "  - {metric: domain_auc, window: 7d, fail_above: 0.9}\n"
LONGER = {"windows: [1d, 7d, 28d, 1mo]": "windows: [7d, 1mo]"}
NUMERIC = {"amount": True, "employed": False, "region": False, "balance": True, "grade": False}
MARCH = Span(Window.MONTH, date(2024, 3, 1), date(2024, 4, 1))
WEEK = Span(Window.WEEK, DAYS[1], DAYS[8])


@pytest.fixture(scope="module")
def walk(scored, tmp_path_factory):
    """The lake measured and scored again with samples of 32 rows a day."""
    home = tmp_path_factory.mktemp("samples")
    found = redeclared(scored, home, before=SECTION, objectives=OBJECTIVE, changes=LONGER)
    measure_baselines(found)
    measure(found, DAYS)
    score(found, DAYS)
    return found


def latest(walk, layout, version):
    """The newest statistics of a version."""
    rows = walk.lake.read(walk.model, layout)
    if "as_of_key" in rows.column_names:
        rows = rows.filter(pc.equal(rows.column("as_of_key"), pc.max(rows.column("as_of_key"))))
    return rows.filter(pc.equal(rows.column("model_version"), version))


def by_hash(walk, version, days):
    """Logged rows of a version with their hashes, the smallest first."""
    log = pl.DataFrame(walk.lake.read(walk.model, "prediction_log")).filter(
        (pl.col("predicted_at") <= AS_OF)
        & (pl.col("model_version") == version)
        & pl.col("day").is_in([day.isoformat() for day in days])
    )
    return log.with_columns(pl.Series("hash", hashed(log["prediction_id"].to_arrow()))).sort("hash")


@pytest.mark.parametrize("version", ["a", "b"])
@pytest.mark.parametrize("span", [MARCH, WEEK])
def test_a_window_is_sampled_as_if_its_days_were_one(walk, version, span):
    """A window's sample is the rows with the smallest hashes of all its rows, each standing for one."""
    counts = arranged(latest(walk, STATISTICS_LAYOUT, version), [span])
    base = single(latest(walk, BASELINE_LAYOUT, version))
    found = sample_summary(counts, base, [0], NUMERIC)
    rows = by_hash(walk, version, span.days)
    n = int((found.weights[0] > 0).sum())
    assert min(32, rows.height) <= n <= WINDOW_ROWS
    assert found.hashes[0, :n].tolist() == rows["hash"][:n].to_list()
    assert set(found.weights[0, :n]) <= {1.0}
    for column, (name, numeric) in enumerate(NUMERIC.items()):
        stored, expected = found.values[0, :n, column], rows[name][:n]
        np.testing.assert_array_equal(np.isnan(stored), expected.is_null().to_numpy())
        if numeric:
            np.testing.assert_array_equal(stored, expected.cast(pl.Float64).to_numpy())
        else:
            pairs = {
                (code, str(text))
                for code, text in zip(stored.tolist(), expected, strict=True)
                if text is not None
            }
            assert len(pairs) == len({code for code, _ in pairs}) == len({text for _, text in pairs})


def test_the_metric_store_has_them_for_long_windows_and_where_an_objective_asks(walk):
    """Months of all rows; over a week only the metric that is judged there, with what moved in its inputs."""
    rows = metrics_of(walk, metrics=["reconstruction_error", "domain_auc"])
    assert set(rows["segment"]) == {""}
    assert set(rows.filter(pl.col("metric") == "domain_auc")["window"]) == {"1mo", "7d"}
    assert set(rows.filter(pl.col("metric") == "reconstruction_error")["window"]) == {"1mo"}
    judged = rows.filter(pl.col("window") == "7d")
    assert set(judged["verdict"]) <= {"pass", "fail", "undecided"}
    decided = judged.filter(pl.col("n") >= 100)
    assert decided.height
    assert decided["value"].is_not_null().all()
    for row in decided.iter_rows(named=True):
        assert ("features" in row["told"]) == (row["value"] > row["noise"])


def test_scoring_again_changes_no_bit(walk):
    """The same statistics give the same numbers, whichever windows are scored beside them."""
    before = metrics_of(walk, metrics=["reconstruction_error", "domain_auc"]).drop("told", "run_id")
    score(walk, DAYS[2:3])
    after = metrics_of(walk, metrics=["reconstruction_error", "domain_auc"]).drop("told", "run_id")
    assert after.equals(before)


def test_fixed_days_are_one_sample(walk, tmp_path):
    """A baseline of fixed days holds the rows with the smallest hashes of those days."""
    kind = "compared_with: {from: 2024-02-26, to: 2024-02-29}"
    other = redeclared(walk, tmp_path, before=f"{SECTION}\n{kind}", changes=LONGER)
    score(other, DAYS[-1:])
    for version in ("a", "b"):
        rows = latest(other, FIXED_LAYOUT, version)
        ours = rows.filter(pc.and_(pc.equal(rows["subject"], "requests"), pc.equal(rows["part"], "sample")))
        (hashes,) = ours.column("counts").to_pylist()
        assert hashes == by_hash(other, version, DAYS[1:5])["hash"][: len(hashes)].to_list()
        assert len(hashes) >= 32
    found = metrics_of(other, metrics=["domain_auc"], windows=["1mo"])
    assert set(found["baseline_id"].str.split(":").list.first()) == {"window"}


@pytest.mark.parametrize("kind", ["previous", "{days: 3}", "champion"])
def test_moving_baselines_have_samples_of_their_own(walk, tmp_path, kind):
    """Compared with days before, or with the champion, the metrics are there too."""
    kept = f"{SECTION}\ncompared_with: {kind}"
    other = redeclared(walk, tmp_path, before=kept, objectives=OBJECTIVE, changes=LONGER)
    score(other, DAYS[-1:])
    rows = metrics_of(other, metrics=["domain_auc"], windows=["1mo", "7d"])
    assert rows["value"].is_not_null().any()


def test_nothing_is_kept_of_rows_unless_it_is_declared(scored):
    """Without the section the statistics hold no sample, and the metric store no such metric."""
    assert "sample" not in set(scored.lake.read(scored.model, STATISTICS_LAYOUT)["part"].to_pylist())
    assert metrics_of_none(scored)


def metrics_of_none(walk):
    """Whether the two metrics have no row."""
    try:
        return metrics_of(walk, metrics=["reconstruction_error", "domain_auc"]).is_empty()
    except (pl.exceptions.ColumnNotFoundError, KeyError):
        return True


def test_restricted_features_are_never_sampled(walk):
    """A feature whose column the contract restricts is left out, as are those that the monitor names."""
    assert sampled_features(walk.spec) == ("amount", "employed", "region", "balance", "grade", "region_rate")
    contract = walk.spec.predictions
    (table,) = contract.tables
    columns = [
        dataclasses.replace(c, classification="restricted") if c.name == "amount" else c
        for c in table.columns
    ]
    strict = dataclasses.replace(table, columns=tuple(columns))
    spec = dataclasses.replace(walk.spec, predictions=dataclasses.replace(contract, tables=(strict,)))
    assert "amount" not in sampled_features(spec)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("multivariate: {without: [crads]}", "leaves out 'crads', no feature"),
        ("multivariate: {without: [amount, employed, region, balance, cards, grade]}", "less than two"),
        ("multivariate: {sample: 5}", "multivariate"),
    ],
)
def test_mistakes_are_told(scored, tmp_path, section, said):
    """A section that cannot be meant is reported with its file."""
    with pytest.raises(ContractError, match=said):
        declared(scored, tmp_path, before=section)
