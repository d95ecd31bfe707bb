"""Patterns that are judged without the engine that runs them."""

import re

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.odcs_columns import _PLAIN, _bad_pattern


@settings(max_examples=60)
@given(st.from_regex(_PLAIN, fullmatch=True))
def test_a_plain_pattern_means_the_same_to_every_engine(pattern):
    """What is judged without the engine that runs it is judged as the engine judges it."""
    if _bad_pattern(pattern) == "":
        assert pl.Series([""]).str.contains(pattern)[0] == bool(re.search(pattern, ""))


def test_patterns_of_contracts_are_plain():
    """Codes and identifiers as contracts usually write them are judged without an engine."""
    for pattern in ("[A-Z]{3}", "[A-Z0-9]{2}", "[A-Z0-9]{2}[0-9]{1,4}-[A-Z]{3}-[0-9]{8}T[0-9]{4}Z"):
        assert _PLAIN.fullmatch(pattern)
    for pattern in ("(a)\\1", "(?=a)", "[[:alpha:]&&b]", "a{1000}", "\\d"):
        assert not _PLAIN.fullmatch(pattern)
