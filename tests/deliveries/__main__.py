"""Prints every bad delivery, what became of it and its counts.

``python -m tests.deliveries`` plays all of them, words behind it those whose theme and name have them.
"""

import sys
import tempfile
from pathlib import Path

from tests.deliveries.cases import all_cases
from tests.deliveries.promise import COUNTED, Case, Finding, play

WIDTHS = (46, 18, 76)
HEADS = ("in", "accepted", "repeated", "quarantined", "refused", "sampled out")


def main(words: list[str]) -> int:
    """Play the cases whose names have all the words; return 1 if one of them breaks a promise."""
    broken, played = [], 0
    _say("", "case", "outcome", "reason", list(HEADS))
    for theme, cases in all_cases().items():
        chosen = [case for case in cases if all(word in f"{theme}: {case.name}" for word in words)]
        for case in chosen:
            finding = _played(case)
            played += 1
            _say(
                theme if case is chosen[0] else "",
                case.name,
                finding.outcome,
                finding.reason,
                _counts(finding),
            )
            broken += [f"{case.name}: {problem}" for problem in finding.broken]
    sys.stdout.write("".join(f"\nBROKEN  {problem}" for problem in broken))
    end = "in = accepted + repeated + quarantined + refused + sampled out on every line"
    sys.stdout.write(f"\n{played} cases; " + (f"{len(broken)} promises broken\n" if broken else f"{end}\n"))
    return bool(broken)


def _played(case: Case) -> Finding:
    with tempfile.TemporaryDirectory() as home:
        return play(case, Path(home))


def _counts(finding: Finding) -> list[int]:
    return [finding.counts[name] for name in COUNTED]


def _say(theme: str, case: str, outcome: str, reason: str, counts: list[str] | list[int]) -> None:
    if theme:
        sys.stdout.write(f"\n{theme}\n")
    cells = [_cut(text, width) for text, width in zip((case, outcome, reason), WIDTHS, strict=True)]
    numbers = [f"{count:>{max(8, len(head))}}" for count, head in zip(counts, HEADS, strict=True)]
    sys.stdout.write("  ".join(["", *cells, *numbers]) + "\n")


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
