"""A year of stored statistics asked one question: the drift of every feature in every group, by quarter.

The year is one small day of `measuring`'s rows, counted anew for each date, and kept as the lake keeps it: a
file per day. Timed is all from the files to PSI on ten bins (categories hashed to as many), on two threads.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlobs_pipelines.core.buckets import ATOM_BASE, MAX_ATOMS, bucket_codes, bucket_of, quantile_edges
from mlobs_pipelines.engine.cells import SORT_BY
from mlobs_pipelines.engine.scan import ScanPlan, scan_log

CELLS, MOST_BINS, MOST_GROUPS = ATOM_BASE + MAX_ATOMS + 1, 10, 64
GROUP = ("model_version", "segment", "segment_value")
TEXTS = [*GROUP, "subject", "part"]
COLUMNS = [*TEXTS, "codes", "names", "counts"]
FIRST, DAYS, QUARTER = date(2023, 1, 1), 365, 91
ROWS_PER_DAY = 5_000


def write(folder: Path, plan: ScanPlan, source: Path) -> None:
    """Store the year's statistics."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    rows = pq.read_table(source)
    for number in range(DAYS):
        day = rows.slice(number * 331 % (rows.num_rows - ROWS_PER_DAY), ROWS_PER_DAY)
        day = day.set_column(
            day.column_names.index("day"),
            "day",
            pa.array([str(FIRST + timedelta(days=number))] * day.num_rows),
        )
        cells = scan_log(day, plan).sort_by([(name, "ascending") for name in SORT_BY])
        pq.write_table(cells, folder / f"{number:03d}.parquet", compression="snappy")


def bins_of(source: Path, plan: ScanPlan) -> tuple[np.ndarray, pa.Array]:
    """Drift bin of every cell of every numeric feature, as a table; and all categories, a bin each."""
    table = np.zeros((len(plan.features) + 1, CELLS), dtype=np.int64)
    words = []
    for position, feature in enumerate(plan.features):
        column = pq.read_table(source, columns=[feature.name]).column(0).drop_null()
        if feature.grid is None:
            words.append(column.unique())
            continue
        grid = feature.grid
        codes = bucket_codes(column.to_numpy() + 0.0, grid.location, grid.scale)
        edges = quantile_edges(*np.unique(codes, return_counts=True))
        cells = bucket_of(np.arange(ATOM_BASE + grid.atoms.size, dtype=np.int32), grid)
        table[position, : cells.size] = np.searchsorted(edges, cells, side="right")
    return table, pa.concat_arrays(words)


def query(folder: Path, plan: ScanPlan, bins: tuple[np.ndarray, pa.Array]) -> np.ndarray:
    """PSI of each quarter against the first: per version and region, and per feature."""
    files = sorted(folder.glob("*.parquet"))
    with ThreadPoolExecutor(2) as pool:
        days = pool.map(lambda file: _day(file, plan, *bins), files)
        groups: dict[tuple[str, ...], int] = {}
        added = np.zeros((4, MOST_GROUPS, len(plan.features), MOST_BINS))
        for number, (keys, counted) in enumerate(days):
            at = [groups.setdefault(key, len(groups)) for key in keys]
            np.add.at(added[min(number // QUARTER, 3)], at, counted)
    added = added[:, : len(groups)]
    used = added.sum(axis=(0, 1)) > 0
    smoothed = np.where(used, added + 0.5, 0)
    shares = smoothed / smoothed.sum(axis=-1, keepdims=True)
    ratio = np.divide(shares[1:], shares[:1], out=np.ones_like(shares[1:]), where=used)
    return ((shares[1:] - shares[:1]) * np.log(ratio)).sum(axis=-1)


def _day(
    file: Path, plan: ScanPlan, table: np.ndarray, words: pa.Array
) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """One day's counts by group, feature and drift bin."""
    rows = pq.read_table(file, columns=COLUMNS, use_threads=False, read_dictionary=TEXTS).combine_chunks()
    text, group = _codes(rows, GROUP)
    subjects, subject = _codes(rows, ("subject", "part"))
    names = {
        f"{f.name}|{'categories' if f.grid is None else 'cells'}": i for i, f in enumerate(plan.features)
    }
    # Other parts are counted as one feature more, and dropped.
    feature = np.array([names.get(some, len(names)) for some in subjects])[subject]
    lists = [rows.column(name).chunk(0) for name in ("codes", "names", "counts")]
    row = pc.list_parent_indices(lists[2]).to_numpy()
    bins = np.empty(row.size, dtype=np.int64)
    coded = rows.column("codes").is_valid().to_numpy()[row]
    bins[coded] = table[feature[row[coded]], lists[0].flatten().to_numpy()]
    bins[~coded] = _word_bins(lists[1].flatten(), words)
    keys = ((group * (len(names) + 1) + feature) * MOST_BINS)[row] + bins
    shape = (len(text), len(names) + 1, MOST_BINS)
    counted = np.bincount(keys, weights=lists[2].flatten().to_numpy(), minlength=int(np.prod(shape)))
    return [tuple(key.split("|")) for key in text], counted.reshape(shape)[:, :-1]


def _codes(rows: pa.Table, columns: tuple[str, ...]) -> tuple[list[str], np.ndarray]:
    """Values of several columns together: what they are, and which of them each row has."""
    combined, words = np.zeros(rows.num_rows, dtype=np.int64), [""]
    for name in columns:
        coded = rows.column(name).chunk(0)
        own = coded.dictionary.to_pylist()
        combined = combined * len(own) + coded.indices.to_numpy()
        words = [f"{left}|{right}" for left in words for right in own]
    return [word[1:] for word in words], combined


def _word_bins(names: pa.Array, words: pa.Array) -> np.ndarray:
    encoded = names.dictionary_encode()
    return (pc.index_in(encoded.dictionary, words).to_numpy() % MOST_BINS).take(encoded.indices.to_numpy())
