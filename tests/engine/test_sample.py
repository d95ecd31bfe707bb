"""The sample of whole rows: which rows are in it hangs on their ids alone, and samples merge."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.engine.cells import CELLS_SCHEMA, SORT_BY
from mlobs_pipelines.engine.hashing import hashed, numbered
from mlobs_pipelines.engine.scan import LogScan, TrainingScan, scan_log, scan_training
from tests.engine.test_scan import PLAN, table

SIZE = 20
SAMPLING = replace(PLAN, sample=SIZE, sampled=("x", "c"))
MASK = (1 << 64) - 1


def plain_hash(text):
    """The hash as it is described, with Python's integers."""
    data = (text or "").encode()
    state = len(data) * 0x9E3779B97F4A7C15 & MASK
    for start in range(0, len(data), 8):
        state = (state ^ int.from_bytes(data[start : start + 8], "little")) * 0xFF51AFD7ED558CCD & MASK
        state ^= state >> 33
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        state = (state ^ (state >> 33)) * factor & MASK
    return (state ^ (state >> 33)) >> 1


def stored(cells):
    """Rows of samples in the order in which they are published."""
    kept = cells.filter(pc.equal(cells.column("part"), "sample"))
    return kept.sort_by([(name, "ascending") for name in ("day", *SORT_BY)]).to_pydict()


def scanned(rows, size, scan=LogScan, plan=SAMPLING):
    """The samples of a scan that takes so many rows at a time."""
    running = scan(plan)
    for batch in rows.combine_chunks().to_batches(max_chunksize=size):
        running.add(batch)
    return stored(running.finish())


def smallest(rows, size=SIZE):
    """By group, the rows with the smallest hashes in their order, found one by one."""
    found = {}
    for row in rows.to_pylist():
        found.setdefault((row["day"], row["model_version"], row["role"]), []).append(row)
    return {
        key: sorted(some, key=lambda row: plain_hash(row["prediction_id"]))[:size]
        for key, some in found.items()
    }


def by_group(samples):
    """Stored samples by group and subject."""
    keys = zip(*(samples[name] for name in ("day", "model_version", "role", "subject")), strict=True)
    return {key: {name: samples[name][at] for name in CELLS_SCHEMA.names} for at, key in enumerate(keys)}


def same(one, other):
    """Stored samples that are equal to the bit; NaN equals NaN."""
    for name, lists in one.items():
        assert repr(lists) == repr(other[name]), name


@settings(max_examples=25, deadline=None)
@given(st.lists(st.none() | st.text(max_size=40)))
@example([])
@example([None])
@example(["", "a" * 8, "a" * 9, "é" * 12])
def test_a_text_hashes_to_what_its_bytes_say(texts):
    """However a column is stored or cut, each text's hash is that of its UTF-8 bytes."""
    expected = [plain_hash(text) for text in texts]
    column = pa.array(texts, pa.string())
    longer = pa.concat_arrays([pa.array(["before"]), column])
    halves = pa.chunked_array([column[: len(texts) // 2], column[len(texts) // 2 :]])
    for form in (column, halves, longer.slice(1), column.dictionary_encode(), column.cast(pa.large_string())):
        assert hashed(form).tolist() == expected


def test_hashes_never_change():
    """A stored sample can be merged with one of a later release: these hashes are pinned."""
    assert hashed(pa.array(["", "p1", "0123456789abcdef"])).tolist() == [
        0,
        plain_hash("p1"),
        plain_hash("0123456789abcdef"),
    ]
    assert numbered(7, 2).tolist() == [*numbered(0, 9)[7:]]


def test_hashes_are_spread_evenly():
    """Ids that differ in a counter fall evenly into a thousand equal parts, and into the parts of folds."""
    for hashes in (hashed(pa.array([f"prediction-{i:08d}" for i in range(200_000)])), numbered(0, 200_000)):
        for cells in ((hashes * 2.0**-63 * 1000).astype(int), hashes % 1000):
            counts = np.bincount(cells, minlength=1000)
            assert ((counts - 200) ** 2 / 200).sum() < 1_190  # χ² of 999 degrees at 1 - 1e-5
        assert np.unique(hashes).size == 200_000


@pytest.mark.parametrize("size", [600, 70, 1])
def test_the_rows_with_the_smallest_hashes_are_kept(size):
    """Of each day, version and role, with hashes, weights, numbers and names; nulls stay nulls."""
    weights = np.random.default_rng(1).choice([1.0, 4.0], 600)
    rows = table().append_column("sample_weight", pa.array(weights))
    found = by_group(scanned(rows, size))
    expected = smallest(rows)
    assert {key[:3] for key in found} == set(expected)
    for key, some in expected.items():
        ids, x, c = (found[*key, name] for name in ("requests", "x", "c"))
        assert ids["counts"] == [plain_hash(row["prediction_id"]) for row in some]
        assert ids["sums"] == [row["sample_weight"] for row in some]
        assert c["names"] == [row["c"] for row in some]
        assert [None if np.isnan(v) else v for v in x["sums"]] == [row["x"] for row in some]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(30, 400), size=st.integers(1, 400))
@example(seed=0, n=0, size=1)
def test_neither_order_nor_cut_changes_a_bit(seed, n, size):
    """Rows in any order, in batches of any size, store the same bytes."""
    rows = table(n, seed)
    shuffled = rows.take(pa.array(np.random.default_rng(seed).permutation(n)))
    same(scanned(rows, max(n, 1)), scanned(shuffled, size))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(90, 400))
def test_the_sample_of_a_union_is_that_of_the_samples(seed, n):
    """The k smallest hashes of all rows are the k smallest of those that any split's parts kept."""
    rows = table(n, seed)
    part = np.random.default_rng(seed).integers(0, 3, n)
    pieces = [by_group(scanned(rows.filter(pa.array(part == index)), 50)) for index in range(3)]
    for key, whole in by_group(scanned(rows, 400)).items():
        if key[3] == "requests":
            both = sorted(value for piece in pieces if key in piece for value in piece[key]["counts"])
            assert whole["counts"] == both[:SIZE]


def test_what_was_let_go_takes_no_memory():
    """A scan of many small batches holds no more than a few times the rows of its samples."""
    rows = table(20_000, seed=4)
    scan = LogScan(SAMPLING)
    for batch in rows.combine_chunks().to_batches(max_chunksize=500):
        scan.add(batch)
        assert scan._samples[0]._held.num_rows <= 8 * max(scan._samples[0]._hashes.size, SIZE) + 6 * SIZE
    same(stored(scan.finish()), scanned(rows, 20_000))


def test_only_what_is_named_is_sampled():
    """Without a size nothing is stored, and a feature that is not named never is."""
    assert stored(scan_log(table(), PLAN))["part"] == []
    assert set(stored(scan_log(table(), replace(SAMPLING, sampled=("c",))))["subject"]) == {"requests", "c"}


def test_training_rows_go_by_their_place():
    """A training set needs no ids: the same file gives the same sample, in batches of any size."""
    rows = table().drop_columns(["prediction_id"])
    constant = {name: pa.array(["baseline"] * 600) for name in ("day", "model_version", "role")}
    rows = rows.drop_columns(list(constant))
    for name, column in constant.items():
        rows = rows.append_column(name, column)
    rows = rows.set_column(
        rows.schema.get_field_index("score"), "score", pc.fill_null(rows.column("score"), 0.5)
    )
    whole = stored(scan_training(rows, SAMPLING))
    same(whole, scanned(rows, 90, TrainingScan))
    assert len(whole["counts"][0]) == SIZE
