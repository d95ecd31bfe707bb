"""The champion's score beside other rows, and what is counted of pairs: against loops over rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core.buckets import score_codes
from mlobs_pipelines.core.pairing import pair_codes
from mlobs_pipelines.engine.champions import beside_champion
from mlobs_pipelines.engine.pairs import AGREEMENT_CODES
from mlobs_pipelines.engine.scan import LabelScan, ScanPlan
from tests.engine.plain_scan import VALUED, Book, as_stored

PLAN = ScanPlan((), ("place",), {"a": 0.5, "b": 0.4, "c": 0.5})
EPS = np.finfo(float).eps
KEY = "prediction_id"


def rows_of(seed, predictions=60, *, weighted=False):
    """Rows of up to three versions per prediction, some without a score, a label or a champion."""
    rng = np.random.default_rng(seed)
    rows = []
    for position in range(predictions):
        label = rng.choice([0, 1, None])
        champion = rng.choice(["a", "b", "none"], p=[0.5, 0.4, 0.1])
        present = [version for version in rng.permutation(list("abc")).tolist() if rng.random() < 0.85]
        roles = ["champion" if version == champion else "shadow" for version in present]
        rows += [_row(rng, position, *who, label) for who in zip(present, roles, strict=True)]
    if not weighted:
        rows = [{name: value for name, value in row.items() if name != "sample_weight"} for row in rows]
    return rows


def _row(rng, position, version, role, label):
    return {
        "day": "2024-05-01",
        KEY: f"p{position:04d}",
        "model_version": version,
        "role": role,
        "score": None if rng.random() < 0.1 else float(np.round(rng.beta(1, 2), rng.choice([1, 9]))),
        "label": label,
        "state": "pending" if label is None else "labelled",
        "lag_s": None if label is None else 100.0,
        "age_s": 1_000.0,
        "place": str(rng.choice(["north", "south"])),
        "sample_weight": float(rng.choice([1.0, 4.0])),
    }


def batched(rows, size):
    """Batches of so many rows, texts as dictionaries of their own."""
    if not rows:
        return
    table = pa.Table.from_pylist(rows).sort_by(KEY)
    for batch in table.to_batches(max_chunksize=size):
        columns = {name: batch.column(name) for name in batch.schema.names}
        for name in ("model_version", "role", "place"):
            columns[name] = columns[name].dictionary_encode()
        yield pa.RecordBatch.from_pydict(columns)


def plain_champion(row, rows):
    """The champion's row of the same prediction, by looking at all of them."""
    mine = [o for o in rows if o[KEY] == row[KEY] and o["role"] == "champion" and o["score"] is not None]
    return min(mine, key=lambda other: other["model_version"]) if mine and row["role"] != "champion" else None


@given(seed=st.integers(0, 1_000), size=st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_the_champion_stands_beside_every_other_row(seed, size):
    """For any cut into batches the rows come in their order, each with its champion's score and version."""
    rows = rows_of(seed, 25)
    ordered = pa.Table.from_pylist(rows).sort_by(KEY).to_pylist()
    found = [row for batch in beside_champion(batched(rows, size), KEY) for row in batch.to_pylist()]
    assert [{name: row[name] for name in ordered[0]} for row in found] == ordered
    for row in found:
        champion = plain_champion(row, rows) or {"score": None, "model_version": None}
        assert row["champion__score"] == champion["score"]
        assert row["champion__model_version"] == champion["model_version"]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_of_two_champions_the_first_version_counts(size):
    """Two champions of one prediction give the same pairs in whichever order they come."""
    rng = np.random.default_rng(1)
    rows = [_row(rng, 0, version, role, 1) | {"score": score} for version, role, score in
            [("b", "champion", 0.7), ("c", "shadow", 0.2), ("a", "champion", 0.9)]]  # fmt: skip
    for some in (rows, rows[::-1]):
        found = [row for batch in beside_champion(batched(some, size), KEY) for row in batch.to_pylist()]
        assert {row["model_version"]: row["champion__score"] for row in found} == {
            "a": None,
            "b": None,
            "c": 0.9,
        }


def test_no_rows_and_one_row_have_no_pairs():
    """Neither an empty day nor a single prediction fails or is paired."""
    assert list(beside_champion(iter(()), KEY)) == []
    (batch,) = beside_champion(batched(rows_of(2, 1)[:1], 10), KEY)
    assert batch.column("champion__score").null_count == 1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_the_scan_counts_what_a_loop_finds(weighted, size):
    """Cells, agreement and sums of differences of every group are those of a loop, to the last bit."""
    rows = rows_of(5, 150, weighted=weighted)
    scan = LabelScan(PLAN)
    for batch in beside_champion(batched(rows, size), KEY):
        scan.add(batch)
    stored = {key: found for key, found in as_stored(scan.finish()).items() if key[5] == "pair"}
    assert stored == plain_pairs(pa.Table.from_pylist(rows).sort_by(KEY).to_pylist())
    assert {key[6] for key in stored} >= {
        "own_positive",
        "joint_negative",
        "agreement",
        "unlabelled",
        "log_loss",
    }


def test_rows_alone_have_no_pairs():
    """Without a champion's score beside them, as in a training set, rows are counted as they always were."""
    scan = LabelScan(PLAN)
    for batch in batched(rows_of(6), 100):
        scan.add(batch)
    assert "pair" not in scan.finish().column("subject").to_pylist()


def plain_pairs(rows):
    """What the scan stores of pairs, by key."""
    book = Book(PLAN)
    for row in rows:
        if row["score"] is not None:
            book.mark(row)
        champion = plain_champion(row, rows)
        if row["score"] is not None and champion is not None:
            weights = [one.get("sample_weight", 1.0) for one in (row, champion)]
            pair = row | {"sample_weight": max(weights)}
            book.mark(pair)
            _count(book, pair, champion)
    return book.rows(VALUED)


def _count(book, row, champion):
    label, scores = row["label"], [row["score"], champion["score"]]
    if label is None:
        book.write(row, "pair", "unlabelled", 0)
        return
    side = "positive" if label else "negative"
    cells = [score_codes(np.array([score])) for score in scores]
    for name, cell in zip(("own", "champion", "joint"), (*cells, pair_codes(*cells)), strict=True):
        book.write(row, "pair", f"{name}_{side}", int(cell[0]))
    versions = (row["model_version"], champion["model_version"])
    own, other = ((s >= PLAN.thresholds[v]) == (label == 1) for s, v in zip(scores, versions, strict=True))
    name = {(True, True): "both", (True, False): "own_only", (False, True): "champion_only"}.get(
        (own, other), "neither"
    )
    book.write(row, "pair", "agreement", AGREEMENT_CODES[name])
    losses = [-np.log(_clip(s)) if label else -np.log1p(-_clip(s)) for s in scores]
    book.write(row, "pair", "log_loss", 0, float(losses[0] - losses[1]))
    book.write(row, "pair", "squared_error", 0, (scores[0] - label) ** 2 - (scores[1] - label) ** 2)


def _clip(score):
    return min(max(score, EPS), 1 - EPS)
