"""The mirror of the metric store in PostgreSQL, on a real server."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from mlobs_pipelines.destinations.postgres import MirrorError, Published, migrate, publish, with_driver
from mlobs_pipelines.store.tables import METRIC_COLUMNS
from tests.postgres import database
from tests.test_readme import ROOT

ROLES = (ROOT / "deploy" / "postgres" / "roles.sql").read_text()


@pytest.fixture(scope="module")
def server():
    """Start a database for all tests of this file."""
    with database("mirror") as url:
        yield url


@pytest.fixture
def url(server):
    """Give the database without a mirror."""
    with create_engine(with_driver(server)).begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS mlobs CASCADE"))
    return server


def _rows(values, day="2024-03-04", as_of=4, model="loans", **more):
    row = {
        "model": model,
        "model_version": "v1",
        "role": "champion",
        "segment": "",
        "segment_value": "",
        "feature": "",
        "window": "1d",
        "window_start": date.fromisoformat(day),
        "window_end": date.fromisoformat(day),
        "as_of": datetime(2024, 3, as_of, tzinfo=UTC),
        "reason": 'a "quoted", text\nof two lines',
        "n": 7,
        "day": day,
        **more,
    }
    made = [row | {"metric": metric, "value": value} for metric, value in values.items()]
    return pa.Table.from_pylist(made, schema=METRIC_COLUMNS)


def _ask(url, statement, role=None):
    with create_engine(with_driver(url)).begin() as connection:
        if role:
            connection.execute(text(f"SET ROLE {role}"))
        found = connection.execute(text(statement))
        return found.mappings().all() if found.returns_rows else []


def test_the_mirror_has_the_columns_and_values_of_the_store(url):
    """Numbers, nulls, empty texts, quotes and instants arrive as they are; only a maturity is never null."""
    migrate(url)
    rows = _rows({"auc": 0.1 + 0.2, "ece": None})
    assert publish(url, "loans", None, None, rows) == Published(2, 0)
    found = _ask(url, "SELECT * FROM mlobs.metrics ORDER BY metric")
    assert list(found[0]) == METRIC_COLUMNS.names
    assert [dict(row) | {"maturity": None} for row in found] == rows.to_pylist()


def test_publishing_again_changes_nothing(url):
    """The same values under another run are no change; a changed one is written, a withdrawn one removed."""
    migrate(url)
    publish(url, "loans", None, None, _rows({"auc": 0.7, "ece": 0.1}, run_id="a"))
    assert publish(url, "loans", None, None, _rows({"auc": 0.7, "ece": 0.1}, run_id="b")) == Published(0, 0)
    assert publish(url, "loans", None, None, _rows({"auc": 0.8})) == Published(1, 1)
    assert [row["value"] for row in _ask(url, "SELECT value FROM mlobs.metrics")] == [0.8]


def test_other_days_and_models_are_left_alone(url):
    """What is published for a range replaces that range of that model only."""
    migrate(url)
    publish(url, "loans", None, None, _rows({"auc": 0.7}, day="2024-03-03"))
    publish(url, "cards", None, None, _rows({"auc": 0.6}, model="cards"))
    assert publish(url, "loans", "2024-03-04", None, _rows({"auc": 0.8})) == Published(1, 0)
    assert len(_ask(url, "SELECT * FROM mlobs.metrics")) == 3
    with pytest.raises(ValueError, match="another model"):
        publish(url, "loans", None, None, _rows({"auc": 0.6}, model="cards"))


def test_the_latest_view_shows_what_was_known_last(url):
    """History is kept; the view shows of each window the values of its newest look only."""
    migrate(url)
    both = pa.concat_tables([_rows({"auc": 0.7, "ece": 0.1}), _rows({"auc": 0.8}, as_of=9)])
    publish(url, "loans", None, None, both)
    found = _ask(url, "SELECT metric, value FROM mlobs.latest_metrics")
    assert [(row["metric"], row["value"]) for row in found] == [("auc", 0.8)]


def test_migrations_are_applied_once_and_in_order(url):
    """A second time nothing is done; a database that is behind or ahead is refused with what to do."""
    with pytest.raises(MirrorError, match=r"is at version 0.*--migrate"):
        publish(url, "loans", None, None, _rows({"auc": 0.7}))
    assert migrate(url) == migrate(url)
    assert [row["name"] for row in _ask(url, "SELECT name FROM mlobs.migrations")] == [
        "001_metrics",
        "002_operations",
    ]
    _ask(url, "INSERT INTO mlobs.migrations (version, name) VALUES (99, 'of a later release')")
    with pytest.raises(MirrorError, match=r"at version 99.*upgrade"):
        migrate(url)


def test_roles_may_do_what_they_are_for_and_no_more(url):
    """A writer publishes and changes no table, a reader reads all, a dashboard what is known now."""
    migrate(url)
    publish(url, "loans", None, None, _rows({"auc": 0.7}))
    for _ in range(2):
        _ask(url, ROLES)
    assert _ask(url, "SELECT * FROM mlobs.latest_metrics", "mlobs_dashboard")
    assert _ask(url, "SELECT * FROM mlobs.metrics", "mlobs_reader")
    _ask(url, "UPDATE mlobs.metrics SET value = 1", "mlobs_writer")
    for role, statement in (
        ("mlobs_dashboard", "SELECT * FROM mlobs.metrics"),
        ("mlobs_reader", "DELETE FROM mlobs.metrics"),
        ("mlobs_writer", "DROP TABLE mlobs.metrics"),
        ("mlobs_writer", "CREATE TABLE mlobs.other (a int)"),
        ("mlobs_writer", "DELETE FROM mlobs.migrations"),
    ):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            _ask(url, statement, role)


def test_a_database_that_does_not_answer_is_said_without_its_password():
    """The message says what to mend and quotes nothing of the URL."""
    with pytest.raises(MirrorError, match="does not answer") as caught:
        migrate("postgresql://u:top-secret@127.0.0.1:9/x")
    assert "top-secret" not in repr(caught.value)
