"""From stored statistics to what the known labels of each window's days stand for, of one group.

The arithmetic is `core.arrival`; what becomes of binary and of multiclass labels that stand for others is
`corrected` and `class_corrected`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from mlobs_pipelines.core.arrival import Standing, arrived_share, standing
from mlobs_pipelines.core.vocabulary import Amounts, Flags, Floats, Ints, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.class_lags import LAGS, codes_of
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.class_lags import LABEL
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.windows import Counts

Standings = Sequence[tuple[Ints, Standing]]  # of every window: its days, and what their labels stand for
Days = TypeVar("Days", bound="Waiting")


class Waiting(Protocol):
    """Labels of days, and rows that still wait for theirs."""

    @property
    def known(self) -> Amounts:
        """(D, S, L) labels by stratum and the age of their prediction."""

    @property
    def waiting(self) -> Amounts:
        """(D, L) predictions without a label by age."""

    def of_group(self, group: int) -> Self:
        """The days of one group, where these are of all."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast labels came before each window.

    Attributes
    ----------
    share : (W, S, L)
        Probability that a label has arrived, by stratum and age.
    labels : (W, S)
        What the probabilities rest on, as labels of equal weight.
    """

    share: Floats
    labels: Floats

    @staticmethod
    def of(layers: Sequence[Amounts], chosen: Flags, alike: int) -> "Speed":
        """From the lags (E, S, L) of one group's matured days, at each power of weights.

        `alike` strata after one another are of one label, and stand in for each other where labels are few.
        """
        both, found = (layers[0].shape[1] // alike, alike, layers[0].shape[2]), []
        for mine in chosen:
            lags = [layer[: mine.size][mine].sum(axis=0).reshape(both) for layer in layers]
            found.append(arrived_share(lags[min(1, len(lags) - 1)], lags[-1]))
        share = np.array([one for one, _ in found]).reshape(-1, *layers[0].shape[1:])
        return Speed(share, np.array([labels for _, labels in found]).reshape(-1, layers[0].shape[1]))


def of_groups(
    counts: Counts, matured: Cohorts, units: int, strata: tuple[int, int], layers: Sequence[Days]
) -> Iterator[tuple[list[Days], Standings, list[Any]]]:
    """The days of each group, what their labels stand for in each window, and what that was learned from.

    Parameters
    ----------
    matured
        Days that tell how long the labels of each window take.
    units
        Whole lag units up to the label horizon.
    strata
        How many labels there are, and how many strata of each.
    layers
        Days of all groups at each power of the rows' weights.
    """
    before, (labels, alike) = arranged(matured.rows, [matured.stretch]), strata
    earlier = [by_stratum(layer, LAGS, labels * alike, units + 1) for layer in by_day(before).layers()]
    for position, group in enumerate(counts.groups):
        known = before.groups.index(group) if group in before.groups else None
        lags = [layer[known] if known is not None else np.zeros_like(layer[0]) for layer in earlier]
        days, speed = [layer.of_group(position) for layer in layers], Speed.of(lags, matured.chosen, alike)
        found = standings(days, speed, counts)
        yield days, found, told_of(matured, speed, found)


def by_day(counts: Counts) -> Counts:
    """The same with every day as a window."""
    return replace(counts, spans=[Span(Window.DAY, day, day + timedelta(days=1)) for day in counts.days])


def by_stratum(daily: Counts, part: str, strata: int, width: int) -> Amounts:
    """Labels by group, day, stratum and unit: (G, D, S, L)."""
    flat, group, day = daily.flat(LABEL, part)
    unit, stratum = codes_of(flat.codes, strata)
    found = daily.windows(group, day, stratum * width + unit, strata * width, flat.counts)
    return np.asarray(found.reshape(*found.shape[:2], strata, width))


def by_age(daily: Counts, known: Amounts, labelled: Amounts) -> tuple[Amounts, Amounts]:
    """Labels by stratum and age, and rows that wait for one by age.

    Parameters
    ----------
    known : (G, D, S, L)
        Labels that have an age.
    labelled : (G, D, S)
        All labels. Those without an age, as a training set has them, are of predictions as old as the
        horizon.
    """
    width = known.shape[-1]
    aged, ageless = known.copy(), known.sum(axis=(-2, -1)) == 0
    aged[ageless, :, -1] = labelled[ageless]
    flat, group, day = daily.flat(LABEL, "pending")
    units = np.minimum(flat.codes, width - 1).astype(np.int64)
    return aged, daily.windows(group, day, units, width, flat.counts)


def standings(days: Sequence[Waiting], speed: Speed, counts: Counts) -> Standings:
    """What the labels of the days of each window stand for, given them at each power of weights."""
    first, found = counts.days[0], []
    for window, span in enumerate(counts.spans):
        within = np.arange((span.start - first).days, (span.end - first).days)
        known, squared = (days[min(power, len(days) - 1)].known[within] for power in (1, 2))
        waits = days[0].waiting[within]
        found.append((within, standing(known, squared, waits, speed.share[window], speed.labels[window])))
    return found


def told_of(matured: Cohorts, speed: Speed, found: Standings) -> list[Any]:
    """What each window was corrected with, in words that stand beside a judged value."""
    told: list[Any] = []
    for (_, stands), chosen, labels in zip(found, matured.chosen, speed.labels, strict=True):
        days = [day for (day, _), used in zip(matured.entries, chosen, strict=True) if used]
        between = {"first_day": days[0], "last_day": days[-1]} if days else {}
        rows = [round(float(n), 6) for n in labels]
        told.append({"corrected_with": {**between, "labels": rows}, "days_used": int(stands.used.sum())})
    return told
