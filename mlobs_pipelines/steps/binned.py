"""Counts over drift bins straight from stored statistics, day by day: what a question about years needs.

A cell falls into its bin by one look-up, so nothing but bins is kept; the finest cells, which other metrics
take, are arranged in `windows`. What is made of the counts is `between`.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlobs_pipelines.core.buckets import ATOM_BASE, MAX_ATOMS, bucket_of
from mlobs_pipelines.core.vocabulary import Amounts, Floats, Ints
from mlobs_pipelines.engine.cells import EXCESS
from mlobs_pipelines.steps.binning import SCORE, Baseline, FeatureBaseline
from mlobs_pipelines.steps.windows import SCORE_PARTS

if TYPE_CHECKING:  # imports pandas, and no more than its name is needed
    import pyarrow.dataset as ds

CODES = ATOM_BASE + MAX_ATOMS + 1
GROUP = ("model_version", "segment", "segment_value")
TEXTS = [*GROUP, "subject", "part"]
NAMES = "names.list.element"  # as Parquet calls the texts inside the lists
LAYERS = ("counts", "sums", "squares")  # rows seen, and what weights and squared weights make them more
Named = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Binning:
    """Which drift bin each cell of each feature of each version falls into.

    Attributes
    ----------
    versions, features
        What there are bins for; the score is the last feature.
    width : (V, F)
        How many bins a feature has, the NULL bin included.
    bins
        The most bins any feature has; a cell with this bin is none.
    places
        Row of `coded` and `named`, and index of the feature, by version, subject and part.
    coded : (R, CODES)
        Bin of each code.
    named : (R, C + 1)
        Bin of each of the categories, and of any other.
    categories
        Every category that has a bin.
    """

    versions: tuple[str, ...]
    features: tuple[str, ...]
    width: Ints
    bins: int
    places: Mapping[Named, tuple[int, int]]
    coded: Amounts
    named: Amounts
    categories: pa.Array

    @staticmethod
    def of(baselines: Mapping[str, Baseline], features: Sequence[str]) -> "Binning":
        """The bins of every version's training set."""
        names = (*features, SCORE)
        found = [(version, name, one.features[name]) for version, one in baselines.items() for name in names]
        words = sorted({text for *_, binned in found for text in binned.categories})
        width = np.array([_width(binned) for *_, binned in found])
        most, at = int(width.max()), {text: place for place, text in enumerate(words)}
        # The last two rows: any request is in bin 0, and what is about none of this is in none.
        coded = np.full((2 * len(found) + 2, CODES), most, dtype=np.uint16)
        named = np.full((coded.shape[0], len(words) + 1), most, dtype=np.uint16)
        coded[-2] = 0
        places = {(version, "requests", "status"): (coded.shape[0] - 2, len(names)) for version in baselines}
        for row, (version, name, binned) in enumerate(found):
            feature, nulls = names.index(name), len(found) + row
            coded[nulls, 1] = width[row] - 1
            places[version, name, "rows"] = nulls, feature
            places |= {(version, name, part): (row, feature) for part in _parts(name, binned)}
            _fill(coded[row], named[row], binned, at)
        shape = (len(baselines), len(names))
        return Binning(
            tuple(baselines),
            names,
            width.reshape(shape),
            most,
            places,
            coded,
            named,
            pa.array(words, pa.string()),
        )


def _width(binned: FeatureBaseline) -> int:
    return 2 + (
        binned.edges.size if binned.grid is not None or not binned.categories else len(binned.categories)
    )


def _parts(name: str, binned: FeatureBaseline) -> Sequence[str]:
    if name == SCORE:
        return SCORE_PARTS
    return ("categories",) if binned.grid is None else ("cells",)


def _fill(coded: Amounts, named: Amounts, binned: FeatureBaseline, at: Mapping[str, int]) -> None:
    """Write the bins of one feature down."""
    if binned.grid is None and binned.categories:
        named[:] = len(binned.categories)
        named[[at[text] for text in binned.categories]] = np.arange(len(binned.categories))
        return
    named[:] = 0  # every category is another one where none has a bin of its own
    cells = np.arange(CODES - 1, dtype=np.int32)
    if binned.grid is not None:
        cells = bucket_of(cells[: ATOM_BASE + binned.grid.atoms.size], binned.grid)
    coded[: cells.size] = np.searchsorted(binned.edges, cells, side="right")


@dataclass(frozen=True, slots=True)
class Binned:
    """Rows per drift bin.

    Attributes
    ----------
    groups
        Version, segment and segment value of each entry of the third axis.
    rows : (3, S, G, F + 1, B)
        By rows seen, by weight and by squared weight, for each stretch of days. After the features come the
        requests, all in bin 0.
    """

    groups: Sequence[Named]
    rows: Floats


def binned(
    days: Iterable[tuple["ds.ParquetFileFragment", Sequence[int]]],
    stretches: int,
    binning: Binning,
    threads: int,
) -> Binned:
    """Add stored statistics up.

    Parameters
    ----------
    days
        Stored files, each with the stretches of days that it belongs to.
    threads
        How many files are read at once.
    """
    shape, listed = (len(binning.features) + 1, binning.bins), list(days)
    groups: dict[Named, int] = {}
    added = np.zeros((len(LAYERS), stretches, 0, *shape))
    with ThreadPoolExecutor(threads) as pool:
        counted = pool.map(lambda day: _day(day[0], binning), listed)
        for (_, where), (keys, rows) in zip(listed, counted, strict=True):
            at = [groups.setdefault(key, len(groups)) for key in keys]
            if len(groups) > added.shape[2]:
                more = len(groups) - added.shape[2]
                added = np.pad(added, [(0, 0), (0, 0), (0, more), (0, 0), (0, 0)])
            for stretch in where:
                added[: len(rows), stretch, at] += rows
    added[1:] += added[0]
    return Binned(list(groups), added)


def _day(file: "ds.ParquetFileFragment", binning: Binning) -> tuple[list[Named], Floats]:
    """One file's rows by group, feature and bin; where there are weights, what these add too."""
    rows = _read(file, ["codes", "names", "counts"])
    if not rows.num_rows:
        return [], np.zeros((1, 0, len(binning.features) + 1, binning.bins))
    keys, group = _coded(rows, GROUP)
    told, subject = _coded(rows, ("model_version", "subject", "part"))
    size = (len(keys), len(binning.features) + 1, binning.bins + 1)
    found = [_tallied(rows, "counts", binning, _Places.of(told, binning, ""), (subject, group), size)]
    if any(part.endswith(EXCESS) for *_, part in told):
        rows, heavy = _read(file, ["codes", "names", *LAYERS[1:]]), _Places.of(told, binning, EXCESS)
        found += [_tallied(rows, name, binning, heavy, (subject, group), size) for name in LAYERS[1:]]
    return keys, np.stack(found)[..., :-1]


def _read(file: "ds.ParquetFileFragment", columns: list[str]) -> pa.Table:
    with file.filesystem.open_input_file(file.path) as source:
        opened = pq.ParquetFile(source, read_dictionary=[*TEXTS, NAMES])
        return opened.read(columns=[*TEXTS, *columns], use_threads=False).combine_chunks()


def _coded(rows: pa.Table, columns: tuple[str, ...]) -> tuple[list[Named], Ints]:
    """Values of three columns together: those that occur, and which of them each row has."""
    combined, words = np.zeros(rows.num_rows, dtype=np.int64), []
    for name in columns:
        column = rows.column(name).chunk(0)
        words.append(column.dictionary.to_pylist())
        combined = combined * len(words[-1]) + column.indices.to_numpy()
    present = np.flatnonzero(np.bincount(combined))
    index = np.zeros(present[-1] + 1, dtype=np.int64)
    index[present] = np.arange(present.size)
    places = np.unravel_index(present, tuple(map(len, words)))
    parts = ([some[at] for at in place.tolist()] for some, place in zip(words, places, strict=True))
    return list(zip(*parts, strict=True)), index[combined]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where each combination of version, subject and part is looked up, and which feature it is of."""

    row: Ints
    feature: Ints

    @staticmethod
    def of(told: Sequence[Named], binning: Binning, sign: str) -> "_Places":
        nothing = (binning.coded.shape[0] - 1, 0)
        keys = [(version, subject, part.removesuffix(sign)) for version, subject, part in told]
        mine = [part.endswith(sign) for *_, part in told]
        found = [
            binning.places.get(key, nothing) if yes else nothing for key, yes in zip(keys, mine, strict=True)
        ]
        row, feature = zip(*found, strict=True)
        return _Places(np.array(row), np.array(feature))


def _tallied(
    rows: pa.Table,
    values: str,
    binning: Binning,
    places: _Places,
    index: tuple[Ints, Ints],
    size: tuple[int, int, int],
) -> Floats:
    """Values added up by group, feature and bin; what is in no bin comes last."""
    subject, group = index
    present = rows.column(values).is_valid()
    if not pc.all(present).as_py():  # a part without weights has no sums
        keep = np.asarray(present)
        rows, subject, group = rows.filter(present).combine_chunks(), subject[keep], group[keep]
    row, start = places.row[subject], (group * size[1] + places.feature[subject]) * size[2]
    lists = rows.column(values).chunk(0)
    lengths = pc.list_value_length(lists).to_numpy()
    coded = rows.column("codes").chunk(0).is_valid().to_numpy(zero_copy_only=False)
    amounts, keys = lists.flatten().to_numpy(), np.empty(int(lengths.sum()), dtype=np.int64)
    by_code = np.repeat(coded, lengths)
    keys[by_code] = _code_bins(rows, binning, row[coded], lengths[coded])
    keys[~by_code] = _name_bins(rows, binning, row[~coded], lengths[~coded])
    keys += np.repeat(start, lengths)
    return np.bincount(keys, amounts, int(np.prod(size))).astype(np.float64, copy=False).reshape(size)


def _code_bins(rows: pa.Table, binning: Binning, row: Ints, lengths: Ints) -> Amounts:
    codes = np.minimum(rows.column("codes").chunk(0).flatten().to_numpy(), CODES - 1)
    return np.asarray(binning.coded.ravel()[np.repeat(row * CODES, lengths) + codes])


def _name_bins(rows: pa.Table, binning: Binning, row: Ints, lengths: Ints) -> Amounts:
    words = rows.column("names").chunk(0).flatten()
    known = pc.fill_null(
        pc.index_in(words.dictionary, binning.categories), len(binning.categories)
    ).to_numpy()
    width = binning.named.shape[1]
    place = np.repeat(row * width, lengths) + known[words.indices.to_numpy()]
    return np.asarray(binning.named.ravel()[place])
