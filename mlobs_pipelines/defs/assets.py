"""The one factory for assets that are a table of the lake: a step, its layout, and what people are told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import Contract
from mlobs_pipelines.defs.lineage import ColumnSources, asset_key, columns_of, described, record, record_some
from mlobs_pipelines.defs.partitions import daily, days_of
from mlobs_pipelines.defs.resources import CODE_VERSION, Site
from mlobs_pipelines.defs.watched import watched
from mlobs_pipelines.steps.apart import Apart, apart
from mlobs_pipelines.steps.arrivals import spelled
from mlobs_pipelines.steps.expired import Step, living
from mlobs_pipelines.store.layout import TableLayout

Part = dg.AssetsDefinition | dg.AssetChecksDefinition


@dataclass(frozen=True, slots=True)
class Upstream:
    """An asset that is read, and which of its days one day needs.

    Attributes
    ----------
    name
        Name of the asset.
    before, after
        Days before and after the own one that are read too.
    partitioned
        False for an asset without partitions.
    """

    name: str
    before: int = 0
    after: int = 0
    partitioned: bool = True


def table_asset(  # noqa: PLR0913 - one argument per declared fact
    site: Site,
    spec: ModelSpec,
    step: Step,
    layout: TableLayout,
    description: str,
    *,
    upstream: Sequence[Upstream] = (),
    contract: Contract | None = None,
    lineage: ColumnSources | None = None,
    kinds: set[str] | None = None,
) -> dg.AssetsDefinition:
    """Make a daily asset that runs a step for all days of a run at once."""
    declared, step = described(spec, layout, contract, lineage), watched(layout.name, step)

    @dg.asset(
        key=asset_key(spec.monitor.model, layout.name),
        deps=[_dependency(spec, item) for item in upstream],
        **common(spec, description, {"deltalake", *(kinds or ())}),
        partitions_def=daily(spec.monitor),
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=spec.monitor.model,
        metadata=declared,
    )
    def table(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        walk = site.walk_of(context, spec)
        found = apart(walk, lambda some, days: living(some, layout, step, days), days_of(context))
        if found.failed:
            record_some(context, walk, found.outcomes, columns_of(declared))
            raise _failure(found)
        yield from record(context, walk, found.outcomes, columns_of(declared))

    return table


def _failure(found: Apart) -> Exception:
    """What to tell of a run some of whose days have failed; a single day's error is told as it is."""
    first = min(found.failed)
    if not found.outcomes:
        return found.failed[first]
    error = dg.Failure(
        f"{len(found.failed)} of {len(found.failed) + len(found.outcomes)} days failed: "
        f"{spelled(found.failed)}. The others are written: run what depends on them for these. "
        f"{first}: {found.failed[first]}",
        metadata={"failed_days": dg.MetadataValue.text(spelled(found.failed))},
        allow_retries=False,
    )
    error.__cause__ = found.failed[first]
    return error


class Said(TypedDict):
    """Arguments of `dagster.asset` that every asset of a model gives."""

    group_name: str
    owners: list[str]
    description: str
    kinds: set[str]
    tags: dict[str, str]
    code_version: str


def common(spec: ModelSpec, description: str, kinds: set[str]) -> Said:
    """What every asset of a model says of itself."""
    monitor = spec.monitor
    return {
        "group_name": monitor.model,
        "owners": list(monitor.owners),
        "description": description,
        "kinds": kinds,
        "tags": {"mlobs/model": monitor.model, "mlobs/task": monitor.task},
        "code_version": CODE_VERSION,
    }


def _dependency(spec: ModelSpec, item: Upstream) -> dg.AssetDep:
    key = asset_key(spec.monitor.model, item.name)
    if not item.partitioned:
        return dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping())
    if not item.before and not item.after:
        return dg.AssetDep(key)
    mapping = dg.TimeWindowPartitionMapping(
        start_offset=-item.before, end_offset=item.after, allow_nonexistent_upstream_partitions=True
    )
    return dg.AssetDep(key, partition_mapping=mapping)
