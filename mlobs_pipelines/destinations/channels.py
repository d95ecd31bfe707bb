"""Channels that carry a message to people, through Apprise: chat, paging, e-mail, webhooks.

Addresses hold secrets: no error of this module repeats one. What is said, and to whom, is decided elsewhere.
"""

import logging
from collections.abc import Sequence
from typing import Any

TYPES = {"critical": "failure", "ticket": "warning", "resolved": "success"}


class ChannelError(RuntimeError):
    """A message that did not reach every address of its channel."""


def send(addresses: Sequence[str], title: str, body: str, kind: str) -> None:
    """Send one message to every address of a channel.

    Parameters
    ----------
    addresses
        Apprise URLs, such as ``slack://…``, ``pagerduty://…``, ``mailto://…`` or ``json://…``.
    kind
        A key of `TYPES`.

    Raises
    ------
    ChannelError
        If an address cannot be used, or any of them did not take the message.
    """
    from apprise import Apprise  # noqa: PLC0415 - it loads a hundred services

    # What Apprise logs of an address that it cannot use is the address itself.
    logging.getLogger("apprise").disabled = True
    people: Any = Apprise()
    for position, address in enumerate(addresses, 1):
        if not people.add(address):
            raise ChannelError(f"address {position} is none that Apprise knows; see its list of services")
    if not addresses or not people.notify(
        body=body, title=title, notify_type=TYPES[kind], body_format="text"
    ):
        raise ChannelError(f"not taken by every one of {len(addresses)} addresses")
