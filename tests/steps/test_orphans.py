"""Labels without a prediction: counted by day of arrival, and judged against the limit that is declared."""

from dataclasses import replace

import pytest

from mlobs_pipelines.defs.join import judged_orphans
from mlobs_pipelines.steps.arrivals import orphans
from mlobs_pipelines.steps.ingest import ingest
from tests.steps import late, loans
from tests.steps.late import FIRST, SECOND
from tests.steps.test_late_labels import LATE, loan, say


@pytest.fixture
def walk(unlabelled, tmp_path):
    """A lake with predictions and a landing zone of the test's own."""
    mine = late.lake_of(unlabelled, tmp_path)
    return replace(mine, landing=loans.copy_of(unlabelled.landing, tmp_path / "landing"))


def test_labels_of_unknown_predictions_are_orphans(walk):
    """Of a day of arrival, those whose prediction is in no log; a day without labels has neither."""
    say(walk, LATE, (loan(FIRST), 1), (loan(SECOND), 0), ("loan-of-nobody", 1))
    ingest(walk, "labels", [LATE])
    found = orphans(walk, [FIRST, LATE])
    text = LATE.isoformat()
    assert (found.labels.get(text), found.orphans.get(text)) == (3, 1)
    assert FIRST.isoformat() not in {*found.labels, *found.orphans}


@pytest.mark.parametrize(
    ("labels", "orphaned", "limit", "passed", "undecided"),
    [(0, 0, 0.01, True, True), (1000, 5, 0.01, True, False), (1000, 30, 0.01, False, False),
     (10, 1, 0.05, True, True), (10, 1, 0.2, True, False), (50, 1, 0.0, False, False)],
)  # fmt: skip
def test_a_share_beyond_the_limit_fails_once_it_is_no_chance(labels, orphaned, limit, passed, undecided):
    """Within the limit it passes; beyond it fails where the whole interval is, and else is undecided."""
    found = judged_orphans(labels, orphaned, limit)
    assert (found.passed, found.undecided) == (passed, undecided)
    if labels:
        assert found.metadata["orphan_share"].value == pytest.approx(orphaned / labels)
        assert found.metadata["lower"].value <= orphaned / labels <= found.metadata["upper"].value
    if not passed:
        assert "ids that are written differently" in found.description
