"""The walk on an object store: the same numbers as on a disk."""

from dataclasses import replace

from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.metric_store import MetricStore
from tests.objects import object_store
from tests.steps import loans
from tests.steps.journey import days_of

DAYS = loans.DAYS[:1]


def _walk(walk):
    measure_baselines(walk)
    for dataset in ("labels", "features", "predictions"):
        ingest(walk, dataset, DAYS)
    days_of(walk, DAYS)
    return {one.table: one.content_hash for one in walk.lake.summary(walk.model)}


def test_a_day_walked_on_an_object_store_is_the_day_walked_on_a_disk(landing, tmp_path):
    """Every table has the same content, and the metric store answers alike."""
    local = loans.walk_of(tmp_path / "local", landing)
    with object_store() as options:
        remote = replace(local, lake=Lake("s3://lake/mlobs", options))
        assert _walk(remote) == _walk(local)
        found = [MetricStore(walk.lake).query(walk.model) for walk in (local, remote)]
    assert found[0].num_rows > 100
    assert found[0].equals(found[1])
