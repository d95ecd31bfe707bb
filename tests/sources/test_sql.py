"""A day's window of a real PostgreSQL and a real SQLite: exact values, one delivery, no row in a message."""

import sqlite3
import subprocess
import sys
import traceback
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
import sqlalchemy as sa

from mlobs_pipelines.sources.deliveries import Place, Slot
from mlobs_pipelines.sources.sql import deliveries
from tests.postgres import database

DAY = date(2013, 6, 21)
CANARY = "canary-4711"


@pytest.fixture(scope="module")
def server():
    """Give the URL of an empty database."""
    with database("sql") as url:
        yield url


@pytest.fixture
def run(server):
    """Give a function that runs statements in a database with nothing in it."""
    engine = sa.create_engine(
        server.replace("postgresql:", "postgresql+psycopg2:"),
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("drop schema if exists logs cascade")
        connection.exec_driver_sql("create schema logs")
        yield lambda *statements: [connection.exec_driver_sql(statement) for statement in statements]


def _place(url, location="logs.{table}", **options):
    options = {"watermark": "written_at"} | options
    return Place("postgresql", "", location, options, {"url": url})


def _slot(*columns, day=DAY):
    return Slot("predictions", day, columns)


def _read(delivery):
    return pl.concat(list(delivery.frames()))


TYPES = """
create table logs.predictions (
  id bigint primary key, amount numeric(20, 6), free numeric, tiny smallint, share double precision,
  name text, "Odd Name" varchar(20), raw bytea, doc json, docb jsonb, key uuid, tags text[], ok boolean,
  born date, local timestamp, written_at timestamptz not null
)"""
VALUES = """
insert into logs.predictions values
  (9007199254740993, 12345678901234.567890, 0.1000000000000000055511, 3, 'nan', 'Zoë', ' x ',
   '\\xff00', '{"a": 1.10, "a": 2}', '{"b": 10000000000000000.1}', '7b1f0a32-6f0b-4d43-9a52-0d2a3b0f4c11',
   '{a,"b,c"}', true, '2013-01-01', '2013-06-21 08:00', '2013-06-21 02:00+02:00'),
  (1, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
   '2013-06-21 23:59:59.999999+00'),
  (2, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
   '2013-06-22 00:00+00'),
  (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
   '2013-06-20 23:59:59.999999+00')"""


def test_every_type_is_kept_exactly(run, server):
    """Decimals, big integers, instants, bytes, documents and arrays come as they are stored."""
    run(TYPES, VALUES)
    (delivery,) = deliveries(_place(server), _slot(*_columns()))
    assert not delivery.problem
    found = _read(delivery)
    assert found["id"].to_list() == [9007199254740993, 1]
    first = found.row(0, named=True)
    assert first["amount"] == Decimal("12345678901234.567890")
    assert first["free"] == Decimal("0.1000000000000000055511")
    assert (first["tiny"], first["ok"], first["born"]) == (3, True, date(2013, 1, 1))
    assert first["share"] != first["share"]
    assert (first["name"], first["Odd Name"], first["raw"]) == ("Zoë", " x ", b"\xff\x00")
    assert first["doc"] == '{"a": 1.10, "a": 2}'
    assert first["docb"] == '{"b": 10000000000000000.1}'
    assert (first["key"], first["tags"]) == ("7b1f0a32-6f0b-4d43-9a52-0d2a3b0f4c11", '["a", "b,c"]')
    assert first["local"] == datetime(2013, 6, 21, 8)  # noqa: DTZ001 - stored without a zone
    assert first["written_at"] == datetime(2013, 6, 21, tzinfo=UTC)
    assert found.schema["written_at"] == pl.Datetime("us", "UTC")


def test_every_column_is_told_with_its_declared_type(run, server):
    """A delivery names all columns of the table, also those that no contract asks for."""
    run(TYPES, VALUES)
    (delivery,) = deliveries(_place(server), _slot("id"))
    assert delivery.columns["amount"] == "numeric(20, 6)"
    assert delivery.columns["written_at"] == "timestamp with time zone"
    assert (delivery.columns["id"], delivery.columns["share"]) == ("bigint", "double precision")
    assert delivery.columns["Odd Name"] == "varchar(20)"
    assert _read(delivery).columns == ["id"]
    assert delivery.name == "logs.predictions@2013-06-21"


def _columns():
    said = "id amount free tiny share name raw doc docb key tags ok born local written_at"
    return (*said.split(), "Odd Name")


def test_a_day_without_rows_is_no_delivery(run, server):
    """Nothing is made of a window that is empty."""
    run(TYPES, VALUES)
    assert list(deliveries(_place(server), _slot("id", day=date(2013, 7, 1)))) == []


@pytest.mark.parametrize(
    ("declared", "kind", "inside", "outside"),
    [
        ("date", "date", "'2013-06-21'", "'2013-06-22'"),
        ("timestamp", "timestamp", "'2013-06-21 23:59:59.5'", "'2013-06-22 00:00'"),
        ("bigint", "epoch-s", "1371772800", "1371859200"),
        ("bigint", "epoch-ms", "1371859199999", "1371859200000"),
        ("bigint", "epoch-us", "1371859199999999", "1371859200000000"),
        ("bigint", "epoch-ns", "1371859199999999999", "1371859200000000000"),
        ("integer", "integer-day", "20130621", "20130622"),
        ("text", "string", "'2013-06-21T23:59:59Z'", "'2013-06-22'"),
    ],
)
def test_every_kind_of_watermark_cuts_at_midnight(run, server, declared, kind, inside, outside):
    """A window holds the rows of its UTC day and no other, whatever the watermark is written as."""
    run(
        f"create table logs.predictions (id int, written_at {declared})",
        f"insert into logs.predictions values (1, {inside}), (2, {outside})",  # noqa: S608 - of this file
    )
    (delivery,) = deliveries(_place(server, watermark_type=kind), _slot("id"))
    assert _read(delivery)["id"].to_list() == [1]


def test_digest_depends_on_rows_and_not_on_their_order(run, server):
    """The same rows stored in another order are the same delivery; one changed value makes another."""
    run(TYPES, VALUES)
    (before,) = deliveries(_place(server), _slot(*_columns()))
    run("create table logs.copy as select * from logs.predictions order by id desc")
    (copy,) = deliveries(_place(server, "logs.copy"), _slot(*_columns()))
    run("update logs.predictions set amount = 0.5 where id = 1")
    (after,) = deliveries(_place(server), _slot(*_columns()))
    assert before.sha256 == copy.sha256
    assert len({before.sha256, after.sha256}) == 2


def test_frames_are_the_rows_that_were_digested(run, server):
    """Rows that change after a delivery was found are not in its frames, however often these are read."""
    run(TYPES, VALUES)
    (delivery,) = deliveries(_place(server), _slot("id", "amount"))
    run("delete from logs.predictions")
    assert _read(delivery)["id"].to_list() == _read(delivery)["id"].to_list() == [9007199254740993, 1]


def test_a_query_is_read_like_a_table(run, server):
    """A SELECT with colons, percent signs and a comment at its end is windowed, ordered and typed."""
    run(TYPES, VALUES)
    query = "select id, name, amount::text as note, ':x %' as sign, written_at from logs.predictions -- all;"
    place = _place(server, query=query, order="id")
    (delivery,) = deliveries(place, _slot("id", "note", "sign"))
    assert not delivery.problem
    assert _read(delivery)["sign"].to_list() == [":x %"] * 2
    assert delivery.columns == {"id": "bigint", "name": "", "note": "text", "sign": "text", "written_at": ""}


@pytest.mark.parametrize(
    ("options", "location", "said"),
    [
        ({}, "logs.nothing", "there is no table 'logs.nothing'; there are predictions"),
        (
            {"watermark": "wrong"},
            "logs.predictions",
            "no watermark column 'wrong'; there are Odd Name, amount",
        ),
        ({"watermark": ""}, "logs.predictions", "nothing says which rows are new"),
        ({"watermark_type": "moon"}, "logs.predictions", "unknown watermark type 'moon'"),
        ({"watermark": "name"}, "logs.predictions", "hold values of type timestamp?"),
        ({"query": "delete from logs.predictions"}, "", "is no SELECT"),
        ({"query": "select id, id from logs.predictions"}, "", "several columns of one name"),
        ({"query": "select nope from logs.predictions"}, "", "(UndefinedColumn)"),
        (
            {"query": "select id, written_at from logs.predictions", "order": "x"},
            "",
            "no column x to order by",
        ),
        ({"query": "select id, written_at, 'canary-4711'::int from logs.predictions"}, "", "(InvalidText"),
    ],
)
def test_what_cannot_be_read_says_why_and_quotes_nothing(run, server, options, location, said):
    """A missing table or column, a wrong type and a broken query are problems with names and no values."""
    run(TYPES, VALUES)
    (delivery,) = deliveries(_place(server, location, **options), _slot("id"))
    assert said in delivery.problem
    assert CANARY not in delivery.problem
    assert not delivery.sha256


def test_dates_that_python_lacks_come_as_text(run, server):
    """Endless dates and dates before Christ stay what they are, and the others of their column readable."""
    run(
        TYPES,
        VALUES,
        "update logs.predictions set local = 'infinity', born = '0044-03-15 BC' where id = 1",
        "update logs.predictions set born = '9999-12-31' where id > 3",
    )
    (delivery,) = deliveries(_place(server), _slot("local", "born"))
    found = _read(delivery)
    assert found["local"].to_list() == ["2013-06-21T08:00:00", "infinity"]
    assert found["born"].to_list() == ["9999-12-31", "0044-03-15 BC"]


def test_rows_without_a_watermark_are_told(run, server):
    """Rows that are in no window are never left out in silence."""
    run("create table logs.predictions (id int, written_at timestamptz)")
    run("insert into logs.predictions values (1, '2013-06-21 10:00+00'), (2, null)")
    day, undated = deliveries(_place(server), _slot("id"))
    assert _read(day)["id"].to_list() == [1]
    assert "belong to no day" in undated.problem


def test_a_query_cannot_write(run, server):
    """A query with side effects fails: the transaction is read-only."""
    run(TYPES, VALUES, "create sequence logs.counter")
    query = "select nextval('logs.counter') as id, written_at from logs.predictions"
    (delivery,) = deliveries(_place(server, query=query), _slot("id"))
    assert delivery.problem


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://someone:{CANARY}@127.0.0.1:1/db",
        f"postgresql://someone:{CANARY}@nowhere.invalid/db",
        f"postgresql://someone:{CANARY}@127.0.0.1:port/db",
        f"nosuch://someone:{CANARY}@127.0.0.1/db",
        f"mysql+nodriver://someone:{CANARY}@127.0.0.1/db",
        f"sqlite:////nowhere/{DAY}/x.db?password={CANARY}",
        f"not a url {CANARY}",
        "",
    ],
)
def test_a_database_that_cannot_be_reached_keeps_its_credentials(url):
    """Whatever is wrong with an address, the error is an OSError that shows neither user nor password."""
    with pytest.raises(OSError, match="database") as caught:
        list(deliveries(_place(url), _slot("id")))
    told = "".join(traceback.format_exception(caught.value))
    assert CANARY not in told
    assert "someone" not in told
    assert caught.value.__context__ is None


def test_a_table_that_may_not_be_read_is_a_place_that_cannot_be_reached(run, server):
    """Missing rights say nothing about the day."""
    run(
        TYPES,
        VALUES,
        "drop role if exists guest",
        "create role guest login",
        "grant usage on schema logs to guest",
    )
    with pytest.raises(OSError, match="may read"):
        list(deliveries(_place(server.replace("postgres@", "guest@")), _slot("id")))


def test_a_connection_lost_while_reading_is_a_place_that_cannot_be_reached(run, server):
    """A server that goes away in the middle of a window says nothing about the day."""
    run(TYPES, VALUES)
    query = "select pg_terminate_backend(pg_backend_pid()) as id, written_at from logs.predictions"
    with pytest.raises(OSError, match="check that it runs"):
        list(deliveries(_place(server, query=query), _slot("id")))


@pytest.fixture
def sqlite_url(tmp_path):
    """Give the URL of a SQLite file whose columns hold values of any type."""
    with sqlite3.connect(tmp_path / "log.db") as database:
        database.execute("create table predictions (id integer primary key, any, written_at text)")
        rows = [(1, 7), (2, 0.1), (3, "seven"), (4, b"\xff"), (5, None), (6, 2**62)]
        database.executemany("insert into predictions values (?, ?, '2013-06-21T12:00:00Z')", rows)
    database.close()
    return f"sqlite:///{tmp_path / 'log.db'}"


def test_sqlite_columns_of_several_types_come_as_text(sqlite_url):
    """Where values of a column differ in type all of them are text that says all of each."""
    (delivery,) = deliveries(_place(sqlite_url, "{table}"), _slot("id", "any"))
    found = _read(delivery)
    assert found["any"].to_list() == ["7", "0.1", "seven", "ff", None, str(2**62)]
    assert found["id"].to_list() == [1, 2, 3, 4, 5, 6]


def test_sqlite_says_what_is_missing(sqlite_url):
    """A table or column that SQLite lacks is a problem, not a place that cannot be reached."""
    (delivery,) = deliveries(_place(sqlite_url, "other"), _slot("id"))
    assert "there are predictions" in delivery.problem
    (delivery,) = deliveries(_place(sqlite_url, query="select nope from predictions"), _slot("id"))
    assert "refuses the window" in delivery.problem


def test_a_file_that_is_no_database_is_a_place_that_cannot_be_reached(tmp_path):
    """A damaged SQLite file says nothing about the day, and a missing one is not made."""
    (tmp_path / "bad.db").write_text(CANARY * 1000)
    with pytest.raises(OSError, match="cannot read the sqlite database"):
        list(deliveries(_place(f"sqlite:///{tmp_path}/bad.db", "predictions"), _slot("id")))
    with pytest.raises(OSError, match="FileNotFoundError"):
        list(deliveries(_place(f"sqlite:///{tmp_path}/none.db", "predictions"), _slot("id")))
    assert not (tmp_path / "none.db").exists()


PROBE = """
import resource, sys
from datetime import date
import polars as pl
from mlobs_pipelines.sources.deliveries import Place, Slot
from mlobs_pipelines.sources.sql import deliveries
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
options = {"watermark": "written_at"}
def read(table):
    place = Place("postgresql", "", f"logs.{table}", options, {"url": sys.argv[1]})
    (one,) = deliveries(place, Slot("predictions", date(2013, 6, 21), ("id", "name", "share", "written_at")))
    return sum(frame.height for frame in one.frames())
assert read("small") == 40_000
first = peak()
assert read("large") == 300_000
before = peak()
assert read("wide") == 4_000
print(before - first, peak() - before)
"""


def test_memory_does_not_grow_with_the_table(run, server):
    """Many rows, or rows of 100 kB, need hardly more memory than forty thousand short ones."""
    made = (
        "create table logs.{0} as select n as id, 'name ' || n as name, n / 7.0::float8 as share, "
        "'2013-06-21 00:00+00'::timestamptz + n * interval '50 ms' as written_at "
        "from generate_series(1, {1}) n"
    )
    run(made.format("small", 40_000), made.format("large", 300_000))
    wide = "select id, repeat('x', 100000) as name, written_at from logs.small limit 4000"
    run(f"create table logs.wide as {wide}")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, server], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    large, wide = map(int, done.stdout.split())
    assert large < 30  # held as they are fetched they would be 75
    assert wide < 250  # they are 400 of text
