"""A model on the cluster engine has the tables and metrics it has on the embedded one: real Spark, local."""

import random
import shutil
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.engine.embedded import Embedded
from mlobs_pipelines.engine.engines import Cluster, EngineError, engine_of
from mlobs_pipelines.engine.joins import View
from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.store.content import content_hash
from tests.engine.test_joins import ASKED, LABELS, LOG, ROWS, asked_at, at, label
from tests.steps import loans
from tests.steps.journey import days_of

DAYS, LABEL_DAYS = loans.DAYS[:2], loans.LABEL_DAYS[:5]
SAME = (
    "predictions",
    "features",
    "labels",
    "quarantine",
    "prediction_log",
    "feature_snapshots",
    "deliveries",
)
# Several tasks for few rows, so that there is something to merge; a virtual machine that starts fast.
CONF = """
# as an operator would write it
spark.sql.shuffle.partitions = 3
spark.sql.adaptive.enabled false
spark.sql.autoBroadcastJoinThreshold -1
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.driver.memory 700m
spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
"""
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Where Spark runs: in two threads of this machine."""
    conf = tmp_path_factory.mktemp("conf") / "spark-defaults.conf"
    conf.write_text(CONF, encoding="utf-8")
    found = Cluster("local[2]", conf)
    yield found
    engine_of("spark", Duck("200MB", 1, conf.parent), found).session.stop()


@pytest.fixture(scope="module")
def both(tmp_path_factory, cluster):
    """The embedded engine and the cluster's."""
    duck = Duck("200MB", 1, tmp_path_factory.mktemp("spill"))
    return engine_of("embedded", duck, cluster), engine_of("spark", duck, cluster)


@pytest.fixture(scope="module")
def lakes(tmp_path_factory, cluster):
    """Two walks over the same deliveries, one per engine: some rows of them break rules or come twice."""
    rows = loans.draw(per_day=60)
    landing = tmp_path_factory.mktemp("landing") / "landing"
    loans.deliver(rows, landing)
    _spoil(landing)
    walks = []
    for engine in ("embedded", "spark"):
        walk = replace(loans.walk_of(tmp_path_factory.mktemp(engine), landing), cluster=cluster)
        monitor = walk.spec.monitor.model_copy(update={"engine": engine})
        walk = replace(walk, spec=replace(walk.spec, monitor=monitor))
        measure_baselines(walk)
        for dataset, days in (("labels", LABEL_DAYS), ("features", DAYS), ("predictions", DAYS)):
            ingest(walk, dataset, days)
        days_of(walk, DAYS)
        walks.append(walk)
    return walks


def _spoil(landing):
    path = loans.day_file(landing, DAYS[0])
    frame = pl.read_parquet(path)
    bad = frame.head(3).with_columns(prediction_id=pl.lit(None, pl.String), score=pl.lit(7.0))
    pl.concat([frame, bad, frame.tail(2)]).write_parquet(path)


@needs_java
def test_joins_are_the_same(both):
    """Both joins of random rows, with nulls, ties, NaN and values known too late, agree to the bit."""
    draw = random.Random(4)  # noqa: S311 - rows, no secrets
    entity = [draw.choice([*"abcdefghij", None]) for _ in range(150)]
    asked = [
        {"prediction_id": at_, "predicted_at": at(draw.randint(0, 300)), "who": who}
        for at_, who in enumerate(entity)
    ]
    rows = [
        {
            "who": draw.choice([*"abcdefghi", None]),
            "observed_at": at(draw.choice([-12_000, *range(-300, 280, 20)])),
            "available_at": at(draw.choice([-12_000, 400, *range(-300, 280, 20)])),
            "x": draw.choice([None, 1.0, float("nan"), 2.5]),
            "word": draw.choice([None, "a", "é", "b"]),
        }
        for _ in range(60)
    ]
    asked = pa.Table.from_pylist(asked, ASKED.set(0, pa.field("prediction_id", pa.int64())))
    view = View("v", "who", timedelta(hours=2), ("x", "word"))
    one, other = (engine.point_in_time(asked, pa.Table.from_pylist(rows, ROWS), view) for engine in both)
    assert set(one["v__miss"].to_pylist()) == {None, "no_key", "never", "expired", "not_yet_known"}
    agree(one, other)
    said = [
        label(
            f"p{draw.randint(0, 90)}",
            draw.choice([0, 1, None]),
            at(draw.choice([0, 10, 60, 1500])),
            draw.randint(0, 2),
        )
        for _ in range(250)
    ]
    log = [
        asked_at(f"p{name}", at(draw.randint(0, 300)), version)
        for name in range(80)
        for version in ("v1", "v2")
    ]
    sources = pa.array([draw.choice(["live", "nightly", None]) for _ in said])
    tables = (
        pa.Table.from_pylist(log, LOG),
        pa.Table.from_pylist(said, LABELS).append_column("source", sources),
    )
    one, other = (engine.join_labels(*tables, at(200), ["score", "region"]) for engine in both)
    assert pc.sum(one["conflict"]).as_py() > 5
    agree(one, other)


def agree(one, other):
    """Equal values in equal order; a NaN equals a NaN."""
    assert one.column_names == other.column_names
    for name in one.column_names:
        columns = one.select([name]), other.select([name]).cast(pa.schema([one.schema.field(name)]))
        assert content_hash(columns[0]) == content_hash(columns[1]), name


@needs_java
def test_work_is_shared_out_in_order(both):
    """Frames are worked on in their order; what breaks them off is raised after what came before it."""

    def frames():
        yield from ([number] * number for number in range(5))
        raise ValueError("no more")

    for engine in both:
        found = []
        with pytest.raises(ValueError, match="no more"):
            found.extend(engine.each(len, frames()))
        assert found == [([number] * number, number) for number in range(5)]
        assert list(engine.each(len, [])) == []


@needs_java
def test_tables_of_rows_are_the_same(lakes):
    """Accepted rows, quarantine, snapshots and the prediction log hold the same content, to the hash."""
    one, other = ({table.table: table for table in walk.lake.summary(walk.model)} for walk in lakes)
    assert one.keys() == other.keys()
    assert one["quarantine"].rows >= 3
    for name in set(SAME) & set(one):
        assert (one[name].rows, one[name].content_hash) == (other[name].rows, other[name].content_hash), name


@needs_java
def test_statistics_and_metrics_are_the_same(lakes):
    """Every key, count, bin, category and sketch is equal; sums and metrics are to 1e-9."""
    for name in ("labelled_predictions", "statistics", "metrics"):
        one, other = (walk.lake.read(walk.model, name) for walk in lakes)
        told = [column for column in one.column_names if column != "inputs"]  # they cite sums by their hash
        compare(name, one.select(told), other.select(told))


def compare(name, one, other):
    """Equal rows in equal order, floats to 1e-9."""
    assert one.num_rows == other.num_rows > 0
    for column in one.column_names:
        mine, theirs = one[column], other[column]
        if pa.types.is_list(mine.type):
            assert pc.list_value_length(mine).equals(pc.list_value_length(theirs)), (name, column)
            mine, theirs = pc.list_flatten(mine), pc.list_flatten(theirs)
        if not pa.types.is_floating(mine.type):
            assert mine.equals(theirs), (name, column)
            continue
        assert mine.is_null().equals(theirs.is_null())
        both = [found.drop_null().to_numpy() for found in (mine, theirs)]
        np.testing.assert_allclose(*both, rtol=1e-9, atol=1e-9, err_msg=f"{name}: {column}")


@needs_java
def test_what_spark_lacks_is_said(tmp_path):
    """A conf file that is missing, or holds no properties, is named with its line and what to write."""
    spill = Duck("200MB", 1, tmp_path)
    with pytest.raises(EngineError, match=r"MLOBS_SPARK_CONF names .*which is no file"):
        _ = engine_of("spark", spill, Cluster("local[2]", tmp_path / "none.conf")).session
    path = tmp_path / "some.conf"
    path.write_text("# as ever\nmemory 4g\n", encoding="utf-8")
    with pytest.raises(EngineError, match=r"some\.conf:2: no property of Spark"):
        _ = engine_of("spark", spill, Cluster("local[2]", path)).session


def test_what_is_not_installed_is_said(tmp_path, monkeypatch):
    """Without PySpark a model that wants it fails with what to install, not with an import error."""
    monkeypatch.setitem(sys.modules, "mlobs_pipelines.engine.spark.engine", None)
    monkeypatch.setitem(sys.modules, "mlobs_pipelines.engine.spark", None)
    with pytest.raises(EngineError, match=r"pip install 'mlobs-pipelines\[spark\]'"):
        engine_of("spark", Duck("200MB", 1, tmp_path), Cluster())


def test_the_embedded_engine_is_the_default():
    """A monitor that says nothing works on rows in its own process, and nothing of Spark is imported."""
    walk = loans.walk_of(loans.CONTRACTS, loans.CONTRACTS)
    assert isinstance(walk.engine, Embedded)
