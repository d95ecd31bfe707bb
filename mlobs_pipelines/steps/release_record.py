"""What a release guard said as a document that a person signs: Markdown, its hash or signature, their table.

Nothing is judged here. A record holds counts, metrics and names of groups, as reports do, nothing of a row.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from mlobs_pipelines.core.verdicts import in_digits
from mlobs_pipelines.settings import HashKey
from mlobs_pipelines.steps.findings import Finding
from mlobs_pipelines.steps.guard import Judgement, grouped
from mlobs_pipelines.steps.suitability import day_range
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.tables import RELEASES

_SEAL = re.compile(r"^- (sha256|hmac-sha256)(?: by key ([0-9a-f]{8}))?: `([0-9a-f]{64})`$", re.MULTILINE)
_END = "\n## Signature\n\n"


@dataclass(frozen=True, slots=True)
class Signed:
    """Who stands for a decision.

    Attributes
    ----------
    by, reason
        Whoever signs, in their own words, and why.
    who
        The user of the operating system.
    at
        When.
    """

    by: str
    reason: str
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """A signed judgement.

    Attributes
    ----------
    content
        What is signed: the document up to its signature.
    digest
        Its SHA-256.
    signature, key_id
        HMAC-SHA-256 and the public name of its key; "" without a key, when the hash shows a change of the
        content, and not who made it.
    """

    content: str
    digest: str
    signature: str
    key_id: str


def sealed(judgement: Judgement, signed: Signed, key: HashKey | None) -> Record:
    """Sign a judgement."""
    content = markdown(judgement, signed)
    digest = hashlib.sha256(content.encode()).hexdigest()
    signature = hmac.new(key.secret, content.encode(), hashlib.sha256).hexdigest() if key else ""
    return Record(content, digest, signature, key.key_id if key else "")


def keep(walk: Walk, judgement: Judgement, signed: Signed, record: Record, file: str) -> None:
    """Add a record to the table `releases`, whoever adds others at the same time."""
    day = signed.at.date().isoformat()
    row = {
        "day": day,
        "candidate": judgement.candidate,
        "champion": judgement.champion,
        "verdict": str(judgement.verdict),
        "signed_by": signed.by,
        "who": signed.who,
        "reason": signed.reason,
        "at": signed.at,
        "digest": record.digest,
        "signature": record.signature,
        "key_id": record.key_id,
        "record": record.content,
        "file": file,
    }

    def compute() -> pa.Table:
        known = walk.lake.read(walk.model, RELEASES, where={"day": day}).to_pylist()
        others = [one for one in known if one["digest"] != record.digest]
        return pa.Table.from_pylist([*others, row], schema=RELEASES.schema)

    walk.lake.update(walk.model, RELEASES, [(day,)], compute, commit=walk.commit)


def verified(text: str, key: HashKey | None) -> tuple[bool, str]:
    """Whether a record's document still says what was signed, and how far that can be told.

    Parameters
    ----------
    text
        The document.
    key
        Key that records are signed with here; None where there is none.
    """
    content, end, seal = text.rpartition(_END)
    seals = {kind: (name, value) for kind, name, value in _SEAL.findall(seal)}
    if not end or "sha256" not in seals:
        return False, "this is no record of a release, or its end is missing"
    if hashlib.sha256(content.encode()).hexdigest() != seals["sha256"][1]:
        return False, "the record is not what was signed: its hash is another"
    if "hmac-sha256" not in seals:
        return True, "unchanged since it was written; no key was set, so the hash does not show who wrote it"
    name, signature = seals["hmac-sha256"]
    if key is None or key.key_id != name:
        return False, f"it was signed with the key {name}: set MLOBS_RELEASE_KEY to it"
    if not hmac.compare_digest(hmac.new(key.secret, content.encode(), hashlib.sha256).hexdigest(), signature):
        return False, "the signature is not of this record"
    return True, f"signed with the key {name}, and unchanged since"


def document(record: Record) -> str:
    """A record with its signature."""
    lines = [f"- sha256: `{record.digest}`"]
    if record.signature:
        lines.append(f"- hmac-sha256 by key {record.key_id}: `{record.signature}`")
    else:
        lines.append("- no key was set: the hash shows whether the record was changed, not who wrote it")
    return record.content + _END + "\n".join(lines) + "\n"


def markdown(judgement: Judgement, signed: Signed | None = None) -> str:
    """A judgement as a document, with whoever signs it where somebody does."""
    title = f"# Release of {judgement.candidate} of {judgement.model}: {judgement.verdict}"
    lines = [title, "", *_facts(judgement, signed), ""]
    if judgement.reasons:
        lines += ["## Why", "", *(f"- {_plain(one)}" for one in judgement.reasons), ""]
    lines += ["## What was looked at", "", *_table(judgement), ""]
    if signed:
        told = json.dumps(judgement.row(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        lines += ["## Data", "", "```json", told, "```", ""]
    return "\n".join(lines)


def _facts(judgement: Judgement, signed: Signed | None) -> Iterator[str]:
    yield f"- candidate {judgement.candidate}, champion {judgement.champion or 'none'}"
    roles = " and ".join(judgement.roles) or "no"
    yield f"- {len(judgement.days)} days of {roles} traffic: {day_range(judgement.days)}"
    yield f"- {judgement.pairs:,} predictions that both scored, {judgement.labelled:,} of them labelled"
    yield f"- as known on {judgement.as_of.isoformat()}, declared as `{judgement.declaration[:16]}`"
    if signed:
        whose = f"{_plain(signed.by)} (user {_plain(signed.who)})"
        yield f"- signed off by {whose} at {signed.at.isoformat()}: {_plain(signed.reason)}"


CELLS = (
    "check",
    "what",
    "group",
    "candidate",
    "champion",
    "difference",
    "limit",
    "rows",
    "verdict",
    "why",
)


def _table(judgement: Judgement) -> Iterator[str]:
    yield f"| {' | '.join(CELLS)} |"
    yield "|" + "---|" * len(CELLS)
    for one in grouped(judgement.findings):
        cells = (_plain(cell) for cell in shown(one))
        yield f"| {' | '.join(cells)} |"


def shown(one: Finding) -> tuple[str, ...]:
    """A finding as cells of a table."""
    numbers = (_number(value) for value in (one.candidate, one.champion, one.difference, one.limit))
    what = f"{one.what} {one.feature}" if one.feature else one.what
    rows = "" if one.n is None else f"{one.n:,}"
    verdict = f"{one.verdict} (excused)" if one.excused else str(one.verdict)
    return (one.check, what, one.group, *numbers, rows, verdict, one.reason)


def _number(value: float | None) -> str:
    return "" if value is None else in_digits(value, 4)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_|<>\[\]#])", r"\\\1", " ".join(text.split()))
