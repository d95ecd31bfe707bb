"""One history of the demo's year for every test that lands files from it: training takes most of the time."""

import pytest


@pytest.fixture(scope="session")
def history():
    """Give the year with its trained models, built once per session."""
    from mlobs_pipelines.demo.history import build_history  # noqa: PLC0415 - only where it is asked for

    return build_history(20130101, lambda *_: None)
