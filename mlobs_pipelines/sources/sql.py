"""SQL databases: a day's window of a table or of a query, by a watermark column, through SQLAlchemy.

Names are quoted and values bound by SQLAlchemy. Its errors quote statements, values and addresses: only the
names of their classes leave this file. How values become frames is `sql_rows`.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import sqlalchemy as sa
from sqlalchemy import exc

from mlobs_pipelines.sources.deliveries import Delivery, Place, Slot
from mlobs_pipelines.sources.formats import wanted
from mlobs_pipelines.sources.sql_rows import SQL_ROWS, Spool

_CONNECT_S = 10
_FETCHED = 512
_BATCH_CHARACTERS = 32 * 1024 * 1024
_LISTED = 60
_NAMES = re.compile(r'"([^"]+)"|([^.]+)')
_BIND = re.compile(r"(?<!:):(?=\w)")
_SCHEME = re.compile(r"^postgres(ql)?://")
_SELECT = re.compile(r"\s*(select|with)\b", re.IGNORECASE)
_EPOCHS = {"epoch-s": 1, "epoch-ms": 10**3, "epoch-us": 10**6, "epoch-ns": 10**9}
_NAIVE = ("mysql", "mariadb", "mssql")
_ORDERED = (sa.Integer, sa.Numeric, sa.String, sa.Date, sa.DateTime, sa.Time, sa.Boolean, sa.Uuid)
Found = TypeVar("Found")


class _RefusedError(Exception):
    """Why a delivery cannot be read, in words that quote no row."""


@dataclass(frozen=True, slots=True)
class _Relation:
    """What is read: a table or a query, its columns with their types where declared, and the rows' order."""

    clause: sa.FromClause
    types: Mapping[str, str]
    order: tuple[str, ...]
    declared: bool = True


def deliveries(place: Place, slot: Slot) -> Iterator[Delivery]:
    """Yield the window of one day as one delivery; none if it has no rows.

    The rows are read once, in one read-only transaction that sees one state of the database, and kept in a
    nameless file: digest and frames are of the same rows. They come ordered by watermark and then by primary
    key, or by every column that can be ordered where there is no key. Rows without a watermark are in no
    window: where there are any, a second delivery says so.

    Parameters
    ----------
    place
        `access["url"]` is SQLAlchemy's address of the database. `location` names the table, or
        `options["query"]` is a SELECT. `options["watermark"]` is the column that says when a row was written,
        `options["watermark_type"]` how: timestamp (the default), date, epoch-s, epoch-ms, epoch-us, epoch-ns,
        integer-day (20130621) or string (ISO 8601 in UTC). `options["order"]` names the columns that order
        the rows of a query, separated by commas.
    slot
        The day, in UTC, and the columns to read.

    Raises
    ------
    OSError
        If the database cannot be reached, refuses the user or goes away.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exc.SAWarning)  # they quote what they warn of
        found = _found(place, slot)
    yield from found


def _found(place: Place, slot: Slot) -> list[Delivery]:
    engine = _engine(place)
    connection = _outcome(engine, lambda: _connected(engine), opening=True)
    try:
        return list(_read(engine, connection, place, slot))
    finally:
        connection.close()


def _read(engine: sa.Engine, connection: sa.Connection, place: Place, slot: Slot) -> Iterator[Delivery]:
    title = slot.table if place.options.get("query") else _location(place, slot)
    name = f"{title}@{slot.day.isoformat()}"
    relation: _Relation | None = None
    try:
        relation = _outcome(engine, lambda: _relation(connection, place, slot))
        spool = _outcome(engine, lambda: _spooled(connection, relation, place, slot), _fits(place))
        undated = _outcome(engine, lambda: _undated(connection, relation, place.options["watermark"]))
    except _RefusedError as refused:
        yield Delivery(name, "", columns=relation.types if relation else {}, problem=str(refused))
        return
    types = relation.types if relation.declared else {**relation.types, **spool.types}
    if spool.rows:
        yield Delivery(name, spool.sha256, columns=types, frames=spool.frames)
    if undated:
        yield Delivery(f"{title}@without-watermark", "", columns=types, problem=undated)


def _spooled(connection: sa.Connection, relation: _Relation, place: Place, slot: Slot) -> Spool:
    watermark = place.options["watermark"]
    edge: sa.ColumnElement[Any] = sa.column(watermark)
    kind = place.options.get("watermark_type", "timestamp")
    start, end = (
        _edge(day, kind, connection.dialect.name) for day in (slot.day, slot.day + timedelta(days=1))
    )
    names = tuple(wanted(relation.types, slot))
    order: list[sa.ColumnElement[Any]] = [
        sa.column(one) for one in dict.fromkeys((watermark, *relation.order))
    ]
    chosen: list[sa.ColumnElement[Any]] = [sa.column(one) for one in names]
    asked: sa.Select[Any] = sa.select(*chosen).select_from(relation.clause)
    spool = Spool(names)
    spool.fill(_batches(connection, asked.where(edge >= start, edge < end).order_by(*order)))
    return spool


def _batches(connection: sa.Connection, asked: sa.Select[Any]) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield rows as many at a time as are few in number and in characters: logged bodies may be megabytes."""
    with connection.execute(asked, execution_options={"yield_per": _FETCHED}) as result:
        batch: list[Sequence[Any]] = []
        size = 0
        for part in result.partitions():
            batch += part
            size += sum(len(value) for row in part for value in row if isinstance(value, str | bytes))
            if len(batch) + _FETCHED > SQL_ROWS or size > _BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def _undated(connection: sa.Connection, relation: _Relation, watermark: str) -> str:
    """Return what is wrong if some rows have no watermark; "" if all have one."""
    edge: sa.ColumnElement[Any] = sa.column(watermark)
    asked = sa.select(sa.literal(1)).select_from(relation.clause).where(edge.is_(None)).limit(1)
    if connection.execute(asked).first() is None:
        return ""
    return (
        f"rows whose watermark column {watermark} is null belong to no day and are not read: fill them in, "
        "or read a query that leaves them out"
    )


def _edge(day: date, kind: str, dialect: str) -> object:
    """Return the first watermark of a day, as the database compares it."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if kind == "integer-day":
        return int(f"{day:%Y%m%d}")
    if kind in _EPOCHS:
        return int(start.timestamp()) * _EPOCHS[kind]
    if kind == "string" or dialect == "sqlite":  # SQLite keeps dates and times as text
        return day.isoformat()
    if kind == "date":
        return day
    return start.replace(tzinfo=None) if dialect in _NAIVE else start


def _fits(place: Place) -> str:
    kind, watermark = place.options.get("watermark_type", "timestamp"), place.options["watermark"]
    return f"; does the watermark column {watermark} hold values of type {kind}?"


def _location(place: Place, slot: Slot) -> str:
    return place.location.replace("{table}", slot.table)


def _relation(connection: sa.Connection, place: Place, slot: Slot) -> _Relation:
    watermark, kind = place.options.get("watermark"), place.options.get("watermark_type", "timestamp")
    if not watermark:
        raise _RefusedError("nothing says which rows are new: add the server's option watermark, a column")
    if kind not in {"timestamp", "date", "integer-day", "string", *_EPOCHS}:
        raise _RefusedError(f"unknown watermark type {kind!r}: write timestamp, date, epoch-ms or such")
    query = place.options.get("query", "").replace("{table}", slot.table)
    found = _query(connection, query, place) if query else _table(connection, _location(place, slot))
    if watermark not in found.types:
        raise _RefusedError(f"there is no watermark column {watermark!r}; there are {_listed(found.types)}")
    return found


def _table(connection: sa.Connection, location: str) -> _Relation:
    *path, name = [quoted or plain for quoted, plain in _NAMES.findall(location)] or [""]
    schema, looked = ".".join(path) or None, sa.inspect(connection)
    if not (looked.has_table(name, schema) or name in looked.get_view_names(schema)):
        there = [*looked.get_table_names(schema), *looked.get_view_names(schema)]
        raise _RefusedError(f"there is no table {location!r}; there are {_listed(there)}")
    columns = looked.get_columns(name, schema)
    key = tuple(looked.get_pk_constraint(name, schema).get("constrained_columns") or ())
    ordered = tuple(column["name"] for column in columns if isinstance(column["type"], _ORDERED))
    types = {column["name"]: _type(column["type"], connection.dialect) for column in columns}
    return _Relation(sa.table(name, schema=schema), types, key or ordered)


def _type(declared: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    try:
        return declared.compile(dialect).lower()
    except exc.CompileError:
        return ""


def _query(connection: sa.Connection, query: str, place: Place) -> _Relation:
    if not _SELECT.match(query):
        raise _RefusedError("the server's option query is no SELECT; write one, without a semicolon")
    # A colon is a bound value to SQLAlchemy; nothing in a contract is one.
    text = sa.text(_BIND.sub(r"\:", query.strip().rstrip(";")) + "\n")
    clause = text.columns().subquery("delivered")
    empty: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(clause).where(sa.false())
    names = tuple(connection.execute(empty).keys())
    if len(set(names)) != len(names):
        raise _RefusedError("the query has several columns of one name: name them apart with AS")
    order = tuple(name.strip() for name in place.options.get("order", "").split(",") if name.strip())
    if missing := sorted(set(order) - set(names)):
        raise _RefusedError(
            f"the query has no column {_listed(missing)} to order by; it has {_listed(names)}"
        )
    return _Relation(clause, dict.fromkeys(names, ""), order, declared=False)


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more if found else "none"


def _engine(place: Place) -> sa.Engine:
    written = place.access.get("url", "")
    if not written:
        raise OSError(f"no address of the {place.kind} database is set: set its URL in the settings")
    try:
        url = sa.make_url(_SCHEME.sub(_driver(), written))
        name = url.get_dialect().name
        return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, **_arguments(url, name))
    except (exc.SQLAlchemyError, ImportError, ValueError, TypeError) as error:
        word = type(error).__name__
    raise OSError(
        f"the address of the {place.kind} database cannot be used ({word}): it is written "
        "dialect+driver://user:password@host:port/database, and the driver must be installed"
    )


def _driver() -> str:
    """Return the scheme of PostgreSQL with a driver that is installed; SQLAlchemy's own choice otherwise."""
    found = next((name for name in ("psycopg2", "psycopg") if find_spec(name)), "")
    return f"postgresql+{found}://" if found else "postgresql://"


def _arguments(url: sa.URL, dialect: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if dialect in {"postgresql", "mysql", "mariadb", "sqlite", "mssql"}:
        arguments["json_deserializer"] = str  # JSON stays as it was written
    if dialect in {"postgresql", "mysql", "mariadb"}:
        arguments["isolation_level"] = "REPEATABLE READ"
        if "connect_timeout" not in url.query:
            arguments["connect_args"] = {"connect_timeout": _CONNECT_S}
    return arguments


def _connected(engine: sa.Engine) -> sa.Connection:
    url, dialect = engine.url, engine.dialect.name
    file = url.database or ""
    if dialect == "sqlite" and file not in {"", ":memory:"} and not file.startswith("file:"):
        Path(file).stat()  # SQLite makes the files that it does not find
    if dialect != "postgresql":
        connection = engine.connect()
        for statement in _SESSIONS.get(dialect, ()):
            connection.execute(sa.text(statement))
        return connection
    connection = engine.connect().execution_options(postgresql_readonly=True)
    connection.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))
    if engine.dialect.driver == "psycopg2":
        _exact_dates(connection.connection.dbapi_connection)
    return connection


def _exact_dates(raw: object) -> None:
    """Make psycopg2 return dates that Python lacks as text: it makes infinity the year 9999."""
    from psycopg2 import extensions as pg  # type: ignore[import-untyped] # noqa: PLC0415 - no stubs; if in use

    def exact(cast: Callable[[str, object], object]) -> Callable[[str | None, object], object]:
        def read(value: str | None, cursor: object) -> object:
            odd = value is None or "infinity" in value or value.endswith("BC")
            return value if value is None or odd else cast(value, cursor)

        return read

    for oid, cast in ((1082, pg.PYDATE), (1114, pg.PYDATETIME), (1184, pg.PYDATETIMETZ)):
        pg.register_type(pg.new_type((oid,), "EXACT", exact(cast)), raw)


_SESSIONS: Mapping[str, tuple[str, ...]] = {
    "sqlite": ("PRAGMA query_only = ON",),
    "mysql": ("SET time_zone = '+00:00'",),
    "mariadb": ("SET time_zone = '+00:00'",),
}


def _outcome(
    engine: sa.Engine, act: Callable[[], Found], advice: str = "", *, opening: bool = False
) -> Found:
    """Do something with a database; its errors become ours, without their words and without themselves."""
    try:
        return act()
    except exc.SQLAlchemyError as error:
        word, away = type(getattr(error, "orig", None) or error).__name__, _away(error)
    except FileNotFoundError as error:
        word, away = type(error).__name__, True
    except (ValueError, ArithmeticError, TypeError, pl.exceptions.PolarsError) as error:
        word, away = type(error).__name__, False
        advice = (
            ": a value of it is beyond what can be kept, such as a date without end; read a query without it"
        )
    if not (away or opening):
        raise _RefusedError(f"the database or its driver refuses the window ({word}){advice}")
    raise OSError(
        f"cannot read the {engine.dialect.name} database {_where(engine.url)} ({word}): check that it runs, "
        "can be reached from here, and that the user and password of its URL are right and may read"
    )


def _where(url: sa.URL) -> str:
    port = f":{url.port}" if url.port else ""
    return f"{url.database or ''} at {url.host}{port}" if url.host else f"{url.database or ''}"


def _away(error: exc.SQLAlchemyError) -> bool:
    """Whether an error is about the place and not about what was asked of it."""
    cause = getattr(error, "orig", None)
    state = str(getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None) or "")
    if state:
        return state.startswith(_AWAY)
    if isinstance(error, exc.OperationalError) and type(cause).__module__.startswith("sqlite3"):
        return getattr(cause, "sqlite_errorname", "SQLITE_ERROR") != "SQLITE_ERROR"
    return not isinstance(error, _ASKED)


# SQLSTATE: connection, authorization, rollback, missing right, resources, locks, operator and system.
_AWAY = ("08", "28", "40", "42501", "53", "55", "57", "58")
_ASKED = (
    exc.ProgrammingError,
    exc.DataError,
    exc.NotSupportedError,
    exc.InvalidRequestError,
    exc.CompileError,
)
