"""Independent pieces of work on two threads: numpy lets go of the interpreter while it computes.

Which pieces there are is the caller's business; none of them may touch what another one changes.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

Work = Callable[[], object]
LEAST_ROWS = 16_384  # a thread takes longer to start than fewer rows to count


def all_done(works: Iterable[Work], rows: int) -> None:
    """Do every piece of work, on this thread and, for many rows, one more; which one does what is open."""
    waiting = iter(list(works))

    def some() -> None:
        for work in waiting:
            work()

    if rows < LEAST_ROWS:
        some()
        return
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(some)
        some()
        other.result()
