"""What a case promises, and whether it keeps it, read back from the lake.

Every case is also held to what all promise: counts that add up, tables that hold exactly what was counted,
no value of a row in anything that is said, and no exception.
"""

import contextlib
import json
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from mlobs_pipelines.steps.holds import held
from mlobs_pipelines.steps.ingest import LAYOUTS
from mlobs_pipelines.steps.layouts import repeats_layout
from mlobs_pipelines.store.tables import DELIVERIES, QUARANTINE, RULE_RESULTS, SAMPLED_OUT
from tests.deliveries.stage import Stage
from tests.deliveries.toy import DAY, DIGITS, MARK, Toy

COUNTED = ("rows_in", "accepted", "repeated", "quarantined", "refused", "sampled_out")
UNSAID = ("sha256", "contract_hash", "bytes", "key_id")  # hashes, in which any digits may stand


@dataclass(frozen=True)
class Case:
    """One bad, or oddly good, delivery.

    Attributes
    ----------
    name
        What is wrong with it.
    write
        Delivers it, and runs ingestion wherever more than the last run is needed.
    outcome
        accepted, partial, refused, missing or held; of several deliveries each, joined by +.
    rows_in, accepted, repeated, quarantined, refused, sampled_out
        Counts over all records.
    toy
        The declaration.
    rules
        Rows in quarantine by rule.
    says
        Words of the reason.
    landed
        Rows of predictions by event day, where it matters.
    values
        Values of a column of the accepted rows, in the order of delivery, where it matters.
    told
        Further facts on record: values brought to normal form, suspects and unknown columns.
    marks
        Further values that may be said nowhere.
    finish
        Further looks at the lake: what is not as it should be, "" where all is.
    """

    name: str
    write: Callable[[Stage], None]
    outcome: str
    rows_in: int = 4
    accepted: int = 0
    repeated: int = 0
    quarantined: int = 0
    refused: int = 0
    sampled_out: int = 0
    toy: Toy = field(default_factory=Toy)
    rules: Mapping[str, int] = field(default_factory=dict)
    says: Sequence[str] = ()
    landed: Mapping[str, int] | None = None
    values: Mapping[str, list[object]] = field(default_factory=dict)
    told: Mapping[str, int] | None = None
    marks: Sequence[str] = ()
    finish: Callable[[Stage], str] = lambda _: ""


@dataclass
class Finding:
    """What became of a case.

    Attributes
    ----------
    outcome, reason, counts
        As a user sees them.
    broken
        Promises that were not kept.
    """

    outcome: str = ""
    reason: str = ""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    broken: list[str] = field(default_factory=list)


def play(case: Case, home: Path) -> Finding:
    """Play a case on a fresh lake and hold it to its promises."""
    stage, finding, heard = Stage(case.toy, home), Finding(), _Heard()
    with heard.listening():
        try:
            case.write(stage)
            if not stage.done:
                stage.ingest()
        except Exception as error:  # noqa: BLE001 - that nothing escapes is one of the promises
            finding.outcome, finding.reason = "error", f"{type(error).__name__}: {error}"
            finding.broken.append(f"an exception escaped: {type(error).__name__}")
            return finding
    _observe(stage, finding)
    finding.broken += [
        *_promised(case, stage, finding),
        *_adds_up(stage),
        *_silent(stage, heard.everything, [MARK, str(DIGITS), *case.marks]),
    ]
    return finding


class _Heard(logging.Handler):
    """Everything that is logged or printed meanwhile, also by compiled libraries."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.everything = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.everything += f"{record.name}: {record.getMessage()} {record.exc_text or ''}\n"

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        root = logging.getLogger()
        level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        try:
            with tempfile.TemporaryFile() as file:
                with _printed_into(file.fileno()):
                    yield
                file.seek(0)
                self.everything += file.read().decode(errors="replace")
        finally:
            root.setLevel(level)
            root.removeHandler(self)


@contextlib.contextmanager
def _printed_into(place: int) -> Iterator[None]:
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    os.dup2(place, 1)
    os.dup2(place, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)


def _records(stage: Stage) -> pl.DataFrame:
    return pl.DataFrame(stage.walk.lake.read("toy", DELIVERIES)).sort("day", "delivery")


def _observe(stage: Stage, finding: Finding) -> None:
    records = _records(stage)
    finding.counts = {name: int(records[name].sum()) for name in COUNTED}
    finding.outcome = "+".join(dict.fromkeys(records["state"])) or "missing"
    reasons = [reason for reason in records["reason"] if reason]
    holds = [
        reason
        for dataset in dict.fromkeys(name for name, _ in stage.ran)
        for reason in held(stage.walk, dataset, _days(stage) or [DAY]).values()
    ]
    if holds:
        finding.outcome = "held"
    if not records.height:
        reasons = ["no delivery"]
    finding.reason = "; ".join([*holds, *reasons])


def _days(stage: Stage) -> list:
    return sorted({day for outcomes in stage.outcomes for day in outcomes})


def _promised(case: Case, stage: Stage, finding: Finding) -> Iterator[str]:
    wanted = {name: getattr(case, name) for name in COUNTED}
    if case.outcome != finding.outcome:
        yield f"is {finding.outcome} instead of {case.outcome}"
    if wanted != finding.counts:
        yield f"counts {finding.counts} instead of {wanted}"
    yield from (f"does not say {words!r}" for words in case.says if words not in finding.reason)
    rules = Counter(rule for rules in _read(stage, QUARANTINE)["rules"] for rule in rules)
    if rules != Counter(case.rules):
        yield f"breaks {dict(rules)} instead of {dict(case.rules)}"
    yield from _landed(case, stage)
    if case.told is not None and (told := _told(_records(stage))) != case.told:
        yield f"tells {told} instead of {case.told}"
    if problem := case.finish(stage):
        yield problem


def _landed(case: Case, stage: Stage) -> Iterator[str]:
    rows = _read(stage, LAYOUTS[stage.ran[-1][0]](stage.walk.spec))
    days = dict(rows.group_by("day").len().iter_rows())
    if case.landed is not None and days != case.landed:
        yield f"landed {days} instead of {case.landed}"
    ordered = rows.sort("delivered_on", "delivery", "delivery_row")
    for name, values in case.values.items():
        if ordered[name].to_list() != values:
            yield f"{name} is {ordered[name].to_list()} instead of {values}"


def _told(records: pl.DataFrame) -> dict[str, int]:
    told: Counter[str] = Counter()
    for name in ("normalised", "suspects"):
        for text in records[name]:
            told.update(json.loads(text))
    told.update(f"unknown {name}" for names in records["unknown_columns"] for name in names)
    return dict(told)


def _read(stage: Stage, layout: object) -> pl.DataFrame:
    return pl.DataFrame(stage.walk.lake.read("toy", layout))


def _adds_up(stage: Stage) -> Iterator[str]:
    """Every record on its own, and the tables beside them."""
    records, walk = _records(stage), stage.walk
    ended = pl.sum_horizontal(COUNTED[1:])
    if records.filter(pl.col("rows_in") != ended).height:
        yield "a record does not add up"
    for dataset in dict.fromkeys(name for name, _ in stage.ran):
        mine, layout = records.filter(dataset=dataset), LAYOUTS[dataset](walk.spec)
        lengths = {
            "accepted": _read(stage, layout).height,
            "repeated": _read(stage, repeats_layout(layout)).height,
            "quarantined": _read(stage, QUARANTINE).filter(dataset=dataset).height,
        }
        if dataset == "predictions":
            lengths["sampled_out"] = _read(stage, SAMPLED_OUT).height
        for name, rows in lengths.items():
            if rows != mine[name].sum():
                yield f"{mine[name].sum()} {dataset} are {name}, and the lake has {rows}"


def _silent(stage: Stage, heard: str, marks: Sequence[str]) -> Iterator[str]:
    said = {
        "a log or print": heard,
        "an outcome": repr(stage.outcomes),
        "a record": repr(_records(stage).drop(UNSAID).to_dicts()),
        "a result of a rule": repr(_read(stage, RULE_RESULTS).to_dicts()),
        "a commit": repr([stage.walk.lake.history("toy", table) for table in stage.walk.lake.tables("toy")]),
    }
    for mark in marks:
        yield from (f"a value is said in {place}" for place, text in said.items() if mark in text)
