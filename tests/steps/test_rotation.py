"""A key is replaced, and what was joined before is joined still."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.odcs import Column, Kind, Privacy, Table
from mlobs_pipelines.settings import HashKey, HashKeys
from mlobs_pipelines.steps.privacy import ALIASES, aliases, hash_text, protect, to_current

UNTIL = date(2026, 3, 31)
TABLE = Table("t", "", (Column("who", Kind.STRING, privacy=Privacy.HASH), Column("x", Kind.INTEGER)))
WHO = st.lists(st.sampled_from(["a", "b", "é", "e\u0301", "dd", ""]) | st.none(), max_size=8)


def key(number: int) -> HashKey:
    """The key of that number."""
    secret = f"key number {number:09}".encode()
    return HashKey(secret, hashlib.sha256(secret).hexdigest()[:8])


def rows(values: list[str | None]) -> pl.DataFrame:
    """Rows of these values, each with its number."""
    return pl.DataFrame({"who": pl.Series(values, dtype=pl.String), "x": range(len(values))})


def joined(left: pl.DataFrame, right: pl.DataFrame) -> list[tuple[int, int]]:
    """The pairs of rows that a join on the identifier finds."""
    return sorted(left.join(right, on="who", how="inner").select("x", "x_right").rows())


@settings(deadline=None)
@given(WHO, WHO, WHO)
def test_joins_work_across_a_rotation_as_under_one_key(features, predictions, seen):
    """Features under the old key meet predictions under the new one for every value seen in the overlap."""
    old, new = HashKeys(key(1)), HashKeys(key(2), key(1), UNTIL)
    overlap = [*seen, *features]
    pairs = aliases(rows(overlap), TABLE, new)
    left, right = protect(rows(features), TABLE, old), protect(rows(predictions), TABLE, new)
    found = joined(*(to_current(frame, ["who"], pairs, new) for frame in (left, right)))
    once = joined(protect(rows(features), TABLE, new), right)
    assert found == once
    unseen = to_current(left, ["who"], aliases(rows(seen), TABLE, new), new)
    known = {hash_text(value, new.current) for value in seen if value is not None}
    missed = left.height - unseen["who"].is_in(list(known)).sum() - unseen["who"].null_count()
    assert missed == sum(v is not None and hash_text(v, new.current) not in known for v in features)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_every_value_keeps_one_hash_through_many_rotations(order, random):
    """Keys may follow each other in any order, and come back: what was always seen has the current hash."""
    order = [number for place, number in enumerate(order) if place == 0 or number != order[place - 1]]
    steps = [HashKeys(key(new), key(old), UNTIL) for old, new in pairwise(order)]
    values = ["a", "b", "c"]
    pairs = pl.concat([pl.DataFrame(schema=ALIASES), *(aliases(rows(values), TABLE, keys) for keys in steps)])
    pairs = pairs.sample(fraction=1, shuffle=True, seed=random.randrange(1000))
    last = HashKeys(key(order[-1]))
    for number in order:
        stored = protect(rows(values), TABLE, HashKeys(key(number)))
        assert to_current(stored, ["who"], pairs, last).equals(protect(rows(values), TABLE, last))


def test_a_value_not_seen_in_the_last_rotation_is_still_joined_with_its_own_past():
    """Days from before are recomputed as they were, whatever came later."""
    first, second = HashKeys(key(2), key(1), UNTIL), HashKeys(key(3), key(2), UNTIL)
    pairs = pl.concat([aliases(rows(["a", "b"]), TABLE, first), aliases(rows(["b"]), TABLE, second)])
    left, right = protect(rows(["a"]), TABLE, HashKeys(key(1))), protect(rows(["a"]), TABLE, first)
    assert joined(*(to_current(frame, ["who"], pairs, second) for frame in (left, right))) == [(0, 0)]


def test_features_are_found_across_a_rotation_as_they_were_known(tmp_path):
    """The point-in-time lookup meets feature rows of the old key with predictions of the new one."""
    from mlobs_pipelines.engine.duck import Duck  # noqa: PLC0415 - only this test needs an engine
    from mlobs_pipelines.engine.joins import View, point_in_time  # noqa: PLC0415 - as above

    new, noon = HashKeys(key(2), key(1), UNTIL), datetime(2026, 3, 1, 12, tzinfo=UTC)
    times = {"observed_at": pl.lit(noon), "available_at": pl.lit(noon)}
    features = protect(rows(["a", "b", "c"]), TABLE, HashKeys(key(1))).with_columns(**times)
    asked = protect(rows(["c", "a", "z", "b"]), TABLE, new).rename({"x": "prediction_id"})
    asked = asked.with_columns(predicted_at=pl.lit(noon + timedelta(minutes=1)))
    pairs = aliases(rows(["a", "b", "c"]), TABLE, new)
    both = [to_current(frame, ["who"], pairs, new).to_arrow() for frame in (asked, features)]
    view = View("v", "who", timedelta(hours=1), ("x",))
    found = point_in_time(Duck("200MB", 1, tmp_path), *both, view)
    assert found.column("x").to_pylist() == [2, 0, None, 1]
    assert found.column("v__miss").to_pylist() == [None, None, "never", None]


def test_pairs_hold_hashes_only_and_each_once():
    """No value is among the pairs; without a rotation there are none; rows as delivered give the same."""
    keys = HashKeys(key(2), key(1), UNTIL)
    frame = rows(["canary", None, "canary", "other"])
    pairs = aliases(frame, TABLE, keys)
    assert pairs.schema == ALIASES
    assert pairs.height == 2
    assert "canary" not in pairs.write_json()
    assert set(pairs["new"]) == {hash_text("canary", key(2)), hash_text("other", key(2))}
    assert aliases(frame, TABLE, keys, raw=True).equals(pairs)
    assert aliases(frame, TABLE, HashKeys(key(2))).is_empty()
    assert aliases(frame.head(0), TABLE, keys).equals(pairs.head(0))


def test_without_pairs_or_columns_nothing_is_touched():
    """Installations that never replaced their key pay nothing."""
    frame = rows(["a"])
    assert to_current(frame, ["who"], pl.DataFrame(schema=ALIASES), HashKeys(key(1))) is frame
    pairs = aliases(frame, TABLE, HashKeys(key(2), key(1), UNTIL))
    assert to_current(frame, ["nobody"], pairs, HashKeys(key(2))) is frame
