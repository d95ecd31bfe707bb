"""Parts that several metrics of one summary rest on, computed once.

Nothing is remembered longer than the summary that it was computed from lives.
"""

import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from mlobs_pipelines.core.summaries import Additive

Part = TypeVar("Part")
_Known = tuple[Callable[[], Additive | None], Any]


def shared(function: Callable[[Any], Part]) -> Callable[[Any], Part]:
    """Remember what a function made of the latest summary, for the next metric that asks for the same.

    Parameters
    ----------
    function
        A pure function of one summary; nobody may write to what it returns.
    """
    latest: list[_Known] = [(lambda: None, None)]

    @wraps(function)
    def part(summary: Additive) -> Part:
        known, found = latest[0]
        if known() is not summary:
            found = function(summary)
            latest[0] = (weakref.ref(summary, lambda gone: _forget(latest, gone)), found)
        result: Part = found
        return result

    return part


def _forget(latest: list[_Known], gone: Any) -> None:  # noqa: ANN401 - a weak reference of any kind
    if latest[0][0] is gone:
        latest[0] = (lambda: None, None)
