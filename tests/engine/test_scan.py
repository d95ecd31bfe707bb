"""Counting rows into statistics: by day or at once, in any order, with nothing or too much to count."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlobs_pipelines.core.buckets import Grid, fit_grid
from mlobs_pipelines.engine import cells, features
from mlobs_pipelines.engine.cells import CELLS_SCHEMA, flatten
from mlobs_pipelines.engine.moments import MOMENTS
from mlobs_pipelines.engine.scan import FeaturePlan, ScanPlan, floats, scan_labels, scan_log, scan_training
from mlobs_pipelines.store.content import content_hash
from tests.engine.plain_scan import agree, as_stored

DAYS = ("2024-05-01", "2024-05-02", "2024-05-03")
INTEGERS = [name for name in CELLS_SCHEMA.names if name not in ("sums", "squares")]
PLAN = ScanPlan(
    (
        FeaturePlan("x", Grid(1.0, 2.0, np.array([0.0, 1.5])), recomputed=True),
        FeaturePlan("c", None, recomputed=True),
    ),
    ("c", "flag"),
    {"v1": 0.5, "v2": 0.25},
    horizons_s=(3600.0, 7200.0),
)


def table(rows=600, seed=3):
    """Rows of a log with labels: nulls everywhere, two versions, three days."""
    rng = np.random.default_rng(seed)

    def some(values, share=0.1):
        return pa.array(values.tolist(), mask=rng.random(rows) < share)

    x = np.round(rng.normal(size=rows), 1)
    score = np.round(rng.random(rows), 3)
    label = (rng.random(rows) < score).astype(float)
    lag = rng.exponential(4000, rows)
    changed, other = rng.random(rows) < 0.1, (rng.random(rows) < 0.5).astype(float)
    again = [[first, first + 4000] for first in rng.exponential(3000, rows).tolist()]
    said = [
        [one, None if one == two else two] for one, two in zip(other.tolist(), label.tolist(), strict=True)
    ]
    data = {
        "day": pa.array(np.array(DAYS)[np.sort(rng.integers(0, 3, rows))].tolist()),
        "prediction_id": pa.array([f"p{i}" for i in range(rows)]),
        "model_version": pa.array(np.array(["v1", "v2"])[rng.integers(0, 2, rows)].tolist()),
        "role": pa.array(["champion"] * rows),
        "status": some(rng.choice(["ok", "error", "timeout"], rows, p=[0.9, 0.06, 0.04])),
        "latency_ms": some(rng.lognormal(3, 1, rows)),
        "x": some(x),
        "pit__x": some(np.where(rng.random(rows) < 0.9, x, x + 1)),
        "c": some(np.array(["red", "green", "blue"])[rng.integers(0, 3, rows)]),
        "pit__c": some(np.array(["red", "green", "blue"])[rng.integers(0, 3, rows)]),
        "flag": some(rng.random(rows) < 0.5),
        "score": some(score),
        "label": some(label, 0.3),
        "state": pa.array(np.array(["labelled", "void"])[(rng.random(rows) < 0.1).astype(int)].tolist()),
        "lag_s": some(lag, 0.3),
        "age_s": pa.array(rng.uniform(0, 10_000, rows)),
        "early": pa.array(rng.random(rows) < 0.1),
        "revisions": pa.array(rng.integers(1, 3, rows)),
        "conflict": pa.array(rng.random(rows) < 0.1),
        "said_labels": pa.array(said, pa.list_(pa.float64()), mask=~changed),
        "said_lags_s": pa.array(again, mask=~changed),
        "queue_ms": some(rng.exponential(2, rows)),
    }
    return pa.table(data)


def ordered(found):
    """Stored rows in the order of the lake."""
    return found.sort_by([(name, "ascending") for name in (*cells.GROUP_COLUMNS, "subject", "part")])


def scan(rows):
    """Both scans in one table."""
    return ordered(pa.concat_tables([scan_log(rows, PLAN), scan_labels(rows, PLAN)]))


def test_days_at_once_equal_days_one_by_one():
    """A scan of three days holds what three scans of one day hold: to the bit, moments to rounding."""
    rows = table()
    single = ordered(pa.concat_tables([scan(rows.filter(pc.equal(rows["day"], day))) for day in DAYS]))
    whole = scan(rows)
    exact = [table.filter(pc.not_equal(table["part"], MOMENTS)) for table in (single, whole)]
    assert content_hash(exact[0]) == content_hash(exact[1])
    agree(as_stored(single), as_stored(whole))


@pytest.mark.parametrize("seed", range(3))
def test_counts_do_not_depend_on_the_order_of_rows(seed):
    """Shuffled rows give equal counts, and sums equal to rounding."""
    rows = table()
    mixed = rows.take(pa.array(np.random.default_rng(seed).permutation(rows.num_rows)))
    one, two = scan(rows), scan(mixed)
    assert one.select(INTEGERS).equals(two.select(INTEGERS))
    for name in ("sums", "squares"):
        left, right = (pc.list_flatten(t[name]).to_numpy() for t in (one, two))
        assert left == pytest.approx(right, rel=1e-12)


def test_segments_add_up_to_the_whole():
    """The values of a segment, missing ones included, share out the rows of the whole exactly."""
    found = scan(table())
    totals = {}
    for row in found.to_pylist():
        if "@" in row["subject"]:  # labels by maturity are kept of all rows together
            continue
        key = (row["day"], row["model_version"], row["subject"], row["part"])
        totals.setdefault(key, {}).setdefault(row["segment"], 0)
        totals[key][row["segment"]] += sum(row["counts"])
    assert all(len(set(parts.values())) == 1 and len(parts) == 3 for parts in totals.values())


def test_no_rows_give_no_statistics():
    """An empty day is counted without complaint and without rows."""
    none = table().slice(0, 0)
    found = scan(none)
    assert (found.num_rows, found.schema) == (0, CELLS_SCHEMA)


def test_a_day_in_which_everything_failed_is_still_counted():
    """Without one score, label or value the requests are counted and nothing else breaks."""
    rows = table(50)
    for name in ("x", "pit__x", "score", "label", "lag_s", "latency_ms", "queue_ms"):
        rows = rows.set_column(rows.column_names.index(name), name, pa.nulls(50, pa.float64()))
    for name in ("c", "pit__c"):
        rows = rows.set_column(rows.column_names.index(name), name, pa.nulls(50, pa.string()))
    parts = {(row["subject"], row["part"]) for row in scan(rows).to_pylist()}
    assert parts == {("requests", "status"), ("x", "rows"), ("c", "rows")}


def test_integers_beyond_a_float_are_read_without_being_quoted():
    """A numeric feature of huge integers is counted, not refused with its value in the message."""
    values = floats(pa.chunked_array([pa.array([2**53 + 1, None], pa.int64())]))
    assert values[0] == pytest.approx(2.0**53)
    assert np.isnan(values[1])


def test_rare_categories_are_folded_once_there_are_too_many(monkeypatch):
    """Beyond the limit the rarest go to one name, with their rows, in each group on its own."""
    monkeypatch.setattr(features, "MAX_CATEGORIES", 2)
    names = ["a"] * 3 + ["b"] * 2 + ["c", "d"] + ["c", None]
    days = ["1"] * 7 + ["2"] * 2
    rows = pa.table(
        {"day": days, "model_version": ["v"] * 9, "role": ["r"] * 9, "c": names, "score": [0.5] * 9}
    )
    found = scan_training(rows, ScanPlan((FeaturePlan("c", None),), (), {})).to_pylist()
    assert [
        dict(zip(row["names"], row["counts"], strict=True)) for row in found if row["part"] == "categories"
    ] == [{"a": 3, "b": 2, cells.OTHER: 2}, {"c": 1}]
    (told,) = [row for row in found if row["part"] == "overflow"]
    assert (told["day"], told["codes"], told["counts"]) == ("1", [0, 1], [2, 2])


def test_unnesting_gives_back_what_was_counted():
    """Each cell knows the stored row it came from."""
    rows = scan_log(table(), PLAN)
    mine = rows.filter(pc.and_(pc.equal(rows["subject"], "x"), pc.equal(rows["part"], "cells")))
    flat = flatten(mine)
    back = {}
    for position, code, count in zip(
        flat.row.tolist(), flat.codes.tolist(), flat.counts.tolist(), strict=True
    ):
        back.setdefault(position, []).append((code, count))
    expected = [list(zip(row["codes"], row["counts"], strict=True)) for row in mine.to_pylist()]
    assert [back[position] for position in range(mine.num_rows)] == expected


def test_lags_fall_into_whole_units():
    """A lag of exactly one unit is in the first bucket, an early label in bucket zero, an age is floored."""
    columns = {"score": [0.5] * 4, "label": [1.0, 0.0, 1.0, None], "state": ["labelled"] * 4}
    base = {"day": [DAYS[0]] * 4, "model_version": ["v1"] * 4, "role": ["r"] * 4}
    times = {"lag_s": [3600.0, 3600.1, -5.0, None], "age_s": [7200.0, 7199.9, 7200.0, 3599.0]}
    plan = ScanPlan((), (), {"v1": 0.5}, horizons_s=(3600.0, 7200.0))
    found = {
        row["part"]: dict(zip(row["codes"], row["counts"], strict=True))
        for row in scan_labels(pa.table(base | columns | times), plan).to_pylist()
    }
    assert found["arrived"] == {0: 1, 1: 1, 2: 1}
    assert found["pending"] == {0: 1}
    assert found["mature"] == {0: 3, 1: 2}
    assert found["in_time"] == {0: 2, 1: 2}
    assert found["class_lags"] == {0 * 4 + 3: 1, 1 * 4 + 3: 1}
    assert found["class_ages"] == {1 * 4 + 1: 1, 2 * 4 + 3: 2}


def test_a_grid_of_the_rows_themselves_counts_atoms_exactly():
    """A frequent value has a cell of its own with exactly its rows."""
    values = np.concatenate([np.full(30, 2.0), np.linspace(3, 4, 70)])
    rows = table(100).set_column(6, "x", pa.array(values))
    grid = fit_grid(values)
    plan = ScanPlan((FeaturePlan("x", grid),), (), PLAN.thresholds)
    found = [row for row in scan_log(rows, plan).to_pylist() if row["part"] == "cells"]
    atom = 16384 + int(np.searchsorted(grid.atoms, 2.0))
    assert sum(dict(zip(row["codes"], row["counts"], strict=True)).get(atom, 0) for row in found) == 30
