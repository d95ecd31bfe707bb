"""Every source keeps the same promises, whatever its rows lie in."""

from pathlib import Path

import polars as pl
import pytest

from mlobs_pipelines.sources.deliveries import BATCH_ROWS
from mlobs_pipelines.sources.registry import DATABASES, FORMATS, SOURCES, TABLES
from tests.sources.conformance import CASES, COLUMNS, ELSEWHERE, EMPTY, ROWS, SECRET, SLOT


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    """Give each case."""
    return request.param


@pytest.fixture
def places(case, tmp_path):
    """Give a case's place, and its place that is not there."""
    return case.fill(tmp_path)


def _read(place, slot=SLOT):
    return list(SOURCES[place.kind](place, slot))


def _rows(delivery):
    frame = pl.concat(delivery.frames())
    labels = frame["label"].cast(pl.String).str.replace(r"\.0$", "").str.replace("^null$", "")
    return sorted(zip(frame["prediction_id"].to_list(), labels.fill_null("").to_list(), strict=True))


def test_a_day_is_delivered_whole_and_alone(places):
    """The rows of the slot's day come once each, and none of the day after."""
    [delivery] = _read(places[0])
    assert delivery.problem == ""
    labels = ROWS["label"].cast(pl.String).fill_null("").to_list()
    assert _rows(delivery) == sorted(zip(ROWS["prediction_id"].to_list(), labels, strict=True))


def test_frames_come_again_and_are_alike(places):
    """A delivery can be opened twice; its frames have one set of columns and are bounded."""
    [delivery] = _read(places[0])
    first, second = list(delivery.frames()), list(delivery.frames())
    assert pl.concat(first).equals(pl.concat(second))
    assert {tuple(frame.columns) for frame in first} == {tuple(first[0].columns)}
    assert set(COLUMNS) <= set(first[0].columns)
    assert max(frame.height for frame in first) <= BATCH_ROWS


def test_columns_are_announced_with_their_types(places):
    """What frames have was announced before, each with a word for its type."""
    [delivery] = _read(places[0])
    assert set(next(delivery.frames()).columns) <= set(delivery.columns)
    assert all(delivery.columns.values())


def test_a_digest_is_of_the_content(places):
    """The same content has the same digest at every reading, and another day another."""
    [first], [again] = _read(places[0]), _read(places[0])
    assert first.sha256 == again.sha256 != ""
    assert first.name == again.name
    assert not first.name.startswith("/")


def test_a_day_without_a_delivery_is_no_error(places):
    """Where nothing was delivered, there are no deliveries."""
    assert _read(places[0], EMPTY) == []


def test_a_place_that_is_not_there_says_what_to_check(places):
    """An unreachable place is an `OSError` with advice and without a credential."""
    with pytest.raises(OSError, match=r"check|set|begin|reach|address") as caught:
        _read(places[1])
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(places[1])


def test_every_registered_source_is_held_to_this():
    """A kind or format that is registered has a case here, or a place where it is tested."""
    here = {case.name for case in CASES} | {"local", "memory", *ELSEWHERE}
    assert {*FORMATS, *TABLES} - here == set()
    assert set(SOURCES) - here - {*DATABASES} == set()


def test_what_sources_are_is_known_without_loading_them():
    """The registry names one module per kind, and each is there."""
    folder = Path(__file__).parents[2] / "mlobs_pipelines" / "sources"
    assert all((folder / f"{module}.py").is_file() for module in TABLES.values())
