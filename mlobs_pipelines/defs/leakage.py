"""Leakage in Dagster: a check of the training sets, and one of every prediction day.

How features are held against labels, and served values against later rows, is `steps.leakage`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.metrics.estimates import wilson
from mlobs_pipelines.defs.assets import Part
from mlobs_pipelines.defs.checks import Finding, partitioned_check, runbooks
from mlobs_pipelines.defs.lineage import asset_key
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.steps.leakage import LEAST_ROWS, Foreseen, Strengths, foreseen, strengths
from mlobs_pipelines.steps.walk import Walk

LIMIT = 0.01
NAME = "leakage"
LEARNED = "No feature of a training set ranks its labels almost by itself, or better than the model does."
SERVED = "No prediction was served values that were created only after it."


def leakage_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """The checks of a model; nothing about served values where no feature comes from a view."""
    yield _of_training(site, spec)
    if spec.monitor.feature_views:
        yield partitioned_check(site, spec, "feature_snapshots", NAME, SERVED, _served)


def _of_training(site: Site, spec: ModelSpec) -> dg.AssetChecksDefinition:
    key = asset_key(spec.monitor.model, "baseline")

    @dg.asset_check(asset=key, name=NAME, description=LEARNED, metadata=runbooks(spec, NAME))
    def leakage(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        walk = site.walk_of(context, spec)
        finding = judged_strengths({name: strengths(walk, name) for name in spec.monitor.versions})
        return dg.AssetCheckResult(
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.WARN,
            description=finding.description,
            metadata={
                **finding.metadata,
                "owners": dg.MetadataValue.text(", ".join(spec.monitor.owners)),
                **runbooks(spec, NAME),
            },
        )

    return leakage


def judged_strengths(found: Mapping[str, Strengths]) -> Finding:
    """Say which features know the label, of every version."""
    metadata: dict[str, dg.MetadataValue] = {
        "verdict": dg.MetadataValue.text(
            "undecided" if not any(one.features for one in found.values()) else ""
        )
    }
    for version, one in found.items():
        each = {name: round(strength, 4) for name, strength in one.features.items()}
        metadata[f"{version}_strength"] = dg.MetadataValue.json(
            {"rows": one.rows, "model": one.model, **each}
        )
    told = [f"{version}: {_told(one)}" for version, one in found.items() if one.suspects]
    if told:
        metadata["verdict"] = dg.MetadataValue.text("fail")
        text = (
            f"{'; '.join(told)}. Where only the outcome can tell so much, the feature was computed with it: "
            "look when its value is created, take it out, and train again."
        )
        return Finding(passed=False, description=text, severe=False, metadata=metadata)
    if not any(one.features for one in found.values()):
        text = f"No training set has {LEAST_ROWS} rows with a label: add a column label to ask for leakage."
        return Finding(passed=True, undecided=True, description=text, metadata=metadata)
    metadata["verdict"] = dg.MetadataValue.text("pass")
    return Finding(passed=True, description="No feature alone knows the labels.", metadata=metadata)


def _told(found: Strengths) -> str:
    each = ", ".join(f"{name} {found.features[name]:.2f}" for name in found.suspects)
    return f"{each} of 1, where the model's scores reach {found.model:.2f}"


def _served(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
    return {day: judged_served(found) for day, found in foreseen(walk, days).items()}


def judged_served(found: Foreseen) -> Finding:
    """Hold a day's predictions with values from later rows against what chance may bring."""
    if not found.predictions:
        return Finding(passed=True, undecided=True, description="No predictions on this day.")
    counts = {f"{view}_created_later": dg.MetadataValue.int(number) for view, number in found.views.items()}
    metadata = {"predictions": dg.MetadataValue.int(found.predictions), **counts}
    beyond = [
        f"{view} ({number} of {found.predictions})"
        for view, number in found.views.items()
        if float(wilson(number, found.predictions)[0]) > LIMIT
    ]
    if beyond:
        text = (
            f"Predictions were served values of rows that were created only later: {', '.join(beyond)}. "
            "Serve what is created by then, and train on point-in-time values; or mend created_at where it "
            "comes too late."
        )
        return Finding(passed=False, description=text, severe=False, metadata=metadata)
    return Finding(passed=True, description="Served values existed when they were served.", metadata=metadata)
