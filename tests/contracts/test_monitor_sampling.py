"""What a monitor may say about sampling, and what a person is told who gets it wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlobs_pipelines.contracts.documents import read_document
from mlobs_pipelines.contracts.monitor_reader import read_monitor
from mlobs_pipelines.contracts.samplings import Sampling

WHOLE = """sampling:
  rate: 0.1
  seed: spring
  keep: {status: [error, timeout], labelled: true, segments: {origin: [LGA]}}
  rates: {origin: {EWR: 0.05}, hour: {3: 0.5}}
schedule:"""


def read(folder: Path, section: str):
    """The monitor of the copy, with a sampling section before its schedule."""
    file = folder / "monitor.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("schedule:", section, 1), encoding="utf-8")
    document, problems = read_document(file)
    assert not problems
    return read_monitor(document)


def test_a_whole_section_is_read(folder: Path):
    """Rate, exceptions, rates of segments and seed arrive as written."""
    monitor, problems = read(folder, WHOLE)
    assert problems == []
    assert monitor.sampling == Sampling(
        rate=0.1,
        seed="spring",
        keep={"status": ("error", "timeout"), "labelled": True, "segments": {"origin": ("LGA",)}},
        rates={"origin": {"EWR": 0.05}, "hour": {"3": 0.5}},
    )
    assert monitor.sampling.columns == ("origin", "hour")


def test_without_a_section_everything_is_ingested(folder: Path):
    """Sampling is off unless it is declared."""
    assert read(folder, "schedule:")[0].sampling is None


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("{rate: 0}", "sampling.rate: 0 is out of range; valid: greater than 0"),
        ("{rate: 1.5}", "sampling.rate: 1.5 is out of range; valid: less than or equal to 1"),
        ('{rate: "10%"}', "sampling.rate: not a number; write it without quotes"),
        ("{rat: 0.1, rate: 0.1}", "sampling.rat: unknown key; did you mean rate"),
        ("{rate: 0.1, keep: {states: [error]}}", "sampling.keep.states: unknown key; did you mean status?"),
        (
            "{rate: 0.1, keep: {segments: {orgin: [LGA]}}}",
            "sampling names 'orgin', no segment and no feature; did",
        ),
        ("{rate: 0.1, rates: {origin: {EWR: 2}}}", "EWR: 2 is out of range"),
        ("{rate: 0.1, keep: {status: [error, error]}}", "sampling.keep.status: written twice: error"),
    ],
)
def test_a_mistake_is_told_by_its_key_and_remedy(broken: Callable[..., list[str]], section: str, says: str):
    """Each mistake is one message with file, line, key and what would be valid."""
    (told,) = broken("monitor.yaml", "schedule:", f"sampling: {section}\nschedule:")
    assert told.startswith("monitor.yaml:")
    assert says in told
