"""From stored samples of days to one sample of each window beside that of its baseline, and to their metrics.

A day's sample holds all rows whose hash is at most its largest one. So the rows of a window up to the least
such hash of its days are a plain sample of the window: busy days have their share of it, and no day's rows
need a weight of their own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.summaries import SampleSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Ints, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.cells import CELLS_SCHEMA
from mlobs_pipelines.engine.requests import REQUESTS, STATUS
from mlobs_pipelines.engine.sample import SAMPLE
from mlobs_pipelines.steps.bins import sampled_features
from mlobs_pipelines.steps.windows import Counts

WINDOW_ROWS, BASELINE_ROWS = 4_000, 2_000
_KEY = ("day", "model_version", "role")
_LARGEST = np.iinfo(np.int64).max
Parts = Mapping[tuple[str, str], pa.Table]


def windows_of(spec: ModelSpec, metric: Metric) -> set[Window]:
    """Windows over which a metric of samples is computed: months, and those that an objective names."""
    declared = spec.monitor.windows
    usual = Window.MONTH if Window.MONTH in declared else Window.FOUR_WEEKS
    return {usual} | {one.window for one in spec.monitor.objectives if one.metric == metric.name}


def sample_estimates(
    spec: ModelSpec, metrics: Iterable[Metric], counts: Counts, base: Counts
) -> Iterator[tuple[Metric, str, Estimate]]:
    """Metrics of samples, of all rows: NaN for segments, and for windows over which they are not computed."""
    names = sampled_features(spec)
    if len(names) < 2:
        return
    numeric = {feature.name for feature in spec.monitor.features if feature.kind == "numeric"}
    built: dict[tuple[int, ...], SampleSummary] = {}
    for metric in metrics:
        asked = windows_of(spec, metric)
        chosen = tuple(at for at, span in enumerate(counts.spans) if span.window in asked)
        if chosen not in built:
            built[chosen] = sample_summary(counts, base, chosen, {name: name in numeric for name in names})
        yield metric, "", _placed(metric.function(built[chosen]), chosen, counts)


def _placed(found: Estimate, chosen: Sequence[int], counts: Counts) -> Estimate:
    shape, at = (len(counts.groups), len(counts.spans)), list(chosen)
    empty = Estimate(np.full(shape, np.nan), np.zeros(shape, np.int64), sufficient=np.array(False))  # noqa: FBT003 - a scalar
    arrays = {}
    for item in fields(Estimate):
        if item.name != "need":
            arrays[item.name] = getattr(empty, item.name).astype(getattr(found, item.name).dtype)
            arrays[item.name][0, at] = getattr(found, item.name)
    return Estimate(**arrays, need=found.need)


def sample_summary(
    counts: Counts, base: Counts, chosen: Sequence[int], numeric: Mapping[str, bool]
) -> SampleSummary:
    """Samples of some windows beside those of their baselines.

    Parameters
    ----------
    chosen
        Positions of the windows among the spans.
    numeric
        Of each feature, whether it is a number.
    """
    pools = [_Pool.of(owner.parts) for owner in (counts, base)]
    columns = [_column([pool.lists(name) for pool in pools], number) for name, number in numeric.items()]
    values = [np.stack(list(some), axis=-1) for some in zip(*columns, strict=True)]
    spans = [counts.spans[at] for at in chosen]
    window = _dense(pools[0], values[0], spans, WINDOW_ROWS)
    before = base.spans if len(base.spans) == 1 else [base.spans[at] for at in chosen]
    based = _dense(pools[1], values[1], before, BASELINE_ROWS)
    based = [array[0] for array in based] if len(base.spans) == 1 else based
    return SampleSummary(
        hashes=window[0],
        weights=window[1],
        values=window[2],
        baseline_hashes=based[0],
        baseline_weights=based[1],
        baseline_values=based[2],
        categorical=np.array([not number for number in numeric.values()]),
        names=tuple(numeric),
    )


@dataclass(frozen=True, slots=True)
class _Pool:
    """The sampled rows of many days.

    Attributes
    ----------
    keys, days, limits : one per day, version and role
        Which it is, and the hash up to which all of its rows are here.
    part : (n,)
        Position of the key of each row.
    hashes, weights : (n,)
        Of each row.
    """

    parts: Parts
    keys: pa.Array
    days: np.ndarray
    limits: Ints
    part: Ints
    hashes: Ints
    weights: Floats

    @staticmethod
    def of(parts: Parts) -> "_Pool":
        rows = parts.get((REQUESTS, SAMPLE))
        if rows is None or not rows.num_rows:
            none = np.empty(0, dtype=np.int64)
            return _Pool(parts, pa.array([], pa.string()), none.astype(str), none, none, none, np.empty(0))
        lengths = pc.list_value_length(rows.column("counts")).to_numpy()
        hashes = pc.list_flatten(rows.column("counts")).to_numpy()
        keys, ends = _keys(rows), np.cumsum(lengths)
        limits = np.where(lengths < _seen(parts, keys), hashes[ends - 1], _LARGEST)
        return _Pool(
            parts,
            keys,
            np.array(rows.column("day").to_pylist()),
            limits,
            np.repeat(np.arange(lengths.size), lengths),
            hashes,
            pc.list_flatten(rows.column("sums")).to_numpy(),
        )

    def lists(self, name: str) -> pa.ChunkedArray | pa.Array:
        """Values of a feature in the order of the rows, numbers or names; nulls where it was not sampled."""
        rows = self.parts.get((name, SAMPLE))
        if rows is None or not rows.num_rows:
            return pa.nulls(self.part.size)
        column = rows.column("sums" if rows.column("names").null_count == rows.num_rows else "names")
        lists = column.combine_chunks()
        lists = lists if isinstance(lists, pa.ListArray) else pa.concat_arrays(lists.chunks)
        lengths = pc.list_value_length(lists).to_numpy()
        starts = np.cumsum(lengths) - lengths
        row = pc.index_in(self.keys, _keys(rows)).to_numpy(zero_copy_only=False)
        first = np.searchsorted(self.part, self.part)
        start = np.where(np.isnan(row), np.nan, starts[np.nan_to_num(row).astype(np.int64)])[self.part]
        at = start + np.arange(self.part.size) - first
        places = pa.array(np.nan_to_num(at).astype(np.int64), mask=np.isnan(at))
        return lists.flatten().take(places)

    def within(self, span: Span) -> Flags:
        """Which keys are of a window's days."""
        found: Flags = (self.days >= span.start.isoformat()) & (self.days < span.end.isoformat())
        return found

    def smallest(self, inside: Flags, size: int) -> Ints:
        """Positions of the rows of a sample of some keys together, by hash."""
        if not inside.any():
            return np.empty(0, dtype=np.int64)
        at = np.flatnonzero(inside[self.part] & (self.hashes <= self.limits[inside].min()))
        found: Ints = at[np.argsort(self.hashes[at], kind="stable")][:size]
        return found


def merged_sample(rows: pa.Table, day: str, role: str) -> pa.Table:
    """One sample of what samples of many days and roles of one version were taken from.

    Parameters
    ----------
    rows
        Statistics, of `CELLS_SCHEMA`.
    day, role
        What stands for the days and roles in the result.

    Returns
    -------
    pyarrow.Table
        Of `CELLS_SCHEMA`; empty where nothing was sampled.
    """
    sampled = rows.filter(pc.equal(rows.column("part"), SAMPLE))
    subjects = sorted(set(sampled.column("subject").to_pylist()) - {REQUESTS})
    parts = {(name, SAMPLE): sampled.filter(pc.equal(sampled.column("subject"), name)) for name in subjects}
    parts[REQUESTS, SAMPLE] = sampled.filter(pc.equal(sampled.column("subject"), REQUESTS))
    mine = pc.and_(pc.equal(rows.column("subject"), REQUESTS), pc.equal(rows.column("part"), STATUS))
    parts[REQUESTS, STATUS] = rows.filter(mine)
    pool = _Pool.of(parts)
    at = pool.smallest(np.ones(len(pool.keys), dtype=bool), BASELINE_ROWS)
    if not at.size:
        return CELLS_SCHEMA.empty_table()
    once, rank = np.ones(at.size, dtype=np.int64), np.arange(at.size, dtype=np.int32)
    constant = {
        "day": day,
        "model_version": sampled.column("model_version")[0].as_py(),
        "role": role,
        "segment": "",
        "segment_value": "",
        "part": SAMPLE,
    }
    found = [{"subject": REQUESTS, "codes": rank, "counts": pool.hashes[at], "sums": pool.weights[at]}]
    for name in subjects:
        values = pool.lists(name).take(pa.array(at))
        held = {"names": values} if pa.types.is_string(values.type) else {"codes": rank, "sums": values}
        found.append({"subject": name, "counts": once, **held})
    return pa.Table.from_pylist([{**constant, **row} for row in found], schema=CELLS_SCHEMA)


def _keys(rows: pa.Table) -> pa.Array:
    keys = pc.binary_join_element_wise(*(rows.column(name) for name in _KEY), "\x1f")
    return keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys


def _seen(parts: Parts, keys: pa.Array) -> Ints:
    """How many rows there were of each key; as many as can be where that is not known."""
    status = parts.get((REQUESTS, STATUS))
    found = {}
    if status is not None:
        whole = status.filter(pc.equal(status.column("segment"), ""))
        pairs = zip(_keys(whole).to_pylist(), whole.column("counts").to_pylist(), strict=True)
        found = {key: sum(counted) for key, counted in pairs}
    return np.array([found.get(key, _LARGEST) for key in keys.to_pylist()], dtype=np.int64)


def _column(pair: Sequence[pa.Array], number: bool) -> list[Floats]:  # noqa: FBT001 - as `numeric` says
    """Values of one feature of both pools as numbers: categories by their place among all names."""
    if number:
        return [some.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64) for some in pair]
    texts = [some.cast(pa.string()) for some in pair]
    names = pa.array(sorted(set(pa.concat_arrays(texts).drop_null().to_pylist())), pa.string())
    codes = (pc.index_in(some, names, skip_nulls=True) for some in texts)
    return [code.cast(pa.float64()).to_numpy(zero_copy_only=False) for code in codes]


def _dense(pool: _Pool, values: Floats, spans: Sequence[Span], size: int) -> list[np.ndarray]:
    """Hashes, weights and values of every window, filled up to the same number of rows."""
    shape = (len(spans), size)
    hashes, weights = np.full(shape, _LARGEST), np.zeros(shape)
    dense = np.full((*shape, values.shape[-1]), np.nan)
    for index, span in enumerate(spans):
        at = pool.smallest(pool.within(span), size)
        hashes[index, : at.size], weights[index, : at.size] = pool.hashes[at], pool.weights[at]
        dense[index, : at.size] = values[at]
    return [hashes, weights, dense]
