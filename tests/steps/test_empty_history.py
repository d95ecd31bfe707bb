"""Days without any prediction: what no version has answered is no version's fault."""

from datetime import date

import numpy as np

from mlobs_pipelines.steps.series import Panel
from mlobs_pipelines.steps.upstream import release_suspects


def test_an_incident_about_no_version_has_no_release_as_suspect():
    """Where deliveries are missing from the start no version is concerned, and none is suspected."""
    nothing = np.empty((0, 5))
    panel = Panel(date(2013, 3, 1), {}, nothing, nothing, np.empty(0), {}, {})
    assert list(release_suspects(panel, {}, [], (date(2013, 3, 2), date(2013, 3, 4)))) == []
