"""The record of an incident in Markdown: what is known filled in, what people have to say left as a form.

Every number in it is an aggregate; what is known is gathered by `steps.record`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Facts = Mapping[str, Any]
WHERE = (
    "slo",
    "model_version",
    "metric",
    "feature",
    "window",
    "segment_value",
    "dataset",
    "table",
    "kind",
)
_FORM = {
    "Impact": "Who noticed, which decisions were concerned, how many, and what it cost:",
    "Root cause": "Which of the suspects it was, and why nothing caught it before:",
    "Decision": "Rolled back, repaired, accepted; by whom and when:",
    "What went well": "",
    "What went badly": "",
    "Lessons": "",
}


def record(facts: Facts) -> str:
    """The whole record, ready to be filled in and kept."""
    return "\n".join(line.rstrip() for part in _parts(facts) for line in part) + "\n"


def _parts(facts: Facts) -> Iterator[list[str]]:
    row = facts["row"]
    yield [f"# Incident {row['incident']}", "", _plain(row["title"]), ""]
    yield _table(("", ""), _summary(row))
    yield ["## Timeline", "", *_table(("when", "what"), facts["timeline"])]
    yield ["## Evidence", "", "What failed, the furthest upstream first.", ""]
    yield _table(("signal", "first", "last", "days", "why"), map(_signal, facts["signals"]))
    yield ["## Causes", "", *_causes(facts["suspects"])]
    yield ["## Actions", "", *_table(("when", "who", "what", "why"), map(_action, facts["actions"]))]
    yield ["## Similar incidents", "", *_alike(facts["similar"])]
    for heading, asks in _FORM.items():
        yield [f"## {heading}", "", *([asks, ""] if asks else []), "-", ""]
    yield ["## Follow-ups", "", *_table(("what", "owner", "by"), [("", "", "")])]


def _summary(row: Facts) -> Iterator[tuple[str, str]]:
    names = {"severity": "severity", "state": "state", "opened_on": "opened", "resolved_on": "resolved"}
    yield "model", row["model"]
    for name, word in names.items():
        yield word, str(row[name] or "not yet")
    yield "reopened", f"{row['reopened']} times"
    yield "versions", ", ".join(row["versions"]) or "none in particular"
    yield "segments", ", ".join(row["segments"]) or "all"
    yield "owners", ", ".join(row["owners"])
    yield "runbook", row["runbook"]


def about(told: Mapping[str, Any]) -> str:
    """What a signal is about, in a few words: of what is told of it, whatever says where it is."""
    return " ".join(str(told[name]) for name in WHERE if told.get(name))


def _signal(stored: Facts) -> tuple[str, ...]:
    told, signal = stored["signal"]["told"], stored["signal"]
    why = str(told.get("reason") or told.get("count") or "")
    return f"{about(told)} ({signal['check']})", stored["first"], stored["last"], str(stored["failures"]), why


def _causes(suspects: Sequence[Facts]) -> list[str]:
    if not suspects:
        return ["Nothing that is upstream of it changed more than by chance when it began.", ""]
    columns = ("", "suspect", "score", "by", "before", "then", "since", "until", "may follow from")
    lines = _table(columns, map(_suspect, suspects))
    opened = [f"- {_open(way)}" for one in suspects[:3] for way in one["open"]]
    return [*lines, "To open:", "", *dict.fromkeys(opened), ""]


def _suspect(one: Facts) -> tuple[str, ...]:
    numbers = (_number(one[name]) for name in ("before", "during"))
    days = (one["begin"], one["end"] or "")
    return (
        str(one["rank"]),
        one["what"],
        f"{one['score']:.2f}",
        one["metric"],
        *numbers,
        *days,
        one["may_follow_from"],
    )


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _open(way: Facts) -> str:
    version = "" if way["table_version"] is None else f", table version {way['table_version']}"
    run = f", run {way['run_id']}" if way["run_id"] else ""
    inputs = f", from {'; '.join(way['inputs'])}" if way["inputs"] else ""
    return f"{way['asset']} of {way['partition']}{run}{version}{inputs} {way['link']}".rstrip()


def _action(one: Facts) -> tuple[str, ...]:
    until = f" until {one['until']}" if one["until"] else ""
    return f"{one['at']:%Y-%m-%d %H:%M}", one["who"], f"{one['kind']}{until}", one["reason"] or ""


def _alike(found: Sequence[Facts]) -> list[str]:
    rows = [
        (
            one["incident"],
            f"{one['alike']:.2f}",
            one["title"],
            str(one["resolved_on"] or one["state"]),
            one["note"] or "",
        )
        for one in found
    ]
    return _table(("incident", "alike", "what", "resolved", "note"), rows)


def _table(columns: Sequence[str], rows: Any) -> list[str]:  # noqa: ANN401 - any rows of texts
    lines = [f"| {' | '.join(_plain(str(cell)) for cell in row)} |" for row in rows]
    if not lines:
        return ["None.", ""]
    return [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *lines, ""]


def _plain(text: str) -> str:
    """Text that a table of Markdown can hold, and that no viewer takes for markup."""
    return re.sub(r"([\\|<>\[\]*`])", r"\\\1", " ".join(text.split()))
