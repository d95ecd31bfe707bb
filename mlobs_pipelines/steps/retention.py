"""Retention of a model's tables: what goes, what stays and why, as a plan or for good.

Every deletion is audited. What is kept how long is `keeping`; how steps treat days that are gone, `expired`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlobs_pipelines.steps.expired import mark
from mlobs_pipelines.steps.keeping import Keep, rules
from mlobs_pipelines.steps.walk import Walk, report
from mlobs_pipelines.store import audit
from mlobs_pipelines.store.retention import Expiry, Tidied, expire, look, tidy

DELETE, VACUUM = "retention.delete", "retention.vacuum"


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of a table, or of one dataset's part of it.

    Attributes
    ----------
    expiry
        Partitions that go and stay.
    tidied
        Files that go and partitions that are merged; None for a further part of a table told of before.
    """

    expiry: Expiry
    tidied: Tidied | None


@dataclass(frozen=True, slots=True)
class Asked:
    """On whose behalf, and when.

    Attributes
    ----------
    keep
        What ages are counted from, and how long statistics are kept.
    versions
        How long replaced and expired partitions can still be read by version.
    at, who
        For the audit.
    """

    keep: Keep
    versions: timedelta
    at: datetime
    who: str


def plan(walk: Walk, asked: Asked) -> list[Line]:
    """What `apply` would do, without doing it."""
    found = [look(walk.lake, walk.model, rule) for rule in rules(walk, asked.keep)]
    return _lines(found, lambda table: _tidy(walk, asked, table, dry_run=True))


def apply(walk: Walk, asked: Asked) -> list[Line]:
    """Delete what has expired, then what no version needs any more; each deletion is audited first.

    May end anywhere and be run again. What a run that is writing has not yet committed is not touched.

    Raises
    ------
    ValueError
        If ages are counted from a moment that is yet to come.
    """
    if asked.keep.now > asked.at:
        raise ValueError("ages are counted from a moment that is yet to come: only a dry run may do that")
    every = rules(walk, asked.keep)
    mark(walk, [look(walk.lake, walk.model, rule) for rule in every], asked.at)
    found = []
    for done, rule in enumerate(every):
        report("retention", done, len(every))
        found.append(expire(walk.lake, walk.model, rule, _teller(walk, asked), walk.commit))
    lines = _lines(found, lambda table: _tidy_audited(walk, asked, table))
    report("retention", len(every), len(every))
    return lines


def _lines(found: list[Expiry], tidied: Callable[[str], Tidied]) -> list[Line]:
    lines, seen = [], set()
    for expiry in found:
        table = expiry.rule.table
        lines.append(Line(expiry, None if table in seen else tidied(table)))
        seen.add(table)
    return lines


def _tidy(walk: Walk, asked: Asked, table: str, *, dry_run: bool) -> Tidied:
    return tidy(walk.lake, walk.model, table, asked.versions, walk.commit, dry_run=dry_run)


def _tidy_audited(walk: Walk, asked: Asked, table: str) -> Tidied:
    found = _tidy(walk, asked, table, dry_run=True)
    if found.files:
        facts: Mapping[str, audit.Detail] = {
            "files": found.files,
            "bytes": found.bytes,
            "why": f"no version of the last {asked.versions.days} days needs them",
            "table_version": found.version,
        }
        _audit(walk, asked, VACUUM, table, facts)
    return _tidy(walk, asked, table, dry_run=False) if found.files or found.merged else found


def _teller(walk: Walk, asked: Asked) -> Callable[[Expiry], None]:
    def tell(expiry: Expiry) -> None:
        rule, gone = expiry.rule, expiry.gone
        facts: Mapping[str, audit.Detail] = {
            "first": expiry.first,
            "last": expiry.last,
            "partitions": gone.partitions,
            "rows": gone.rows,
            "bytes": gone.bytes,
            "why": rule.why,
            "kept_from": str(rule.before) if rule.before else None,
            "table_version": expiry.version,
        }
        name = f"{rule.table}/{rule.dataset}" if rule.dataset else rule.table
        _audit(walk, asked, DELETE, name, facts)

    return tell


def _audit(walk: Walk, asked: Asked, action: str, name: str, facts: Mapping[str, audit.Detail]) -> None:
    audit.append(walk.lake, walk.model, audit.Entry(asked.at, asked.who, action, name, facts), walk.commit)
