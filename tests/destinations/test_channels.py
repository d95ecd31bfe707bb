import logging

import pytest

from mlobs_pipelines.destinations.channels import ChannelError, send

SECRET = "hunter2hunter2"  # noqa: S105 - made up, to be looked for


@pytest.mark.parametrize("address", [f"nonsense://{SECRET}", f"slack://{SECRET}", f"json://u:{SECRET}@[:1/"])
def test_an_address_that_cannot_be_used_is_not_repeated(caplog, capfd, address):
    """Neither the error nor any log, however much is logged, holds what an address holds."""
    with caplog.at_level(logging.DEBUG), pytest.raises(ChannelError) as said:
        send([address], "title", "body", "ticket")
    printed = capfd.readouterr()
    assert SECRET not in "".join([str(said.value), caplog.text, printed.out, printed.err])
