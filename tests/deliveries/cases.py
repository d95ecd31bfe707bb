"""All cases by theme, in the order of the table."""

from collections.abc import Mapping
from importlib import import_module

from tests.deliveries.promise import Case

THEMES = (
    "columns",
    "repeats",
    "labels",
    "features",
    "ids",
    "times",
    "numbers",
    "files",
    "parquet",
    "rules",
    "days",
    "privacy",
    "volume",
)


def all_cases() -> Mapping[str, list[Case]]:
    """Cases by theme."""
    return {theme: import_module(f"tests.deliveries.cases_{theme}").CASES for theme in THEMES}
