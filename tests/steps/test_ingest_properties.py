"""Whatever the deliveries and the order of the runs: the same tables, every row accounted for, each once."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import count
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlobs_pipelines.steps.ingest import evidence, ingest, publication, spool, step
from mlobs_pipelines.steps.ingest.spool import Room
from tests.steps import parcels
from tests.steps.parcels import Parcel, Row

DAYS = 3
PLACES = [(day, name) for day in range(DAYS) for name in ("a", "b")]
IDENTITY = ["delivered_on", "delivery", "delivery_row"]
COUNTS = ["accepted", "repeated", "quarantined", "refused", "sampled_out"]
FEW = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))

row = st.builds(
    Row,
    key=st.integers(0, 4),
    shift=st.integers(-2, 1),
    content=st.integers(0, 1),
    version=st.integers(0, 1),
    bad=st.sampled_from([False, False, False, True]),
)
rows = st.lists(row, max_size=6).map(tuple)
spans = st.tuples(st.integers(0, DAYS - 1), st.integers(0, DAYS - 1)).map(sorted)


@st.composite
def histories(draw):
    """Files as they end, what some of them were before, and the runs before and after they changed."""
    places = draw(st.lists(st.sampled_from(PLACES), unique=True, min_size=1))
    final = [Parcel(day, name, draw(rows)) for day, name in places]
    was = draw(st.lists(st.sampled_from(places), unique=True))
    before = [Parcel(day, name, draw(st.none() | rows)) for day, name in was]
    early, late = draw(st.lists(spans, max_size=2)), draw(st.lists(spans, max_size=1))
    last = draw(st.permutations(range(DAYS)))
    return final, before, early, [*late, *([day, day] for day in last)]


class Places:
    """New folders, and walks over them."""

    def __init__(self, root, rate):
        """Declare the model below a folder."""
        self.root, self.numbers = root, count()
        self.spec = parcels.declare(root / "loan_risk", rate=rate)

    def __repr__(self):
        """Keep failing examples readable."""
        return "places"

    def new(self):
        """A folder of its own."""
        return self.root / f"{next(self.numbers):04d}"

    def walk(self, landing):
        """A walk with a lake of its own."""
        return parcels.walk_of(self.spec, self.new(), landing)


@pytest.fixture(scope="module", params=[None, 0.5], ids=["all", "sampled"])
def places(request, tmp_path_factory):
    """Places of the model, without and with sampling."""
    return Places(tmp_path_factory.mktemp("properties"), request.param)


def run(walk, spans: Iterable[Iterable[int]]) -> None:
    """Ingest spans of days, one after the other."""
    for first, last in spans:
        ingest(walk, "predictions", [parcels.day_of(day) for day in range(first, last + 1)])


def contents(walk) -> dict[str, tuple[int, str]]:
    """Rows and content hash of every table that has any."""
    return {item.table: (item.rows, item.content_hash) for item in walk.lake.summary(walk.model) if item.rows}


def table(walk, name: str) -> pl.DataFrame:
    """A table's rows; without columns where there is no such table."""
    if name not in walk.lake.tables(walk.model):
        return pl.DataFrame()
    return pl.DataFrame(walk.lake.read(walk.model, name))


def everything(walk) -> dict[str, list[tuple]]:
    """Every row of every table, in an order that does not hang on how it was written."""
    found = {name: table(walk, name) for name in walk.lake.tables(walk.model)}
    return {
        name: sorted(map(repr, frame.select(sorted(frame.columns)).iter_rows()))
        for name, frame in found.items()
        if frame.height
    }


def check_accounting(walk, final: list[Parcel]) -> None:
    """Every delivered row is in exactly one place, and the records say in which."""
    records = table(walk, "deliveries")
    assert records.filter(pl.col("rows_in") != pl.sum_horizontal(COUNTS)).is_empty()
    assert sum(records["rows_in"]) == sum(len(parcel.rows) for parcel in final)
    kept = Counter()
    for name in ("predictions", "predictions_repeats"):
        kept.update(table(walk, name).select(IDENTITY).iter_rows() if table(walk, name).width else ())
    aside = table(walk, "quarantine")
    kept.update(aside.select("day", "delivery", "row_number").iter_rows() if aside.width else ())
    assert set(kept.values()) <= {1}
    assert len(kept) == sum(records["rows_in"]) - sum(records["sampled_out"])
    assert table(walk, "predictions").height == sum(records["accepted"])
    assert table(walk, "sampled_out").height == sum(records["sampled_out"])
    standing = table(walk, "predictions")
    if standing.height:
        assert standing.select("day", "prediction_id").is_unique().all()


SAME, OTHER, CORRECTED = Row(0), Row(0, content=1), Row(0, version=1)
WITHDRAWN = (
    [Parcel(0, "a", ()), Parcel(1, "a", (replace(SAME, shift=-1), Row(1)))],
    [Parcel(0, "a", (SAME, Row(2)))],
    [[0, 2]],
    [[0, 0], [1, 1], [2, 2]],
)
CONFLICTING = (
    [
        Parcel(0, "a", (SAME, OTHER)),
        Parcel(0, "b", (CORRECTED,)),
        Parcel(1, "a", (replace(OTHER, shift=-1),)),
    ],
    [Parcel(0, "b", None)],
    [[1, 1], [0, 0]],
    [[2, 2], [0, 1], [0, 0], [1, 1]],
)


@FEW
@given(history=histories())
@example(history=WITHDRAWN)
@example(history=CONFLICTING)
def test_the_order_of_runs_changes_nothing(places, history):
    """Day by day, in ranges, again, over files that changed: the tables of one run over all days."""
    final, before, early, late = history
    landing = places.new()
    walk, once = places.walk(landing), places.walk(landing)
    parcels.deliver([*final, *before], landing)
    run(walk, early)
    parcels.deliver(final, landing)
    run(walk, late)
    run(once, [[0, DAYS - 1]])
    check_accounting(once, final)
    check_accounting(walk, final)
    assert everything(walk) == everything(once)
    assert contents(walk) == contents(once)


def test_rows_that_stand_again_are_no_longer_counted_as_repeats(places):
    """A later day's row stood back; once the row before it is withdrawn, its delivery's record says so."""
    final, before, _, _ = WITHDRAWN
    landing = places.new()
    walk = places.walk(landing)
    parcels.deliver([*final, *before], landing)
    run(walk, [[0, 1]])
    parcels.deliver(final, landing)
    run(walk, [[0, 0]])
    check_accounting(walk, final)


@FEW
@given(history=histories())
@example(history=WITHDRAWN)
@example(history=CONFLICTING)
def test_rows_that_do_not_fit_into_memory_end_in_the_same_tables(places, history):
    """With room for a few rows only, days stream through files to the very rows that memory gives."""
    final, before, early, late = history
    landing = places.new()
    walk, once = places.walk(landing), places.walk(landing)
    parcels.deliver([*final, *before], landing)
    with (
        patch.object(publication, "LARGE", 3),
        patch.object(evidence, "LARGE", 3),
        patch.object(step, "LARGE", 3),
        patch.object(publication, "BLOCK", 2),
        patch.object(evidence, "LARGE_ASIDE", 3),
        patch.object(spool, "Room", partial(Room, budget=0)),
    ):
        run(walk, early)
        parcels.deliver(final, landing)
        run(walk, late)
        stable = contents(walk)
        run(walk, [[0, DAYS - 1]])
        assert contents(walk) == stable
    run(once, [[0, DAYS - 1]])
    assert everything(walk) == everything(once)
