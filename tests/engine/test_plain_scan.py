"""The scan against a loop over the rows, bit for bit: by any cut, with weights, crosses and sparse tables."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.core import tally
from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.engine import parts
from mlobs_pipelines.engine.scan import FeaturePlan, LabelScan, LogScan, ScanPlan
from tests.engine.plain_scan import agree, as_stored, plain_labels, plain_log
from tests.engine.test_scan import table

PLAN = ScanPlan(
    (
        FeaturePlan("x", Grid(1.0, 2.0, np.array([0.0, 1.5])), recomputed=True),
        FeaturePlan("c", None, recomputed=True),
        FeaturePlan("latency_ms", Grid(20.0, 10.0)),
    ),
    ("c", "flag"),
    {"v1": 0.5, "v2": 0.25},
    horizons_s=(3600.0, 7200.0),
    crosses=(("c", "flag"),),
    attributions={"x": "pit__x", "c": "queue_ms"},
)


def drawn(*, weighted):
    """Rows, on the last day without weights."""
    rows = table(900, seed=9)
    weights = np.random.default_rng(2).choice([1, 1, 1 / 0.3, 7.0], 900)
    weights[np.array(rows["day"]) == "2024-05-03"] = 1
    return rows.append_column("sample_weight", pa.array(weights)) if weighted else rows


@cache
def by_loop(*, weighted, n):
    """What loops over the first rows find, of both logs."""
    plain = drawn(weighted=weighted).slice(0, n).to_pylist()
    return plain_log(plain, PLAN), plain_labels(plain, PLAN)


def scanned(scan, rows, size):
    """Stored rows of a scan that takes so many rows at a time."""
    for batch in rows.combine_chunks().to_batches(max_chunksize=size):
        scan.add(batch)
    return as_stored(scan.finish())


@pytest.mark.parametrize("dense", [1 << 19, 2000, 0], ids=["joint", "apart", "sparse"])
@pytest.mark.parametrize("size", [900, 130, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_scan_stores_what_a_loop_finds(monkeypatch, dense, size, weighted):
    """Keys, codes, counts and sums are those of a loop, to the last bit; moments are to rounding."""
    for module in (tally, parts):
        monkeypatch.setattr(module, "DENSE_CELLS", dense)
    n = 100 if size == 1 else 900
    rows, (log, labels) = drawn(weighted=weighted).slice(0, n), by_loop(weighted=weighted, n=n)
    agree(scanned(LogScan(PLAN), rows, size), log)
    agree(scanned(LabelScan(PLAN), rows, size), labels)


def test_texts_as_dictionaries_are_the_same_texts():
    """Batches with dictionaries of their own, in any order and with unused words, count like plain texts."""
    rows = drawn(weighted=True)
    plain = as_stored_of(rows)
    coded = rows
    for name in ("model_version", "role", "status", "c", "pit__c", "state"):
        index = coded.column_names.index(name)
        chunks = [rows[name].slice(at, 300).combine_chunks().dictionary_encode() for at in (0, 300, 600)]
        coded = coded.set_column(index, name, pa.chunked_array(chunks))
    for one, other in zip(as_stored_of(coded), plain, strict=True):
        agree(one, other)


def as_stored_of(rows):
    """Stored rows of both scans, batch by batch."""
    log, labels = LogScan(PLAN), LabelScan(PLAN)
    for batch in rows.to_batches():
        log.add(batch)
        labels.add(batch)
    return as_stored(log.finish()), as_stored(labels.finish())
