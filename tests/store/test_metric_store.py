import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from mlobs_pipelines.store import metric_store
from mlobs_pipelines.store.lake import LayoutMismatchError
from mlobs_pipelines.store.metric_store import MetricStore, _Asked, _statement
from mlobs_pipelines.store.tables import METRIC_COLUMNS, as_of_key

DAY = date(2013, 3, 1)
EARLY = datetime(2013, 3, 2, tzinfo=UTC)
LATE = datetime(2013, 3, 9, tzinfo=UTC)


def metric(day=DAY, as_of=EARLY, **given):
    """One row of the metric table."""
    row = {field.name: None for field in METRIC_COLUMNS}
    row |= {"model": "m", "model_version": "v1", "role": "champion", "segment": "", "segment_value": ""}
    row |= {"feature": "", "metric": "auc", "window": "1d", "value": 0.5, "n": 10, "run_id": "r1"}
    row |= {
        "window_start": day,
        "window_end": day + timedelta(days=1),
        "day": day.isoformat(),
        "as_of": as_of,
    }
    return row | given


def table(*rows):
    """Rows as an Arrow table."""
    return pa.Table.from_pylist(list(rows), schema=METRIC_COLUMNS)


@pytest.fixture
def store(lake):
    """An empty metric store."""
    return MetricStore(lake)


def write(store, *rows, partitions=None):
    """Write rows to the partitions they belong to."""
    parts = partitions or {(date.fromisoformat(row["day"]), row["as_of"]) for row in rows}
    return store.write("m", sorted(parts), table(*rows), commit={"run_id": "r1"})


def values(found):
    """The value column of an answer."""
    return found.column("value").to_pylist()


def test_values_come_back_in_the_documented_columns(store):
    """A query returns the columns of the metric table, typed, without the helper column of its partitions."""
    write(store, metric())
    found = store.query("m")
    assert found.schema.equals(METRIC_COLUMNS)
    assert found.to_pylist() == [metric()]


def test_latest_is_per_window(store):
    """A window shows its newest scoring whole: what that does not say any more is not shown."""
    write(store, metric(value=0.1), metric(metric="ece", value=0.2), metric(window="7d", value=0.4))
    write(store, metric(as_of=LATE, value=0.3))
    found = store.query("m")
    names = zip(found.column("window").to_pylist(), found.column("metric").to_pylist(), strict=True)
    assert dict(zip(names, values(found), strict=True)) == {("1d", "auc"): 0.3, ("7d", "auc"): 0.4}
    assert values(store.query("m", metrics=["ece"])) == []


def test_as_of_hides_later_knowledge(store):
    """A query as of an instant sees what was known then, its own second included."""
    write(store, metric(value=0.1))
    write(store, metric(as_of=LATE, value=0.3))
    instants = [EARLY - timedelta(seconds=1), EARLY, LATE - timedelta(microseconds=1), LATE]
    assert [values(store.query("m", as_of=at)) for at in instants] == [[], [0.1], [0.1], [0.3]]


def test_history_is_kept(store):
    """Without "latest" every value ever written is returned, oldest knowledge first."""
    write(store, metric(value=0.1))
    write(store, metric(as_of=LATE, value=0.3))
    assert values(store.query("m", latest=False)) == [0.1, 0.3]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"metrics": ["psi"]}, [2.0]),
        ({"versions": ["v2"]}, [3.0]),
        ({"windows": ["7d"]}, [4.0]),
        ({"segments": [""], "features": [""]}, [0.0, 1.0, 4.0, 3.0]),
        ({"segments": ["origin"]}, [5.0]),
        ({"features": ["temp"]}, [2.0]),
        ({"first": DAY + timedelta(days=1)}, [1.0]),
        ({"last": DAY, "metrics": ["auc"], "versions": ["v1"], "windows": ["1d"]}, [0.0, 5.0]),
        ({"metrics": []}, []),
        ({"metrics": ["auc'; --"]}, []),
    ],
)
def test_filters(store, asked, found):
    """Each filter keeps what it names, and they combine."""
    write(
        store,
        metric(value=0.0),
        metric(day=DAY + timedelta(days=1), value=1.0),
        metric(metric="psi", feature="temp", value=2.0),
        metric(model_version="v2", value=3.0),
        metric(window="7d", window_start=DAY - timedelta(days=6), value=4.0),
        metric(segment="origin", segment_value="JFK", value=5.0),
    )
    assert values(store.query("m", **asked)) == found


def test_nothing_written_yet(store):
    """A model without metrics, or without any in the days asked for, answers with no rows."""
    assert store.query("m").schema.equals(METRIC_COLUMNS)
    write(store, metric())
    assert store.query("m", first=DAY + timedelta(days=1)).num_rows == 0


def test_undefined_numbers_are_null(store):
    """NaN is kept as null, and null stays null."""
    write(store, metric(value=math.nan, lower=None, upper=math.nan))
    found = store.query("m").to_pylist()[0]
    assert (found["value"], found["lower"], found["upper"]) == (None, None, None)


def test_a_rerun_adds_no_version(store):
    """The same values from another run commit nothing and keep the first run's id."""
    write(store, metric())
    done = write(store, metric(run_id="r2"))
    assert not any(part.changed for part in done.values())
    assert store.query("m").column("run_id").to_pylist() == ["r1"]


def test_a_series_has_one_value_per_instant(store):
    """Two values of one series at one as-of are refused, because "latest" could not choose."""
    with pytest.raises(LayoutMismatchError, match="1 values repeat"):
        write(store, metric(), metric(value=0.7))


def test_values_of_other_partitions_are_refused(store):
    """A value as of another instant than announced is not written."""
    with pytest.raises(LayoutMismatchError, match="1 rows lie outside"):
        write(store, metric(as_of=LATE), partitions={(DAY, EARLY)})


def test_as_of_is_a_whole_second(store):
    """An as-of that its partition could not tell apart is refused."""
    with pytest.raises(ValueError, match="whole second"):
        write(store, metric(as_of=EARLY + timedelta(microseconds=1)))
    with pytest.raises(ValueError, match="time zone"):
        as_of_key(datetime(2013, 3, 1))  # noqa: DTZ001 - what is refused


def test_values_can_be_computed_late(store):
    """A function is called for the rows once the table's version is known."""
    store.write("m", [(DAY, EARLY)], lambda: table(metric(value=0.9)), commit={})
    assert values(store.query("m")) == [0.9]


def test_missing_names_are_refused(store):
    """The absence of a segment is spelled "", never null."""
    with pytest.raises(LayoutMismatchError, match="column segment"):
        write(store, metric(segment=None))


def test_a_remote_lake_answers_alike(store):
    """The scan through a dataset, which an object store needs, gives what the scan of local files gives."""
    write(store, metric(), metric(metric="ece", value=0.2))
    write(store, metric(as_of=LATE, value=0.3))
    with duckdb.connect() as connection:
        connection.register("stored", store.lake.dataset("m", "metrics"))
        asked = _Asked({}, {"metric": ["auc"]}, METRIC_COLUMNS, latest=True, current=True)
        statement = _statement("stored", asked)
        found = connection.sql(statement, params=[["auc"]]).to_arrow_table().cast(METRIC_COLUMNS)
    assert found.equals(store.query("m", metrics=["auc"]))


def test_questions_at_once_read_their_own_days(store):
    """Questions that share an engine are kept apart, whatever they ask at the same time."""
    days = [DAY + timedelta(days=number) for number in range(8)]
    write(store, *(metric(day=day, value=float(day.day)) for day in days))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda day: values(store.query("m", first=day, last=day)), days * 5))
    assert found == [[float(day.day)] for day in days * 5]


def test_a_large_question_is_answered_as_a_small_one(store, monkeypatch):
    """With an engine of its own or the shared one, the rows are the same."""
    write(store, metric(), metric(as_of=LATE, value=0.7), metric(metric="ece"))
    small = store.query("m")
    monkeypatch.setattr(metric_store, "SMALL", 0)
    assert store.query("m").equals(small)
