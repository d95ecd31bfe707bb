"""What a monitor may say about limits, comparisons and crosses, and what is told to who gets it wrong."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from mlobs_pipelines.contracts.documents import read_document
from mlobs_pipelines.contracts.folder import check_folder
from mlobs_pipelines.contracts.monitor_reader import read_monitor
from mlobs_pipelines.core.metrics import METRICS


def with_line(folder: Path, line: str, before: str = "objectives:\n") -> Path:
    """The copy's monitor with one more line; returns the file."""
    file = folder / "monitor.yaml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    new = f"{before}  - {{{line}}}\n" if before == "objectives:\n" else f"{line}\n{before}"
    file.write_text(text.replace(before, new, 1), encoding="utf-8")
    return file


def problems(folder: Path) -> list[str]:
    """Everything wrong with the copy, without the folder's path."""
    return [str(problem).removeprefix(f"{folder}/") for problem in check_folder(folder, METRICS)]


GOOD = [
    "metric: auc, window: 7d, relative_to: previous, fail_below_change: 0.02, min_n: 500",
    "metric: auc, window: 28d, relative_to: champion, fail_below_change_ratio: 0",
    "metric: ece, window: 7d, relative_to: baseline, fail_above_change: 0.01, failing: {of: 5, at_least: 3}",
    "metric: psi, window: 7d, sigmas: 3, reference_windows: 10",
    "metric: error_share, window: 1d, sigmas: 2.5, seasonal: weekday, failing: {of: 2, at_least: 2}",
]


@pytest.mark.parametrize("line", GOOD)
def test_every_rule_can_be_declared(folder: Path, line: str):
    """Changes, bands and N of M windows are read without a problem."""
    with_line(folder, line.replace("1d", "28d") if "seasonal" not in line else line)
    told = problems(folder)
    assert [one for one in told if "is not computed" not in one] == []


BAD = {
    "metric: auc, window: 28d, fail_below_change: 0.1": (
        "fail_below_change is set without relative_to; valid: baseline, previous, champion"
    ),
    "metric: auc, window: 28d, relative_to: previous": "relative_to is set without a change; set one of",
    "metric: auc, window: 28d, relative_to: previous, fail_below: 0.1": "relative_to does not go with fail_",
    "metric: auc, window: 28d, sigmas: 3, fail_below: 0.1": "both fail_below and sigmas are set; set",
    "metric: auc, window: 28d, fail_below: 0.1, reference_windows: 9": (
        "reference_windows and seasonal do not go with fail_below; set sigmas instead"
    ),
    "metric: auc, window: 28d, sigmas: 3, seasonal: weekday": (
        "seasonal does not go with the window 28d; write window: 1d"
    ),
    "metric: auc, window: 28d, sigmas: 3, reference_windows: 6": (
        "reference_windows: 6 is out of range; valid: greater than or equal to 7"
    ),
    "metric: auc, window: 28d, sigmas: 0": "sigmas: 0 is out of range; valid: greater than 0",
    "metric: auc, window: 28d, relative_to: previous, fail_below_change: -0.1": (
        "fail_below_change: -0.1 is out of range; valid: greater than or equal to 0"
    ),
    "metric: auc, window: 28d, relative_to: champoin, fail_below_change: 0.1": (
        "'champoin' is not a valid value; did you mean champion?"
    ),
    "metric: auc, window: 28d, fail_below: 0.5, failing: {of: 3, at_least: 5}": (
        "at_least is 5 of 3 windows; write at most 3"
    ),
    "metric: auc, window: 28d, fail_below: 0.5, failing: {of: 3, at_least: 2, off: 1}": "unknown key; did",
    "metric: auc, window: 28d, relative_to: previous, fail_above_change: 0.1": (
        "fail_above_change: a change of auc to above is an improvement; write fail_below_change"
    ),
    "metric: psi, window: 28d, relative_to: baseline, fail_above_change: 0.1": (
        "relative_to: psi measures from the baseline already; write fail_above"
    ),
    "metric: error_share, window: 28d, relative_to: baseline, fail_above_change: 0.1": (
        "relative_to: a training set has no error_share; write previous, or compare the versions"
    ),
}  # fmt: skip


@pytest.mark.parametrize("line", BAD)
def test_a_rule_that_makes_no_sense_is_told_by_its_line(folder: Path, line: str):
    """A nonsense combination is one message with file, line, key and what would be valid."""
    file = with_line(folder, line)
    number = file.read_text(encoding="utf-8").split("\n").index(f"  - {{{line}}}") + 1
    told = [one for one in problems(folder) if "is not computed" not in one]
    assert len(told) == 1, told
    assert told[0].startswith(f"monitor.yaml:{number}: objectives[0]")
    assert BAD[line] in told[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("previous", "previous"),
        ("champion", "champion"),
        ("training", "training"),
        ("{days: 28}", "rolling"),
        ("{from: 2013-03-01, to: 2013-03-31}", "window"),
    ],
)
def test_what_windows_are_compared_with_is_declared_in_one_line(folder: Path, text: str, kind: str):
    """A word, days before, or days from and to; without it, each version's training set."""
    file = with_line(folder, f"compared_with: {text}", "windows:")
    monitor, wrong = read_monitor(read_document(file)[0])
    assert wrong == []
    assert {monitor.comparison(version).kind for version in monitor.versions} == {kind}
    found = monitor.compared_with
    assert (found.days or 28) == 28
    assert (found.start or date(2013, 3, 1)) == date(2013, 3, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pervious", "'pervious' is not a valid value; did you mean previous?"),
        ("{from: 2013-03-01}", "neither fixed days nor days before each window; write {from"),
        ("{days: 0}", "compared_with.days: 0 is out of range"),
        ("{days: 7, from: 2013-03-01}", "neither fixed days nor days before each window; write {from"),
        ("{from: 2013-03-31, to: 2013-03-01}", "to is before from; swap or mend them"),
        ("{form: 2013-03-31, to: 2013-03-01}", "compared_with.form: unknown key; did you mean from?"),
    ],
)
def test_a_mistake_in_a_comparison_is_told(broken: Callable[..., list[str]], text: str, says: str):
    """Each mistake is told with its line and remedy."""
    told = broken("monitor.yaml", "windows:", f"compared_with: {text}\nwindows:")
    assert any(says in one and one.startswith("monitor.yaml:") for one in told), told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[origin, dets]]", "crosses[0]: 'dets' is no segment, so it cannot be crossed with another"),
        ("[[origin]]", "crosses[0]: empty; write at least one"),
        ("[[origin, origin]]", "crosses[0]: written twice: origin"),
    ],
)
def test_only_segments_are_crossed(broken: Callable[..., list[str]], text: str, says: str):
    """A cross names two different segments."""
    told = broken("monitor.yaml", "windows:", f"crosses: {text}\nwindows:")
    assert any(says in one for one in told), told
