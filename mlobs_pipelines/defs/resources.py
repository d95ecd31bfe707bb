"""What assets are given: the clock, and the site that turns a run into a `Walk`.

The environment is read by `settings`; a run may bring its own knowledge time as the tag ``mlobs/as_of``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.engine.engines import Cluster
from mlobs_pipelines.settings import Settings, hash_keys
from mlobs_pipelines.steps.walk import Walk, parse_as_of
from mlobs_pipelines.store.lake import Lake

AS_OF_TAG = "mlobs/as_of"
CODE_VERSION = version("mlobs-pipelines")


def wall_clock() -> datetime:
    """The current second, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Site:
    """One installation: its settings and its clock.

    Attributes
    ----------
    settings
        Where things are kept.
    clock
        Current time of models that do not replay a history.
    """

    settings: Settings
    clock: Callable[[], datetime] = field(default=wall_clock)

    @property
    def lake(self) -> Lake:
        """Tables of this installation."""
        return Lake(self.settings.lake_root, self.settings.lake_options or None)

    def walk(self, spec: ModelSpec, run_id: str, as_of: datetime | None = None) -> Walk:
        """The way of one model's rows in one run.

        Parameters
        ----------
        as_of
            Knowledge time; by default that of the model's replayed history, or now.
        """
        moment = as_of or spec.monitor.replay_as_of or self.clock()
        batch = hashlib.sha256(f"{spec.hash}|{CODE_VERSION}|{moment.isoformat()}".encode()).hexdigest()[:16]
        return Walk(
            spec=spec,
            lake=self.lake,
            duck=Duck(self.settings.memory, self.settings.threads, self.settings.spill),
            landing=self.settings.landing_root / spec.monitor.model,
            keys=hash_keys(self.settings),
            access=self.settings.source_access,
            commit={
                "run_id": run_id,
                "batch_id": batch,
                "code_version": CODE_VERSION,
                "engine": spec.monitor.engine,
            },
            as_of=moment.astimezone(UTC),
            cluster=Cluster(self.settings.spark_master, self.settings.spark_conf),
        )

    def walk_of(
        self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, spec: ModelSpec
    ) -> Walk:
        """The walk of a Dagster run, as of its tag ``mlobs/as_of`` where it has one.

        Raises
        ------
        ValueError
            If the tag is no ISO-8601 instant with a time zone.
        """
        return self.walk_at(context.run, spec)

    def walk_at(self, run: dg.DagsterRun, spec: ModelSpec) -> Walk:
        """Like `walk_of`, for a run that is not of assets."""
        return self.walk(spec, run.run_id, parse_as_of(run.tags.get(AS_OF_TAG)))
