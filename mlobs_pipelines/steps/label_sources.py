"""From stored statistics to labels of every window by where they came from and what they say."""

from collections.abc import Iterator

import numpy as np

from mlobs_pipelines.core.summaries import LabelSourceSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts
from mlobs_pipelines.engine.label_sources import LABEL_SOURCE, parted
from mlobs_pipelines.steps.windows import Counts

_PART = "categories"


def label_sources(counts: Counts, classes: tuple[str, ...]) -> Iterator[LabelSourceSummary]:
    """Labels by source and class; nothing where no label tells its source."""
    names = counts.flat(LABEL_SOURCE, _PART)[0].names
    if names is None:
        return
    known = [(label, source) for label, source in map(parted, names.unique().to_pylist()) if label >= 0]
    sources = tuple(sorted({source for _, source in known}))
    yield weighted(
        *(
            LabelSourceSummary(_labels(layer, sources, len(classes)), sources, classes)
            for layer in counts.layers()
        )
    )


def _labels(counts: Counts, sources: tuple[str, ...], classes: int) -> Amounts:
    """(G, W, S, K) labels; those of a category that was folded are left out."""
    flat, group, day = counts.flat(LABEL_SOURCE, _PART)
    place = {source: index for index, source in enumerate(sources)}
    encoded = [] if flat.names is None else flat.names.to_pylist()
    parts = [parted(name) for name in encoded]
    code = np.array([place.get(s, -1) * classes + k if k >= 0 else -1 for k, s in parts], dtype=np.int64)
    kept = code >= 0
    found = counts.windows(
        group[kept], day[kept], code[kept], len(sources) * classes, np.asarray(flat.counts)[kept]
    )
    return np.asarray(found.reshape(*found.shape[:2], len(sources), classes))
