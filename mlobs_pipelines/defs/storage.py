"""Where Dagster keeps runs, events and schedules: PostgreSQL where a URL is set, SQLite otherwise.

Named by `dagster.yaml`, so that one file serves a laptop and a server.
"""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Self, cast

import dagster as dg
from dagster._core.storage.base_storage import DagsterStorage  # the interface has no public name
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from sqlalchemy import Dialect, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from mlobs_pipelines.defs.sqlite import SteadySqliteStorage
from mlobs_pipelines.destinations.postgres import with_driver
from mlobs_pipelines.settings import Settings

PATIENCE_S = 60
PAUSE_S = 0.5


class EnvSelectedStorage(DagsterStorage, ConfigurableClass):
    """Stands in `dagster.yaml`; making one gives the storage that the settings choose."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the options: a folder for SQLite."""
        return {"sqlite_base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Make the storage that the settings choose.

        Dagster asks for a storage, not for one of this class; the annotation is what its interface demands.
        """
        settings = Settings()
        if settings.postgres_url is not None:
            return cast("Self", _postgres(settings.postgres_url.get_secret_value(), inst_data))
        folder = config_value.get("sqlite_base_dir") or str(settings.dagster_home / "storage")
        return cast("Self", SteadySqliteStorage(folder, inst_data=inst_data))

    def __new__(cls) -> Self:
        """Refuse direct use."""
        raise TypeError("EnvSelectedStorage is made from dagster.yaml")


def _postgres(url: str, inst_data: ConfigurableClassData | None) -> DagsterStorage:
    # The driver is an extra: a laptop does not need it.
    from dagster_postgres import DagsterPostgresStorage  # noqa: PLC0415 - as above
    from dagster_postgres.utils import DagsterPostgresException  # noqa: PLC0415 - as above

    try:
        storage = DagsterPostgresStorage(with_driver(url), inst_data=inst_data)
    except DagsterPostgresException:
        raise RuntimeError(
            "the database of MLOBS_POSTGRES_URL does not answer: start it, or mend address, user or password"
        ) from None
    for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
        event.listen(vars(part)["_engine"], "do_connect", _patiently)  # it has no public name
        for name, _ in inspect.getmembers(type(part), inspect.isfunction):
            if not name.startswith("_"):
                setattr(part, name, _again(getattr(part, name)))
    return storage


def _patiently(
    dialect: Dialect, _record: object, arguments: Sequence[Any], options: Mapping[str, Any]
) -> DBAPIConnection:
    """Connect once the database is back: a restart of it, or a change to its standby, fails no run.

    Dagster itself gives up after a second.
    """
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            return dialect.connect(*arguments, **options)
        except dialect.loaded_dbapi.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(PAUSE_S)


def _again(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same, called again where the database went away meanwhile.

    An event whose receipt was lost is then stored twice, which no reader of events minds.
    """

    @wraps(method)
    def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the method takes and returns
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                return method(*arguments, **options)
            except DBAPIError as error:
                if not error.connection_invalidated or time.monotonic() > ends:
                    raise
                time.sleep(PAUSE_S)

    return call
