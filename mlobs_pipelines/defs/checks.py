"""Partitioned asset checks: one evaluation per day, also when a run is about many days.

What is wrong is found by plain functions from a walk and its days to findings; Dagster's side is here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,  # Dagster has no public name for it
)

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.lineage import asset_key
from mlobs_pipelines.defs.partitions import daily, days_of
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.destinations.messages import guide
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.telemetry.work import working

PAGE = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found about one day.

    Attributes
    ----------
    passed
        False for a failure; an undecided finding has passed.
    description
        One sentence for the person who opens the check.
    severe
        Whether a failure is an error rather than a warning.
    undecided
        Whether too little is known to say pass or fail.
    metadata
        Evidence: counts, shares, names.
    """

    passed: bool
    description: str
    severe: bool = True
    undecided: bool = False
    metadata: Mapping[str, dg.MetadataValue] = field(default_factory=dict)


Look = Callable[[Walk, Sequence[date]], Mapping[date, Finding]]
Looks = Mapping[str, tuple[str, Look]]  # what a check promises, and how it looks, by the check's name


def partitioned_check(
    site: Site, spec: ModelSpec, asset: str, name: str, description: str, look: Look
) -> dg.AssetChecksDefinition:
    """Make a check whose every day is judged on its own, in single-day and in range runs.

    It never blocks: in a range run that would hold back every other day. What must not flow is kept back by
    the steps themselves, day by day.
    """
    key = asset_key(spec.monitor.model, asset)
    check_spec = dg.AssetCheckSpec(
        name,
        asset=key,
        description=description,
        partitions_def=daily(spec.monitor),
        metadata=runbooks(spec, name),
    )

    @dg.multi_asset_check(specs=[check_spec], name=f"{key.to_python_identifier()}__{name}")
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        walk, seen = site.walk_of(context, spec), _watched(f"{asset}:{name}", look)
        yield from evaluations(context.instance, walk, check_spec.key, seen, days_of(context))
        yield dg.Output(None, output_name=context.op_execution_context.op_def.output_defs[0].name)

    return check


def _watched(name: str, look: Look) -> Look:
    """A look that tells of itself as it ends."""

    def watched(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        with working(name, walk.model, walk.commit, days) as work:
            findings = look(walk, days)
            work.counts["failed_partitions"] = sum(not finding.passed for finding in findings.values())
        return findings

    return watched


def runbooks(spec: ModelSpec, check: str) -> dict[str, dg.MetadataValue]:
    """The model's own runbook, and the template that is about this kind of check."""
    return {
        "runbook": dg.MetadataValue.url(spec.monitor.runbook),
        "guide": dg.MetadataValue.text(guide(check)),
    }


def evaluations(
    instance: dg.DagsterInstance, walk: Walk, key: dg.AssetCheckKey, look: Look, days: Sequence[date]
) -> Iterator[dg.AssetCheckEvaluation]:
    """Look at some days, and tell what was found about the latest materialization of each."""
    findings, targets = look(walk, days), _targets(instance, key.asset_key, days)
    for day in days:
        yield _evaluation(walk.spec, key, day, findings[day], targets.get(day.isoformat()))


def _evaluation(
    spec: ModelSpec, key: dg.AssetCheckKey, day: date, finding: Finding, target: Target | None
) -> dg.AssetCheckEvaluation:
    warn = finding.undecided or not finding.severe
    verdict = "undecided" if finding.undecided else "pass" if finding.passed else "fail"
    facts = {
        "verdict": dg.MetadataValue.text(verdict),
        **finding.metadata,
        "owners": dg.MetadataValue.text(", ".join(spec.monitor.owners)),
        **runbooks(spec, key.name),
    }
    return dg.AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
        description=finding.description,
        metadata=facts,
        blocking=False,
        partition=day.isoformat(),
        target_materialization_data=target,
    )


def _targets(instance: dg.DagsterInstance, key: dg.AssetKey, days: Sequence[date]) -> dict[str, Target]:
    """Latest materialization of each day, in pages: one look-up per day would cost more than the check.

    The first page has as many as there are days: mostly the run has just made them, and older ones, of which
    a day that is measured again and again has many, need not be read.
    """
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day.isoformat() for day in days])
    found: dict[str, Target] = {}
    cursor, limit = None, len(days)
    while len(found) < len(days):
        page = instance.fetch_materializations(wanted, limit=limit, cursor=cursor)
        for record in page.records:
            target = Target(storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp)
            found.setdefault(str(record.partition_key), target)
        if not page.has_more:
            break
        cursor, limit = page.cursor, PAGE
    return found
