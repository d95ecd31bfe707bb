"""Deliveries of labels, which come days after their predictions, again, or for nobody."""

from collections.abc import Callable

from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.log import log
from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage
from tests.deliveries.toy import AFTER, DAY, Row, labels, rows


def _labels(*made: list[Row]) -> Callable[[Stage], None]:
    def write(stage: Stage) -> None:
        stage.done = True
        stage.jsonl([row for some in made for row in some], dataset="labels")
        stage.ingest(dataset="labels")

    return write


def _alone(stage: Stage) -> None:
    _labels(labels())(stage)
    stage.ingest(dataset="predictions")
    stage.ingest(dataset="labels")


def _early(stage: Stage) -> None:
    stage.csv(rows())
    stage.ingest()
    _labels(labels(arrived_at="2024-03-10T07:00:00Z"))(stage)


def _joined_early(stage: Stage) -> str:
    log(stage.walk, [DAY])
    join(stage.walk, [DAY])
    found = [row["early"] for row in stage.walk.lake.read("toy", "labelled_predictions").to_pylist()]
    return "" if found == [True] * 4 else f"early is {found}"


def _late(stage: Stage) -> None:
    stage.done = True
    stage.jsonl([*labels(2), *labels(4, AFTER)[2:]], day=AFTER, dataset="labels")
    stage.ingest(AFTER, dataset="labels")


CASES = [
    Case("a day of labels only", _alone, "accepted", accepted=4, landed={"2024-03-10": 4}),
    Case("labels before their predictions", _early, "accepted", 8, accepted=8, finish=_joined_early),
    Case("labels a day late", _late, "accepted", accepted=4, landed={"2024-03-10": 2, "2024-03-11": 2}),
    Case(
        "labels of unknown predictions",
        _labels(labels(prediction_id=["w", "x", "y", "z"])),
        "accepted",
        accepted=4,
    ),
    Case(
        "labels without an outcome yet",
        _labels(labels(label=None, outcome="void")),
        "accepted",
        accepted=4,
        values={"label": [None] * 4},
    ),
    Case(
        "labels revised under a new number",
        _labels(labels(), labels(revision=2, label=1)),
        "accepted",
        8,
        accepted=8,
    ),
    Case(
        "labels changed under the same number",
        _labels(labels(label=0), labels(label=1)),
        "accepted",
        8,
        accepted=4,
        repeated=4,
        values={"label": [0] * 4},
    ),
    Case("labels twice", _labels(labels(), labels()), "accepted", 8, accepted=4, repeated=4),
    Case(
        "a label of 2",
        _labels(labels(label=[0, 1, 2, 1])),
        "partial",
        accepted=3,
        quarantined=1,
        rules={"range:label": 1},
    ),
    Case(
        "labels as fractions",
        _labels(labels(label=[0.0, 1.0, 0.5, 1.0])),
        "partial",
        accepted=3,
        quarantined=1,
        rules={"type:label": 1},
        values={"label": [0, 1, 1]},
    ),
    Case(
        "labels as words",
        _labels(labels(label=[0, 1, "canary-7f3a", True])),
        "partial",
        accepted=2,
        quarantined=2,
        rules={"type:label": 2},
    ),
    Case(
        "labels as booleans", _labels(labels(label=True)), "partial", quarantined=4, rules={"type:label": 4}
    ),
    Case(
        "an unknown outcome",
        _labels(labels(outcome=["bad", "good", "canary-7f3a", "Void"])),
        "partial",
        accepted=2,
        quarantined=2,
        rules={"allowed:outcome": 2},
    ),
]
