"""PostgreSQL as a place that metrics, budgets and incidents are published to: a mirror, never the source.

Its tables are made and changed by the numbered files under `migrations/`, each once and in order. Which rows
are published is the caller's to say.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

DRIVER = "postgresql+psycopg2://"
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_102_013  # any number that nobody else locks


class MirrorError(RuntimeError):
    """The database cannot be published to; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A table of the mirror.

    Attributes
    ----------
    name
        Without its schema; also that of the lake's table.
    key
        Columns that tell its rows apart.
    left_out
        Columns of the lake's table that are not published.
    quiet
        Columns that may differ without the row being another.
    """

    name: str
    key: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ("run_id",)


METRICS = Mirrored(
    "metrics",
    (
        *("model", "day", "as_of", "model_version", "metric", "window", "window_start"),
        *("segment", "segment_value", "feature", "maturity"),
    ),
)
OPERATIONS = {
    "slo_status": Mirrored(
        "slo_status",
        ("model", "day", "as_of", "slo", "model_version", "segment", "segment_value"),
        left_out=("as_of_key",),
    ),
    "incidents": Mirrored(
        "incidents",
        ("model", "day", "incident"),
        left_out=("signals", "acknowledged", "acted_by"),
        quiet=("run_id", "as_of"),
    ),
}
NOTHING: Mapping[str, pa.Table] = {}


@dataclass(frozen=True, slots=True)
class Published:
    """How many rows of the mirror are new or other than before, and how many are gone."""

    written: int
    removed: int


def with_driver(url: str) -> str:
    """Name the driver that the extra ``postgres`` brings, whatever the scheme said.

    Raises
    ------
    ValueError
        If it is no URL of PostgreSQL; the message does not quote it.

    Examples
    --------
    >>> with_driver("postgres://u@h/db")
    'postgresql+psycopg2://u@h/db'
    """
    scheme, _, rest = url.partition("://")
    if not rest or not scheme.startswith("postgres"):
        raise ValueError(
            "MLOBS_POSTGRES_URL and MLOBS_MIRROR_URL name a PostgreSQL: postgresql://user:password@host/database"
        )
    return DRIVER + rest


def migrate(url: str) -> int:
    """Bring the database to the version of this release, and return that version.

    Runs that start together wait for each other; a migration that fails leaves the database as it was.

    Raises
    ------
    MirrorError
        If the database does not answer, or a newer release has changed it.
    """
    with _connected(url) as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        if not _exists(connection):
            connection.execute(text("CREATE SCHEMA IF NOT EXISTS mlobs"))
            connection.execute(
                text(
                    "CREATE TABLE mlobs.migrations (version int PRIMARY KEY, name text NOT NULL, "
                    "applied_at timestamptz NOT NULL DEFAULT now())"
                )
            )
        return _bring_up(connection)


def publish(
    url: str,
    model: str,
    first: str | None,
    last: str | None,
    rows: pa.Table,
    operations: Mapping[str, pa.Table] = NOTHING,
) -> Published:
    """Make the mirror hold exactly these rows of a model, in one transaction.

    Rows that it holds already are left alone, so publishing again changes nothing.

    Parameters
    ----------
    first, last
        The days, as in the column ``day``, that the rows are all there is of; None leaves an end open.
    rows
        Metric rows, with the columns of the metric store.
    operations
        By name of a table of `OPERATIONS` its rows, as the lake has them; others are left as they are.

    Raises
    ------
    MirrorError
        If the database does not answer, or has not the version of this release.
    ValueError
        If a row is of another model.
    """
    tables = [(METRICS, rows), *((OPERATIONS[name], found) for name, found in operations.items())]
    for _, found in tables:
        if pc.any(pc.not_equal(found.column("model"), model)).as_py():
            raise ValueError("rows of another model are not published here")
    scope = {"model": model, "first": first or "", "last": last or "~"}
    with _connected(url) as connection:
        _check_version(connection)
        told = [_replace(connection, table, found, scope) for table, found in tables]
    return Published(sum(one.written for one in told), sum(one.removed for one in told))


def _replace(connection: Connection, table: Mirrored, rows: pa.Table, scope: Mapping[str, str]) -> Published:
    shown = _plain(rows.drop_columns(list(table.left_out)))
    _stage(connection, table, shown)
    removed = connection.execute(text(_remove(table)), scope).rowcount
    return Published(connection.execute(text(_upsert(table, shown.column_names))).rowcount, removed)


def _plain(rows: pa.Table) -> pa.Table:
    """Lists as texts, and a maturity that is not null, being part of a key."""
    for index, column in enumerate(rows.schema):
        if pa.types.is_list(column.type):
            rows = rows.set_column(index, column.name, pc.binary_join(rows.column(index), ", "))
        elif column.name == "maturity":
            rows = rows.set_column(index, column.name, pc.fill_null(rows.column(index), ""))
    return rows


def answers(url: str) -> None:
    """See whether the database answers.

    Raises
    ------
    MirrorError
        If it does not.
    """
    with _connected(url) as connection:
        connection.execute(text("SELECT 1"))


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(with_driver(url), hide_parameters=True)
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError:
        raise MirrorError(
            "the database does not answer: start it, or mend its address, user and password"
        ) from None
    finally:
        engine.dispose()


def _exists(connection: Connection) -> bool:
    return connection.execute(text("SELECT to_regclass('mlobs.migrations')")).scalar() is not None


def _bring_up(connection: Connection) -> int:
    files = _files()
    done = _version(connection)
    if done > len(files):
        raise MirrorError(f"the database is at version {done}, this release knows {len(files)}: upgrade")
    for number, file in enumerate(files[done:], done + 1):
        connection.exec_driver_sql(file.read_text(encoding="utf-8"))
        entry = {"version": number, "name": file.stem}
        connection.execute(
            text("INSERT INTO mlobs.migrations (version, name) VALUES (:version, :name)"), entry
        )
    return len(files)


def _files() -> list[Path]:
    return sorted(MIGRATIONS.glob("*.sql"))


def _version(connection: Connection) -> int:
    return int(
        connection.execute(text("SELECT coalesce(max(version), 0) FROM mlobs.migrations")).scalar_one()
    )


def _check_version(connection: Connection) -> None:
    known = _version(connection) if _exists(connection) else 0
    if known != len(_files()):
        raise MirrorError(
            f"the database is at version {known}, this release at {len(_files())}: publish with --migrate"
        )


def _stage(connection: Connection, table: Mirrored, rows: pa.Table) -> None:
    staged = f"staged_{table.name}"
    connection.execute(
        text(f"CREATE TEMP TABLE {staged} (LIKE mlobs.{table.name} INCLUDING ALL) ON COMMIT DROP")
    )
    buffer = BytesIO()
    csv.write_csv(rows, buffer, csv.WriteOptions(include_header=False))  # texts in quotes, nulls without
    buffer.seek(0)
    cursor: Any = connection.connection.cursor()
    with closing(cursor):
        cursor.copy_expert(f"COPY {staged} ({_listed(rows.column_names)}) FROM STDIN (FORMAT csv)", buffer)
    connection.execute(text(f"ANALYZE {staged}"))  # without, a plan for few rows takes hours for many


def _remove(table: Mirrored) -> str:
    same = " AND ".join(f't."{name}" = s."{name}"' for name in table.key)
    return (
        f"DELETE FROM mlobs.{table.name} AS t WHERE t.model = :model AND t.day BETWEEN :first AND :last "  # noqa: S608 - names of our own
        f"AND NOT EXISTS (SELECT FROM staged_{table.name} AS s WHERE {same})"
    )


def _upsert(table: Mirrored, names: list[str]) -> str:
    rest = [name for name in names if name not in table.key]
    told = [name for name in rest if name not in table.quiet]
    given = ", ".join(f'"{name}" = excluded."{name}"' for name in rest)
    mine, other = (", ".join(f'{of}."{name}"' for name in told) for of in ("t", "excluded"))
    return (
        f"INSERT INTO mlobs.{table.name} AS t ({_listed(names)}) SELECT {_listed(names)} "  # noqa: S608 - names of our own
        f"FROM staged_{table.name} "
        f"ON CONFLICT ({_listed(list(table.key))}) DO UPDATE SET {given} "
        f"WHERE ({mine}) IS DISTINCT FROM ({other})"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
