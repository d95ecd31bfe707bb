"""A candidate's papers: what it was trained on and with, what its traffic says of that, how it was delivered.

Numbers are `fitness` and `rivals`. Of the prediction log only names of versions and training sets are read.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Verdict
from mlobs_pipelines.steps.findings import Finding
from mlobs_pipelines.steps.layouts import BASELINE_FEATURES, log_layout
from mlobs_pipelines.steps.traffic import TRIED, Traffic
from mlobs_pipelines.steps.walk import Walk, texts
from mlobs_pipelines.store.tables import DELIVERIES

COMPATIBILITY = "compatibility"
MOST_ASIDE = 0.05
_DECLARED = ("training_dataset_id", "feature_set_version")


@dataclass(frozen=True, slots=True)
class Papers:
    """What is written down about how a version was trained; None where nothing is."""

    facts: Mapping[str, Any] | None
    path: Path


def papers(walk: Walk, version: str) -> Papers:
    """Read the facts of a version's training."""
    path = Path(walk.spec.monitor.versions[version].facts.format(landing=walk.landing))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Papers(None, path)
    return Papers(found if isinstance(found, dict) else None, path)


def suited(walk: Walk, traffic: Traffic) -> Iterator[Finding]:
    """Look at everything about a candidate that is no measurement."""
    own = papers(walk, traffic.candidate)
    yield _baseline(walk, traffic.candidate)
    yield _features(walk, own, traffic.candidate)
    yield from _identity(walk, traffic, own)
    yield _delivered(walk, traffic)


def measured(walk: Walk, version: str) -> bool:
    """Whether the training set of a version has been measured."""
    if not walk.lake.exists(walk.model, BASELINE_FEATURES.name):
        return False
    return (version,) in set(walk.lake.partitions(walk.model, BASELINE_FEATURES.name))


def _baseline(walk: Walk, version: str) -> Finding:
    if measured(walk, version):
        return _said("baseline", Verdict.PASS, "its training set is measured")
    said = f"its training set is not measured: materialize {walk.model}/baseline"
    return _said("baseline", Verdict.FAIL, said)


def _features(walk: Walk, own: Papers, version: str) -> Finding:
    """Whether what it was trained with is what is watched."""
    declared = set(walk.spec.monitor.feature_names)
    trained = (own.facts or {}).get("importance")
    if not isinstance(trained, dict):
        if measured(walk, version):
            return _said("features", Verdict.PASS, f"its training set has all {len(declared)} features")
        return _said("features", Verdict.UNDECIDED, f"{own.path.name} does not say which features it has")
    unknown, missing = sorted(set(trained) - declared), sorted(declared - set(trained))
    if unknown:
        said = f"trained with {', '.join(unknown)}, which monitor.yaml does not declare as features"
        return _said("features", Verdict.FAIL, said)
    rest = f"; the importance of {len(missing)} others is not known" if missing else ""
    return _said("features", Verdict.PASS, f"all {len(trained)} that it names are declared{rest}")


def _identity(walk: Walk, traffic: Traffic, own: Papers) -> Iterator[Finding]:
    """Whether the traffic names the one training set and feature set that the papers name."""
    for column in _DECLARED:
        seen = _seen(walk, traffic, column)
        yield _said(column, *_agreed(column, seen[traffic.candidate], seen[traffic.champion], own))


def _agreed(column: str, mine: Counter[str], theirs: Counter[str], own: Papers) -> tuple[Verdict, str]:
    written = (own.facts or {}).get(column)
    if not mine:
        return Verdict.UNDECIDED, "no row of its traffic"
    if len(mine) > 1:
        return Verdict.FAIL, f"its traffic names {len(mine)} of them: {', '.join(sorted(mine))}"
    (name,) = mine
    if written is None:
        return Verdict.UNDECIDED, f"its traffic says {name}; {own.path.name} does not name it: add it there"
    if name != written:
        return Verdict.FAIL, f"its traffic says {name}, {own.path.name} says {written}"
    others = ", ".join(sorted(theirs)) or "nothing"
    same = "as the champion's" if set(theirs) == {name} else f"the champion's is {others}"
    return Verdict.PASS, f"{name}, {same}"


def _seen(walk: Walk, traffic: Traffic, column: str) -> dict[str, Counter[str]]:
    """How many rows of either version name what."""
    names = {version: Counter[str]() for version in (traffic.candidate, traffic.champion)}
    where = {"day": texts(traffic.days)}
    layout = log_layout(walk.spec)
    if not traffic.days or not walk.lake.exists(walk.model, layout.name):
        return names
    rows = walk.lake.dataset(walk.model, layout, where=where).to_table(
        columns=["model_version", column],
        filter=pc.field("role").isin([*TRIED, "champion"]) & pc.field("model_version").isin(list(names)),
    )
    counted = rows.group_by(["model_version", column]).aggregate([([], "count_all")])
    for version, name, count in zip(
        *(counted.column(i).to_pylist() for i in counted.column_names), strict=True
    ):
        names[version][str(name)] += count
    return names


def _delivered(walk: Walk, traffic: Traffic) -> Finding:
    """Whether the predictions of the days were delivered under the contract in force."""
    days = set(texts(traffic.days))
    rows = walk.lake.read(walk.model, DELIVERIES, where={"dataset": ["predictions"]}).to_pylist()
    mine = [row for row in rows if days & set(row["event_days"] or [row["day"]])]
    refused = sum(row["state"] == "refused" for row in mine)
    kept, aside = (sum(row[name] or 0 for row in mine) for name in ("accepted", "quarantined"))
    version = walk.spec.predictions.version
    if not mine:
        return _said("schema", Verdict.UNDECIDED, "no delivery of predictions is known of these days")
    if refused:
        return _said(
            "schema",
            Verdict.FAIL,
            f"{refused} of {len(mine)} deliveries were refused under contract {version}",
        )
    old = sum(row["contract_version"] != version for row in mine)
    rest = f"; {old} of them were read under another version of it" if old else ""
    rows = kept + aside
    said = f"{len(mine)} deliveries under contract {version}, {aside:,} of {rows:,} rows quarantined{rest}"
    return _said("schema", Verdict.FAIL if aside > MOST_ASIDE * rows else Verdict.PASS, said)


def _said(what: str, verdict: Verdict, reason: str) -> Finding:
    return Finding(COMPATIBILITY, what, verdict, reason)


def day_range(days: tuple[date, ...]) -> str:
    """First and last day in words."""
    return f"{days[0]} to {days[-1]}" if len(days) > 1 else str(days[0]) if days else "no day"
