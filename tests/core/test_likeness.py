"""Earlier incidents alike: what they share, whatever else."""

from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.core.likeness import LEAST, alike, jaccard

marks = st.frozensets(st.sampled_from("abcdef"))


@given(marks, marks)
def test_likeness_is_symmetric_and_whole_only_for_the_same(one, other):
    """It does not matter which comes first; 1 is for the same marks, 0 for none in common."""
    assert jaccard(one, other) == jaccard(other, one)
    assert (jaccard(one, other) == 1) == (one == other and bool(one))
    assert (jaccard(one, other) == 0) == (not one & other)


def test_the_most_alike_come_first_and_of_equals_the_latest():
    """Those that share little are left out; the order does not depend on the mapping's."""
    others = {
        "m-1": {"a", "b"},
        "m-2": {"a", "b"},
        "m-3": {"a", "b", "c"},
        "m-4": {"x"},
        "m-5": set("abcxyzuvw"),
    }
    found = alike({"a", "b", "c"}, others)
    assert [one.incident for one in found] == ["m-3", "m-2", "m-1", "m-5"]
    assert all(one.score >= LEAST for one in found)
    assert found == alike({"a", "b", "c"}, dict(reversed(others.items())))
