"""Knowledge time: what was known as of a moment does not depend on when and in which order runs looked."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps import late, loans
from tests.steps.late import FIRST, SECOND, THIRD
from tests.steps.test_order import differences

ARRIVALS = [*late.DAYS, *loans.DAYS[6:8]]
# Days that are looked at as of each moment.
LOOKS = {
    datetime(2024, 2, 29, 20, tzinfo=UTC): [FIRST, SECOND],
    datetime(2024, 3, 1, 12, tzinfo=UTC): [SECOND, THIRD],
    datetime(2024, 3, 4, tzinfo=UTC): [FIRST, THIRD],
}
STEPS = {"join": join, "statistics": measure, "metrics": score}


class Op(NamedTuple):
    """A delivery of the labels of a day, or a step over some days as of a moment."""

    what: str
    at: object


def do(walk, op):
    """Run one operation."""
    if op.what == "labels":
        ingest(walk, "labels", [op.at])
    else:
        STEPS[op.what](replace(walk, as_of=op.at), LOOKS[op.at])


def in_order():
    """What happens where every run looks from its own time, and deliveries are on time."""
    ops = [Op("labels", day) for day in ARRIVALS]
    return ops + [Op(name, moment) for moment in LOOKS for name in STEPS]


@pytest.fixture(scope="module")
def expected(unlabelled, tmp_path_factory):
    """The lake of `in_order`."""
    walk = late.lake_of(unlabelled, tmp_path_factory.mktemp("expected"))
    for op in in_order():
        do(walk, op)
    return walk


def _may_follow(op, left):
    """Whether nothing that is left must come before an operation."""
    if op.what == "labels":
        return True
    order = list(STEPS)
    earlier = order[: order.index(op.what)]
    due = any(one.what == "labels" and one.at <= op.at.date() for one in left)
    return not due and not any(one.at == op.at and one.what in earlier for one in left)


@st.composite
def interleavings(draw):
    """Deliveries in any order, the runs of all moments interwoven, and runs that came early."""
    left, ops = in_order(), []
    while left:
        ready = [op for op in left if _may_follow(op, left)]
        ops.append(draw(st.sampled_from(ready)))
        left.remove(ops[-1])
    for moment in draw(st.lists(st.sampled_from(list(LOOKS)), max_size=2)):
        place = draw(st.integers(0, ops.index(Op("join", moment))))
        ops[place:place] = [Op(name, moment) for name in draw(st.permutations(list(STEPS)))]
    return ops


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ops=interleavings())
def test_any_interleaving_ends_in_the_same_tables(unlabelled, expected, tmp_path_factory, ops):
    """Deliveries and runs in any order end in the same tables, if each moment's labels came before it."""
    walk = late.lake_of(unlabelled, tmp_path_factory.mktemp("interleaved"))
    for op in ops:
        do(walk, op)
    assert differences(walk, expected) == []


def base_rate(sent, arrived, looked):
    """Share of bad loans among one day's requests of version a whose label was known at a moment."""
    known = arrived.filter(pl.col("arrived_at") <= looked).sort("arrived_at", "revision")
    latest = known.unique("prediction_id", keep="last").drop_nulls("label")
    return sent.filter(pl.col("predicted_at") <= looked).join(latest, on="prediction_id")["label"].mean()


def test_each_moment_shows_what_was_known_then(unlabelled, expected):
    """Asked as of three moments, a day's base rate is that of the labels which had arrived when it looked."""
    sent = pl.read_parquet(unlabelled.landing / "predictions" / f"{FIRST}.parquet")
    sent = sent.filter(pl.col("predicted_at").dt.date() == FIRST, pl.col("model_version") == "a")
    files = [unlabelled.landing / "labels" / f"{day}.jsonl" for day in loans.LABEL_DAYS]
    arrived = pl.concat([pl.read_ndjson(path) for path in files if path.exists()], how="diagonal_relaxed")
    arrived = arrived.with_columns(pl.col("arrived_at").str.to_datetime(time_zone="UTC"))
    asking = {"metrics": ["base_rate"], "versions": ["a"], "windows": ["1d"], "segments": [""]}
    store, moments, shown = MetricStore(expected.lake), list(LOOKS), []
    for asked, looked in zip(moments, (moments[0], moments[0], moments[2]), strict=True):
        (row,) = store.query(unlabelled.model, **asking, first=FIRST, last=FIRST, as_of=asked).to_pylist()
        shown.append((row["as_of"], row["value"]))
        assert shown[-1] == (looked, pytest.approx(base_rate(sent, arrived, looked)))
    assert shown[0] == shown[1] != shown[2]
