"""Scans that are merged count as one scan of all rows: what lets a day be counted by several tasks."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.core import tally
from mlobs_pipelines.engine import features, parts
from mlobs_pipelines.engine.cells import GROUP_COLUMNS
from mlobs_pipelines.engine.champions import beside_champion
from mlobs_pipelines.engine.folding import Kept
from mlobs_pipelines.engine.scan import LabelScan, LogScan
from tests.engine import test_scores_by_task as tasks
from tests.engine.test_plain_scan import PLAN, drawn

ORDER = [(name, "ascending") for name in (*GROUP_COLUMNS, "subject", "part")]


def merged(scan, pieces):
    """A scan of each piece, sent as bytes, merged in the order of the pieces."""
    whole = scan()
    for piece in pieces:
        one = scan()
        for batch in piece if isinstance(piece, list) else piece.to_batches(max_chunksize=250):
            one.add(batch)
        whole.merge(pickle.loads(pickle.dumps(one)))  # noqa: S301 - bytes of our own
    return whole


def dealt(rows, hands=4, seed=3):
    """Rows dealt out at random, to one hand none."""
    hand = np.random.default_rng(seed).integers(0, hands, rows.num_rows)
    return [rows.filter(pa.array(hand == at)) for at in range(hands + 1)]


def same(found, wanted):
    """Stored rows are equal: keys, codes, names and counts exactly, sums to 1e-9."""
    found, wanted = (rows.sort_by(ORDER) for rows in (found, wanted))
    for name in found.column_names:
        if name not in ("sums", "squares"):
            assert found[name].equals(wanted[name]), name
            continue
        assert found[name].is_null().equals(wanted[name].is_null())
        both = [pa.compute.list_flatten(rows[name]).to_numpy() for rows in (found, wanted)]
        np.testing.assert_allclose(*both, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dense", [1 << 19, 3000, 0], ids=["joint", "apart", "sparse"])
@pytest.mark.parametrize("weighted", [False, True])
def test_merged_scans_store_what_one_scan_does(monkeypatch, dense, weighted):
    """Rows dealt to several scans and merged are counted as by one, however their groups are kept."""
    for module in (tally, parts):
        monkeypatch.setattr(module, "DENSE_CELLS", dense)
    rows = drawn(weighted=weighted)
    for scan in (partial(LogScan, PLAN), partial(LabelScan, PLAN)):
        same(merged(scan, dealt(rows)).finish(), merged(scan, [rows]).finish())


@pytest.mark.parametrize("task", tasks.PLANS)
def test_merged_scans_of_every_task(task):
    """Scores of all classes and predicted numbers add up as binary ones do."""
    rows, scan = tasks.drawn(task), partial(LabelScan, tasks.PLANS[task])
    same(merged(scan, dealt(rows)).finish(), merged(scan, [rows]).finish())


def test_merged_scans_count_pairs():
    """Pairs with the champion are counted wherever both rows of a prediction are."""
    rows = drawn(weighted=True)
    ids = pa.array([f"p{at // 2:04}" for at in range(rows.num_rows)])
    rows = rows.set_column(rows.column_names.index("prediction_id"), "prediction_id", ids)
    roles = pa.array(["champion" if name == "v1" else "shadow" for name in rows["model_version"].to_pylist()])
    rows = rows.set_column(rows.column_names.index("role"), "role", roles)
    cuts = [rows.slice(0, 500), rows.slice(500)]
    paired = [list(beside_champion(iter(cut.to_batches()), "prediction_id")) for cut in cuts]
    whole = list(beside_champion(iter(rows.to_batches()), "prediction_id"))
    scan = partial(LabelScan, PLAN)
    found = merged(scan, paired).finish()
    assert "agreement" in found["part"].to_pylist()
    same(found, merged(scan, [whole]).finish())


def test_merged_scans_keep_the_same_rows_and_categories(monkeypatch):
    """The sample, the categories that are too rare and their registers are those of one scan."""
    monkeypatch.setattr(features, "MAX_CATEGORIES", 20)
    rows = drawn(weighted=True)
    many = pa.array([f"c{at % 70}" for at in range(rows.num_rows)])
    rows = rows.set_column(rows.column_names.index("c"), "c", many)
    plan = replace(PLAN, segments=("flag",), crosses=(), sample=20, sampled=("x", "c"))
    found = merged(partial(LogScan, plan), dealt(rows)).finish()
    assert {"sample", "overflow", "distinct"} <= set(found["part"].to_pylist())
    same(found, merged(partial(LogScan, plan), [rows]).finish())


def test_merged_scans_find_a_segment_full_and_count_what_was_folded():
    """Values that fit into each scan and not into all together make it full; folded ones count once."""
    rows = drawn(weighted=False)
    apart = [rows.filter(pa.compute.equal(rows["c"], word)) for word in ("red", "green", "blue")]
    for room, full in ((2, False), (1, True), (0, False)):
        kept = {(version, "c"): Kept(frozenset({"red"}), room) for version in ("v1", "v2")}
        plan = replace(PLAN, crosses=(), segments=("c",), kept=kept)
        found, wanted = (
            merged(partial(LogScan, plan), pieces) for pieces in (apart, [pa.concat_tables(apart)])
        )
        assert bool(found.folding.full) == bool(wanted.folding.full) == full
        if not full:
            assert found.folding.folded() == wanted.folding.folded()
            same(found.finish(), wanted.finish())
