"""Location templates: which paths below a place belong to a table's slot.

Placeholders, globs and hive folders become patterns of path segments, walked folder by folder over anything
that can list one. Nothing is opened here.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from mlobs_pipelines.sources.deliveries import Slot

COMPRESSIONS = ("gz", "zst", "bz2", "xz")
UNFINISHED = (".tmp", ".crc", ".part", ".partial")
_TOKEN = re.compile(r"\{(\w+)\}|\*+")
_BARE = {"month": "0?", "day": "0?"}
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class PlaceError(OSError):
    """A place that cannot be reached or is described wrongly; its text carries no credentials."""


class Item(NamedTuple):
    """A file as a folder lists it: its path from the root, and its bytes."""

    path: str
    size: int


class Folder(NamedTuple):
    """What a folder has: names of its folders, its files by name, and which folders are links to others."""

    folders: list[str]
    files: dict[str, Item]
    links: list[str] = []  # noqa: RUF012 -- never changed where it is not given


Listing = Callable[[str], Folder]


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a path.

    Attributes
    ----------
    text
        As the template has it.
    pattern
        What a name must match as a whole.
    literal
        The only name that matches; "" where several may.
    """

    text: str
    pattern: re.Pattern[str]
    literal: str = ""

    @property
    def any_depth(self) -> bool:
        """Whether it stands for any number of folders."""
        return self.text == "**"

    def takes(self, name: str) -> bool:
        """Whether a name matches; hidden and unfinished ones only where the template spells them out."""
        hidden = name[:1] in (".", "_") and not self.text.startswith(name[:1])
        unfinished = name.endswith(UNFINISHED) and not self.text.endswith(UNFINISHED)
        return not hidden and not unfinished and self.pattern.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Template:
    """A location made ready for one slot: its fixed beginning, which names are relative to, and segments."""

    root: str
    segments: tuple[Segment, ...]


def template(location: str, slot: Slot, *, compressible: bool) -> Template:
    """Make a location ready for a slot.

    Parameters
    ----------
    compressible
        Whether a file may carry a compression suffix that the location does not name.

    Raises
    ------
    PlaceError
        If a placeholder is unknown.
    """
    first = _TOKEN.search(location)
    cut = location.rfind("/", 0, first.start() if first else len(location)) + 1
    rest = location[cut:] or "*"
    texts = [text for text in (rest + "*" if rest.endswith("/") else rest).split("/") if text]
    suffix = compressible and not texts[-1].endswith(COMPRESSIONS)
    segments = [_segment(text, slot) for text in texts[:-1]]
    return Template(location[:cut], (*segments, _segment(texts[-1], slot, suffix=suffix)))


def walk(listing: Listing, folder: str, segments: tuple[Segment, ...]) -> Iterator[Item]:
    """Yield the files below a folder whose paths match; a missing folder has none."""
    head, rest = segments[0], segments[1:]
    if head.any_depth:
        yield from _walk_any_depth(listing, folder, segments)
    elif not rest:
        yield from (item for name, item in listing(folder).files.items() if head.takes(name))
    else:
        names = [head.literal] if head.literal else filter(head.takes, listing(folder).folders)
        for name in names:
            yield from walk(listing, f"{folder}{name}/", rest)


def _walk_any_depth(listing: Listing, folder: str, segments: tuple[Segment, ...]) -> Iterator[Item]:
    yield from walk(listing, folder, segments[1:] or (_anything(),))
    found = listing(folder)
    for name in filter(_anything().takes, found.folders):
        if name not in found.links:  # a link may lead back to where it is
            yield from walk(listing, f"{folder}{name}/", segments)


def hive_values(path: str) -> Mapping[str, str | None]:
    """Return the values that folders of the form ``name=value`` give a file's rows."""
    pairs = (text.partition("=") for text in path.split("/")[:-1] if "=" in text)
    return {name: None if value == _HIVE_NULL else unquote(value) for name, _, value in pairs}


def _anything() -> Segment:
    return Segment("*", re.compile("[^/]*"))


def _segment(text: str, slot: Slot, *, suffix: bool = False) -> Segment:
    pattern, literal, at = "", "", 0
    for token in _TOKEN.finditer(text):
        before = text[at : token.start()]
        pattern += re.escape(before) + _expanded(token, before, slot)
        at = token.end()
    pattern += re.escape(text[at:])
    if suffix:
        return Segment(text, re.compile(pattern + rf"(?:\.(?:{'|'.join(COMPRESSIONS)}))?"))
    plain = re.sub(r"\\(.)", r"\1", pattern)
    literal = plain if re.escape(plain) == pattern else ""
    return Segment(text, re.compile(pattern), literal)


def _expanded(token: re.Match[str], before: str, slot: Slot) -> str:
    name = token.group(1)
    if name is None:
        return "[^/]*"
    values = {
        "table": re.escape(slot.table),
        "date": re.escape(slot.day.isoformat()),
        "year": f"{slot.day:%Y}".rjust(4, "0"),
        "month": f"{slot.day:%m}",
        "day": f"{slot.day:%d}",
        "hour": "[0-9]{1,2}" if before.endswith("=") else "[0-9]{2}",
    }
    if name not in values:
        known = ", ".join(f"{{{key}}}" for key in values)
        raise PlaceError(f"location has the placeholder {{{name}}}; those known are {known}, * and **")
    # Spark and Hive write month=3 where others write month=03.
    if before.endswith("=") and name in _BARE:
        return _BARE[name] + values[name].removeprefix("0")
    return values[name]
