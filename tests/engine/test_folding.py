"""Segments with too many values: what is folded, for any order of the rows, and what it is counted as."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.engine.cells import CELLS_SCHEMA
from mlobs_pipelines.engine.features import FeaturePlan
from mlobs_pipelines.engine.folding import OTHER, UNKNOWN, Kept
from mlobs_pipelines.engine.scan import LogScan, ScanPlan, batches, scan_log

ROWS = 3_000
PLAN = ScanPlan((FeaturePlan("c", None),), ("shop", "size"), {"v": 0.5}, crosses=(("shop", "size"),))
ORDER = [(name, "ascending") for name in ("segment", "segment_value", "subject", "part")]
KEPT = {
    ("v", "shop"): Kept(frozenset({"shop-1", "shop-2"})),
    ("v", "shop+size"): Kept(frozenset({"shop-1+small", "shop-9+large", UNKNOWN})),
}


@pytest.fixture(scope="module")
def table():
    """Rows of 200 shops and of none, each small or large."""
    rng = np.random.default_rng(3)
    shop = np.array([f"shop-{one}" for one in rng.geometric(0.02, ROWS) % 200], dtype=object)
    shop[rng.random(ROWS) < 0.05] = None
    columns = {
        "day": ["2024-01-01"] * ROWS,
        "model_version": ["v"] * ROWS,
        "role": ["champion"] * ROWS,
        "status": ["ok"] * ROWS,
        "latency_ms": rng.lognormal(size=ROWS),
        "shop": shop,
        "size": rng.choice(["small", "large"], ROWS),
        "c": rng.choice(list("abc"), ROWS),
    }
    return pa.table(columns)


def relabelled(table, column, kept):
    """The rows with every other value of a column written as `OTHER`."""
    values = [one if one is None or one in kept else OTHER for one in table.column(column).to_pylist()]
    return table.set_column(table.column_names.index(column), column, pa.array(values))


def scanned(table, plan, cut=ROWS):
    """Stored statistics of rows in batches of some size, and the scan."""
    scan = LogScan(plan)
    for start in range(0, table.num_rows, cut):
        for batch in batches(table.slice(start, cut)):
            scan.add(batch)
    return scan.finish().sort_by(ORDER), scan


def of(stored, segment):
    """Rows of one segmentation."""
    return stored.filter(pa.compute.equal(stored.column("segment"), segment)).combine_chunks()


@pytest.mark.parametrize("cut", [ROWS, 700])
def test_folded_rows_count_as_if_they_had_one_value(table, cut):
    """As those of a table in which every other value is `OTHER`; nulls and other segments stay."""
    stored, scan = scanned(table, dataclasses.replace(PLAN, kept=KEPT), cut)
    wanted = scan_log(relabelled(table, "shop", {"shop-1", "shop-2"}), PLAN).sort_by(ORDER)
    plain = scan_log(table, PLAN).sort_by(ORDER)
    assert of(stored, "shop").equals(of(wanted, "shop"))
    for segment in ("", "size"):
        assert of(stored, segment).equals(of(plain, segment))
    assert set(of(stored, "shop+size").column("segment_value").to_pylist()) == {
        "shop-1+small",
        "shop-9+large",
        OTHER,
    }
    shops = set(table.column("shop").to_pylist()) - {"shop-1", "shop-2", None}
    assert scan.folding.folded()["shop"] == len(shops)
    assert not scan.folding.full


def test_other_values_have_room_until_they_are_too_many(table):
    """All of them have groups of their own, or none has: which rows come first makes no difference."""
    shops = sorted(set(table.column("shop").drop_null().to_pylist()))
    few = {("v", "shop"): Kept(frozenset(shops[:5]), len(shops) - 5)}
    stored, scan = scanned(table, dataclasses.replace(PLAN, kept=few))
    assert stored.equals(scan_log(table, PLAN).sort_by(ORDER))
    assert not scan.folding.full
    less = dataclasses.replace(PLAN, kept={("v", "shop"): Kept(frozenset(shops[:5]), len(shops) - 6)})
    _, scan = scanned(table, less)
    assert scan.folding.full == {("v", "shop")}
    closed = less.closed(scan.folding.full)
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(ROWS)))
    stored, scan = scanned(shuffled, closed, 500)
    wanted = scan_log(relabelled(table, "shop", set(shops[:5])), PLAN).sort_by(ORDER)
    found = set(of(stored, "shop").column("segment_value").to_pylist())
    assert found == {*shops[:5], OTHER, UNKNOWN}
    counts = [name for name in CELLS_SCHEMA.names if name not in ("sums", "squares")]
    assert of(stored, "shop").select(counts).equals(of(wanted, "shop").select(counts))
    assert not scan.folding.full


def test_a_segment_of_which_nothing_is_known_keeps_every_value(table):
    """A version without a measured training set has all its values, as without any cap."""
    kept = {("other", "shop"): Kept(frozenset())}
    stored, scan = scanned(
        table, dataclasses.replace(PLAN, kept=kept | {("v", "size"): Kept(frozenset(), 9)})
    )
    assert stored.equals(scan_log(table, PLAN).sort_by(ORDER))
    assert not scan.folding.folded()
