"""What changed in the daily metrics about when an incident began: requests, labels, skew, drift, decisions.

Each change comes with its chance, its size and its days. Deliveries and releases are `upstream`; the order
of suspects is `core.causes`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.causes import Suspect, surprise
from mlobs_pipelines.core.changepoint import Changes, changes
from mlobs_pipelines.core.metrics.attribution import mean_change
from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints
from mlobs_pipelines.steps.series import DAY, Key, Panel
from mlobs_pipelines.steps.signals import place

LEAST_WEIGHT = 0.02
RESIDUAL = 0.5  # weight of what is left to blame once nothing upstream has moved
OUTCOMES = 0.4  # and of a base rate that moved: alone it leaves the ranking as it was
_UPSTREAM = frozenset({"predictions", "labels", "view", "feature", "scores"})
PREFERRED = 1.25  # how much more one segment value must tell than all rows to be named


@dataclass(frozen=True, slots=True)
class Sign:
    """What a metric's change is a sign of, and how much of it is large.

    Attributes
    ----------
    side
        1 where a rise is, -1 where a fall is, 0 for both.
    large
        The change beyond which more does not matter.
    ratio
        Whether that is a multiple of the value before.
    """

    kind: str
    side: int
    large: float
    ratio: bool = False


SIGNS = {
    "request_count": Sign("operations", 0, 0.5, ratio=True),
    "error_share": Sign("operations", 1, 0.05),
    "timeout_share": Sign("operations", 1, 0.05),
    "latency_p95": Sign("operations", 1, 0.5, ratio=True),
    "queue_time_p95": Sign("operations", 1, 1.0, ratio=True),
    "label_lag_p50": Sign("labels", 1, 1.0, ratio=True),
    "label_silence": Sign("labels", 1, 1.0, ratio=True),
    "label_coverage": Sign("labels", -1, 0.1),
    "label_completeness": Sign("labels", -1, 0.1),
    "label_lag_gap": Sign("labels", 1, 0.1),
    "label_source_gap": Sign("labels", 1, 0.1),
    "overdue_share": Sign("labels", 1, 0.05),
    "revised_label_share": Sign("labels", 1, 0.05),
    "conflicting_label_share": Sign("labels", 1, 0.05),
    "void_share": Sign("labels", 0, 0.05),
    "base_rate": Sign("outcomes", 0, 0.1),
    "skew_mismatch_share": Sign("skew", 1, 0.1),
    "skew_missing_share": Sign("skew", 1, 0.1),
    "skew_extra_share": Sign("skew", 1, 0.1),
    "skew_smape": Sign("skew", 1, 0.1),
    "psi": Sign("drift", 1, 0.25),
    "null_share": Sign("drift", 1, 0.1),
    "unseen_share": Sign("drift", 1, 0.1),
    "brier_score": Sign("relation", 1, 0.2, ratio=True),
    "log_loss": Sign("relation", 1, 0.2, ratio=True),
    "accuracy": Sign("relation", -1, 0.05),
    "auc": Sign("relation", -1, 0.05),
    "auc_macro": Sign("relation", -1, 0.05),
    "ece": Sign("relation", 1, 0.05),
    "mae": Sign("relation", 1, 0.2, ratio=True),
    "rmse": Sign("relation", 1, 0.2, ratio=True),
}
MEANS = ("brier_score", "accuracy", "mae", "log_loss")  # means over rows: their change is a sum over parts
ALL = ("", "")


@dataclass(frozen=True, slots=True)
class Look:
    """Where suspects are looked for.

    Attributes
    ----------
    begins
        Days between which they may begin.
    versions
        Versions that matter.
    importance
        Of each feature, the largest being 1, by version; NaN where unknown.
    own
        Tier and feature of what fails itself, which matters whatever its importance.
    """

    begins: tuple[date, date]
    versions: Sequence[str]
    importance: Mapping[str, Mapping[str, float]]
    own: frozenset[tuple[int, str]] = frozenset()


def metric_suspects(spec: ModelSpec, panel: Panel, look: Look) -> list[Suspect]:
    """Everything that changed in the daily metrics of some versions: of each feature and kind the most."""
    keys = list(panel.keys(SIGNS, look.versions))
    if not keys:
        return []
    found = changed(panel, keys, look.begins)
    best: dict[tuple[str, ...], Suspect] = {}
    for at in np.flatnonzero((found.first >= 0) & (found.p * len(keys) < 1)):
        key, one = keys[at], _suspect(spec, panel, look, keys[at], _one(found, int(at), len(keys)))
        if one.kind in {"relation", "outcomes"} and (key.segment, key.value) != ALL:
            continue
        slot = (one.kind, "" if one.kind == "labels" else key.version, key.feature)
        if slot not in best or _tells(one) > _tells(best[slot]):
            best[slot] = one
    return list(best.values())


def changed(panel: Panel, keys: Sequence[Key], begins: tuple[date, date]) -> Changes:
    """Look for a change in some series that begins between two days."""
    at = [panel.at[key] for key in keys]
    sides = np.array([SIGNS[key.metric].side if key.metric in SIGNS else 0 for key in keys])
    where = (panel.position(begins[0]), panel.position(begins[1]))
    ratios = np.array([key.metric in SIGNS and SIGNS[key.metric].ratio for key in keys])
    return changes_of(panel.values[at], where, sides, panel.spread[at], ratios)


def changes_of(values: Floats, where: tuple[int, int], sides: Ints, spread: Floats, ratios: Flags) -> Changes:
    """Look for changes, on a logarithmic scale where ratios count: one flood must not hide five dry days."""
    logs = np.log1p(np.maximum(values, 0.0))
    scale = 1 + np.array([np.nanmedian(row) if np.isfinite(row).any() else 0.0 for row in values])
    used = np.where(ratios[:, np.newaxis], logs, values)
    found = changes(used, where, sides, np.where(ratios, spread / np.maximum(scale, 1.0), spread))
    means = (np.where(ratios, np.expm1(side), side) for side in (found.before, found.during))
    before, during = means
    return Changes(found.first, found.end, before, during, found.p)


@dataclass(frozen=True, slots=True)
class _Change:
    """The change of one series."""

    first: int
    end: int
    before: float
    during: float
    p: float


def _one(found: Changes, at: int, looks: int) -> _Change:
    p = min(1.0, float(found.p[at]) * looks)
    numbers = (float(found.before[at]), float(found.during[at]))
    return _Change(int(found.first[at]), int(found.end[at]), *numbers, p)


def extent(sign: Sign, before: float, during: float) -> float:
    """Size of a change as a share of what counts as large, 1 at most."""
    scale = sign.large * (abs(before) if sign.ratio else 1.0)
    return 1.0 if not scale else min(1.0, abs(during - before) / scale)


def _tells(one: Suspect) -> float:
    whole = PREFERRED if not one.told["segment"] else 1.0
    return one.surprise * one.extent * whole


def _suspect(spec: ModelSpec, panel: Panel, look: Look, key: Key, found: _Change) -> Suspect:
    sign, where = SIGNS[key.metric], place(spec, key.metric, key.feature, key.version)
    own = (where.tier, key.feature) in look.own
    weight = 1.0 if own else look.importance.get(key.version, {}).get(key.feature, 1.0)
    plain = Suspect(
        kind=sign.kind,
        what=_words(sign.kind, key),
        tier=where.tier,
        subject=where.subject,
        begin=panel.day(found.first),
        end=None if found.end >= panel.days else panel.day(found.end - 1),
        surprise=surprise(found.p),
        extent=extent(sign, found.before, found.during),
        asset="metrics",
        follows=where.follows,
        weight=1.0 if np.isnan(weight) else max(weight, LEAST_WEIGHT),
        told=_told(panel, key, found),
    )
    return _placed(plain, key)


def _placed(one: Suspect, key: Key) -> Suspect:
    """Put what the metric's family says too little of where it belongs."""
    if one.kind == "labels":
        return replace(one, tier=3, subject="labels", follows=frozenset({"labels"}))
    if one.kind in {"relation", "outcomes"}:
        weight = RESIDUAL if one.kind == "relation" else OUTCOMES
        return replace(one, tier=6, subject="quality", follows=_UPSTREAM, weight=weight)
    return replace(one, kind="score") if key.feature == "score" else one


def _words(kind: str, key: Key) -> str:
    where = f" where {key.segment} is {key.value}" if key.segment else ""
    about = {
        "operations": f"requests to {key.version}",
        "labels": "labels",
        "skew": f"skew of {key.feature}",
        "drift": f"drift of {key.feature}",
        "relation": f"what the inputs say of the labels, for {key.version}",
        "outcomes": f"base rate of {key.version}",
    }[kind]
    return f"{about}{where}"


def _told(panel: Panel, key: Key, found: _Change) -> dict[str, object]:
    return {
        "version": key.version,
        "metric": key.metric,
        "feature": key.feature,
        "segment": f"{key.segment}={key.value}" if key.segment else "",
        "before": found.before,
        "during": found.during,
        "p": found.p,
        "run_id": panel.runs.get((key.version, found.first), ""),
    }


def segment_suspects(panel: Panel, look: Look, segments: Iterable[str]) -> Iterator[Suspect]:
    """Values of segments that carry more of a mean's change than their share of the rows."""
    for version in look.versions:
        metric = next((one for one in MEANS if Key(version, one) in panel.at), None)
        if metric is not None:
            for segment in segments:
                yield from _carriers(panel, look, Key(version, metric), segment)


def _carriers(panel: Panel, look: Look, whole: Key, segment: str) -> Iterator[Suspect]:
    keys = [key for key in panel.at if key[:4] == (*whole[:3], segment)]
    if len(keys) < 2:
        return
    found = changed(panel, keys, look.begins)
    worst = int(found.p.argmin())
    if found.first[worst] < 0:
        return
    one, key = _one(found, worst, len(keys)), keys[worst]
    carried = _carried(split(panel, keys, (one.first, one.end)), worst, SIGNS[whole.metric].side)
    yield Suspect(
        kind="segment",
        what=f"{key.segment} {key.value}, for {key.version}",
        tier=6,
        subject="quality",
        begin=panel.day(one.first),
        end=None if one.end >= panel.days else panel.day(one.end - 1),
        surprise=surprise(one.p),
        extent=extent(SIGNS[whole.metric], one.before, one.during) * _beyond(carried),
        asset="metrics",
        follows=_UPSTREAM,
        told={**_told(panel, key, one), **carried},
    )


def _carried(parts: "Parts", at: int, side: int) -> dict[str, float]:
    """What one value carries of a change for the worse, and of the rows."""
    total = float(parts.total.sum())
    share = float(parts.total[at]) / total if total * side > 0 else 0.0
    each = {"mix": float(parts.mix[at]), "within": float(parts.within[at])}
    return {"share_of_change": share, "share_of_rows": float(parts.share[at]), "change": total, **each}


def _beyond(carried: Mapping[str, float]) -> float:
    """How far a value carries more than its rows would: 0 for as much or less, 1 for all of it."""
    share, rows = carried["share_of_change"], carried["share_of_rows"]
    return max(0.0, min(1.0, (share - rows) / (1 - rows))) if rows < 1 else 0.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What each segment value adds to the change of a mean: by its share of rows, and by its own mean."""

    mix: Floats
    within: Floats
    share: Floats

    @property
    def total(self) -> Floats:
        """Both together; summed over values, the whole change."""
        return self.mix + self.within


def split(panel: Panel, keys: Sequence[Key], stretch: tuple[int, int]) -> Parts:
    """Take the change of a mean apart, from the days before a stretch to those of it."""
    at = [panel.at[key] for key in keys]
    values, rows = panel.values[at], np.where(np.isfinite(panel.values[at]), panel.rows[at], 0.0)
    sums = np.where(rows > 0, values * rows, 0.0)
    before, during = slice(0, stretch[0]), slice(*stretch)
    sides = [(rows[:, days].sum(axis=1), sums[:, days].sum(axis=1)) for days in (before, during)]
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [total / count for count, total in sides]
    mix, within = mean_change(sides[0][0], means[0], sides[1][0], means[1])
    now = sides[1][0]
    return Parts(mix, within, now / now.sum() if now.sum() else now)


def began(panel: Panel, key: Key, first: date, days: int) -> tuple[date, date]:
    """Between which days what failed first on a day began, by its daily series where that can tell."""
    earliest = first - (days - 1) * DAY
    if key in panel.at:
        found = changed(panel, [key], (earliest - 2 * DAY, first))
        if found.p[0] < 0.01:
            day = panel.day(int(found.first[0]))
            return day, day
    return earliest, first
