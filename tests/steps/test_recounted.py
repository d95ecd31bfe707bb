"""Label maturities that were changed after days were counted: told where metrics rest on such days."""

from datetime import timedelta

import pytest

from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.recounted import counted_otherwise, warning
from mlobs_pipelines.steps.stored import known_days, statistics_between
from tests.steps import loans
from tests.steps.redeclared import declared, redeclared

DAYS, HOUR = loans.DAYS, timedelta(hours=1)


@pytest.fixture(scope="module")
def statistics(scored):
    """Stored statistics of all days."""
    return statistics_between(scored, DAYS[0], DAYS[-1])[0]


@pytest.mark.parametrize(
    ("hours", "changed"),
    [((24, 72), False), ((12, 72), True), ((24, 96), True), ((72,), True), ((24, 48, 72), True)],
)
def test_other_maturities_are_found(scored, statistics, hours, changed):
    """Another age, one less or one more is seen in what was counted; the declared ones are no change."""
    monitor = scored.spec.monitor
    assert [horizon / HOUR for horizon in monitor.labels.horizons] == [24, 72]
    found = counted_otherwise(statistics, [hour * HOUR for hour in hours], known_days(scored))
    assert bool(found) == changed
    if changed:
        assert DAYS[0] in found
        told = warning(monitor, found)
        assert f"mlobs backfill loan_risk --from {found[0]}" in told


def test_the_metrics_step_says_so(scored, tmp_path):
    """A window that rests on such days notes it beside its rows, and how to mend it."""
    walk = redeclared(scored, tmp_path)
    (told,) = {outcome.note for outcome in score(walk, [DAYS[-1]]).values()}
    assert told == ""
    changed = declared(walk, tmp_path, changes={"[1d, 3d]": "[2d, 3d]"})
    (told,) = {outcome.note for outcome in score(changed, [DAYS[-1]]).values()}
    assert "other label maturities than the declared 2d, 3d" in told
