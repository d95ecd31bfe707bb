"""From stored statistics to the pairs of windows: a summary for every group, over the cells that it has.

Groups are taken one by one, since a small one fills few of the cells that a large one does. What pairs are is
`core.summaries.paired`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.pairing import pair_ranges
from mlobs_pipelines.core.summaries import ClassPairSummary, PairSummary, Summary, ValuePairSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Ints
from mlobs_pipelines.engine.pairs import AGREEMENT_CODES, PAIR
from mlobs_pipelines.steps.windows import Counts

SIDES = ("positive", "negative")
KINDS: Mapping[str, type[Summary]] = {
    "binary": PairSummary,
    "multiclass": ClassPairSummary,
    "regression": ValuePairSummary,
}
Pairs = PairSummary | ClassPairSummary | ValuePairSummary


def has_pairs(counts: Counts) -> bool:
    """Whether the version was ever beside the champion."""
    return any(subject == PAIR for subject, _ in counts.parts)


def pair_summaries(counts: Counts, task: str) -> Iterator[Pairs]:
    """Pairs of every window, one summary per group, in their order."""
    by_group = {name: split_by_group(counts.parts[name]) for name in counts.parts if name[0] == PAIR}
    for group in counts.groups:
        mine = {name: found[group] for name, found in by_group.items() if group in found}
        layers = counts.of_group(group, mine).layers()
        yield weighted(*(_BUILD[task](layer) for layer in layers))


def stacked(estimates: Sequence[Estimate]) -> Estimate:
    """One estimate of all groups from one of each."""
    arrays = {
        f.name: np.stack([getattr(one, f.name) for one in estimates])
        for f in fields(Estimate)
        if f.name != "need"
    }
    return Estimate(**arrays, need=estimates[0].need)


def split_by_group(rows: pa.Table) -> Mapping[tuple[str, str], pa.Table]:
    """Stored rows by segment and segment value."""
    names = (rows.column(name).to_pylist() for name in ("segment", "segment_value"))
    found: dict[tuple[str, str], list[int]] = {}
    for position, group in enumerate(zip(*names, strict=True)):
        found.setdefault(group, []).append(position)
    return {group: rows.take(pa.array(at)) for group, at in found.items()}


def _binary(counts: Counts) -> PairSummary:
    """Pairs of one group of a binary model."""
    cells = _codes(counts, [f"{whose}_{side}" for whose in ("own", "champion") for side in SIDES])
    joint = _codes(counts, [f"joint_{side}" for side in SIDES])
    found: dict[str, Any] = {
        f"{whose}_{side}s": _dense(counts, f"{whose}_{side}", joint if whose == "joint" else cells)
        for whose in ("own", "champion", "joint")
        for side in SIDES
    }
    own, champion = (np.searchsorted(cells, ends) for ends in pair_ranges(joint))
    return PairSummary(own_range=own, champion_range=champion, **found, **_decisions(counts))


def _classes(counts: Counts) -> ClassPairSummary:
    return ClassPairSummary(**_decisions(counts))


def _values(counts: Counts) -> ValuePairSummary:
    labelled = counts.counts(PAIR, "absolute_error", 1)[0, :, 0]
    sums = _sums(counts, "absolute_error", "squared_error")
    return ValuePairSummary(labelled=labelled, unlabelled=_unlabelled(counts), **sums)


_BUILD: Mapping[str, Callable[[Counts], Pairs]] = {
    "binary": _binary,
    "multiclass": _classes,
    "regression": _values,
}


def _decisions(counts: Counts) -> dict[str, Any]:
    """What pairs of every class model have."""
    agreement = counts.counts(PAIR, "agreement", len(AGREEMENT_CODES))[0]
    found = {name: agreement[..., code] for name, code in AGREEMENT_CODES.items()}
    return found | _sums(counts, "log_loss", "squared_error") | {"unlabelled": _unlabelled(counts)}


def _sums(counts: Counts, *names: str) -> dict[str, Any]:
    """Σ and Σ² of differences."""
    found: dict[str, Any] = {}
    for name in names:
        first, second = counts.sums(PAIR, name, 1)
        found |= {name: first[0, :, 0], f"{name}_sq": second[0, :, 0]}
    return found


def _unlabelled(counts: Counts) -> Amounts:
    return np.asarray(counts.counts(PAIR, "unlabelled", 1)[0, :, 0])


def _codes(counts: Counts, parts: list[str]) -> Ints:
    """Every code of some parts, ascending."""
    return np.unique(np.concatenate([counts.flat(PAIR, part)[0].codes for part in parts])).astype(np.int64)


def _dense(counts: Counts, part: str, codes: Ints) -> Amounts:
    """Counts of a part over given codes, by window."""
    flat, group, day = counts.flat(PAIR, part)
    return np.asarray(
        counts.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)[0]
    )
