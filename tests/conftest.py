"""What every test shares: the demo's year, which takes long to train, and how examples are drawn.

Examples are the same in every run, so that a red suite means a change; `--hypothesis-profile=default` draws
new ones.
"""

import pytest
from hypothesis import settings

# No deadline: how long an example takes says how busy the machine is.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def history():
    """Give the year with its trained models, built once per session."""
    from mlobs_pipelines.demo.history import build_history  # noqa: PLC0415 - only where it is asked for

    return build_history(20130101, lambda *_: None)
