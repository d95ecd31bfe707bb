"""Whether a process is still the one that was meant: numbers are given again, and clocks are set.

A process is named by its number and by how long after the machine's start it began. No clock of a day is
compared with another: one that is wrong, or is corrected meanwhile, ends no run.
"""

import psutil

SAME_S = 2.0  # the moment of the machine's start is told in whole seconds


def named(number: int) -> str:
    """Name a process, so that `lives` knows it again.

    Raises
    ------
    psutil.NoSuchProcess
        If no process has the number.
    """
    return f"{number}+{_began(psutil.Process(number)):.2f}"


def lives(name: str) -> bool:
    """Say whether the named process runs. One that has ended and was not waited for does not."""
    number, _, began = name.partition("+")
    try:
        found = psutil.Process(int(number))
        return found.status() != psutil.STATUS_ZOMBIE and abs(_began(found) - float(began)) < SAME_S
    except psutil.NoSuchProcess:
        return False


def _began(process: psutil.Process) -> float:
    """Seconds from the machine's start to the process's."""
    return process.create_time() - psutil.boot_time()
