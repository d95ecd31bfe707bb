"""Deliveries of feature views: several tables of one contract, each with keys, times and files of its own."""

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, Write
from tests.deliveries.toy import AFTER, BEFORE, DAY, MARK, Row


def _view(count: int = 4, day: str = "2024-03-10", **columns: object) -> list[Row]:
    made = [
        {
            "region": MARK,
            "observed_at": f"{day}T{number:02}:00:00Z",
            "available_at": f"{day}T{number:02}:30:00Z",
            "region_rate": 0.25,
        }
        for number in range(count)
    ]
    return [row | columns for row in made]


def _delivered(*made: list[Row]) -> Write:
    def write(stage: Stage) -> None:
        stage.done = True
        stage.jsonl([row for some in made for row in some], dataset="features/regions")
        stage.ingest(dataset="features")

    return write


def _second_day(stage: Stage) -> None:
    _delivered(_view())(stage)
    stage.jsonl(_view(region_rate=0.75), day=AFTER, dataset="features/regions")
    stage.ingest(AFTER, dataset="features")


def _backfilled(stage: Stage) -> None:
    """Days come in the wrong order, and the file of the first has rows of the second."""
    stage.done = True
    stage.jsonl([*_view(day="2024-03-09"), *_view(2)], day=BEFORE, dataset="features/regions")
    stage.jsonl(_view(), day=DAY, dataset="features/regions")
    stage.ingest(DAY, dataset="features")
    stage.ingest(BEFORE, dataset="features")


def _without_a_column(stage: Stage) -> None:
    made = [{name: value for name, value in row.items() if name != "available_at"} for row in _view()]
    _delivered(made)(stage)


CASES = [
    Case("features as promised", _delivered(_view()), "accepted", accepted=4, landed={"2024-03-10": 4}),
    Case("features twice", _delivered(_view(), _view()), "accepted", 8, accepted=4, repeated=4, told={}),
    Case(
        "features that say something else the next day",
        _second_day,
        "accepted",
        8,
        accepted=4,
        repeated=4,
        values={"region_rate": [0.25] * 4},
    ),
    Case(
        "features of days in the wrong order",
        _backfilled,
        "accepted",
        10,
        accepted=8,
        repeated=2,
        landed={"2024-03-09": 4, "2024-03-10": 4},
    ),
    Case(
        "features without the time they could be known",
        _without_a_column,
        "refused",
        refused=4,
        says=["missing columns: available_at"],
    ),
    Case(
        "features without an entity",
        _delivered(_view(2), _view(2, region=None)),
        "partial",
        accepted=2,
        quarantined=2,
        rules={"required:region": 2},
    ),
    Case(
        "features of the future",
        _delivered(_view(2), _view(2, day="2024-03-12")),
        "partial",
        accepted=2,
        quarantined=2,
        rules={"future:observed_at": 2},
    ),
]
