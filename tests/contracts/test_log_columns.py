"""What a prediction log may hold beside what it must: told by contract and monitor."""

import pytest

OK = "good_status: [ok]"
BEFORE = "      - name: tailnum\n"
QUEUE = "      - {{name: queue_ms, logicalType: {kind}, classification: {secrecy}}}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("timeout_status: [timeout]", []),
        ("timeout_status: []", []),
        ("timeout_status: [late]", ["timeout_status: status is never 'late' by the contract; valid: "]),
        ("timeout_status: [ok]", ["'ok' is in good_status and in timeout_status; keep one"]),
    ],
)
def test_statuses_of_timeouts_are_those_of_the_contract(broken, words, says):
    """A timeout's status is allowed by the contract and not a good one."""
    told = broken("monitor.yaml", OK, f"{OK}\n{words}")
    assert len(told) == len(says)
    assert all(said in one for one, said in zip(told, says, strict=True)), told


@pytest.mark.parametrize(
    ("kind", "secrecy", "says"),
    [
        ("number", "internal", []),
        ("string", "internal", ["queue_ms is declared as string; valid: number"]),
        ("number", "restricted", ["queue_ms"]),
    ],
)
def test_time_in_a_queue_is_a_number_that_is_kept(broken, kind, secrecy, says):
    """The optional column has to be one that its quantiles can be read off."""
    column = QUEUE.format(kind=kind, secrecy=secrecy)
    told = broken("predictions.odcs.yaml", BEFORE, column + BEFORE)
    assert len(told) == len(says)
    assert all(said in one for one, said in zip(told, says, strict=True)), told
