"""What is wrong with a contract, said so that a person can mend it: file, line, key, and what would be valid.

Reading documents and deciding what is wrong live in the neighbouring modules.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in one place of one document.

    Attributes
    ----------
    file
        The document, as it was named to the loader.
    line
        Line of the key or of its nearest written parent, from 1; 0 where there is no document.
    key
        Dotted path of the key, empty for the whole document.
    message
        What is wrong.
    valid
        What would be valid; empty where the message says it.
    """

    file: str
    line: int
    key: str
    message: str
    valid: str = ""

    def __str__(self) -> str:
        """Say it in one line, in the form editors turn into a link."""
        where = f"{self.file}:{self.line}: {self.key}: " if self.key else f"{self.file}:{self.line}: "
        return where + self.message + (f"; {self.valid}" if self.valid else "")


class ContractError(ValueError):
    """A folder of contracts cannot be used; says every problem at once.

    Attributes
    ----------
    problems
        All problems found, by file and line.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: `schema[0].properties[2].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def suggestion(word: object, known: Collection[str]) -> str:
    """Return what would be valid in place of `word`: the near misses first, otherwise the whole list."""
    near = get_close_matches(str(word), known, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(near) + "?"
    return "valid: " + listed(sorted(known)) if known else ""


def typo(word: str, known: Collection[str]) -> str:
    """Return the known word that `word` is meant to be by all likelihood, empty where there is none."""
    near = get_close_matches(word.lower(), [name.lower() for name in known], n=1, cutoff=0.85)
    return next((name for name in known if near and name.lower() == near[0]), "")


def listed(words: Sequence[str], limit: int = 12) -> str:
    """Join words with commas, naming at most `limit` of them."""
    more = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {more} more" if more > 0 else "")
