"""The χ² distribution of whole degrees of freedom against scipy's."""

import numpy as np
import pytest

from mlobs_pipelines.core.metrics.chi_square import point_01, tail


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 10, 101, 1000])
def test_points_and_tails_are_those_of_scipy(freedom):
    """Odd and even degrees of freedom, few and many, to 1e-12."""
    from scipy.special import chdtrc, chdtri  # noqa: PLC0415 - only here

    assert point_01(freedom) == pytest.approx(float(chdtri(freedom, 0.01)), rel=1e-12)
    places = freedom * np.array([0.2, 0.9, 1.0, 1.4])
    found = [tail(freedom, place) for place in places.tolist()]
    np.testing.assert_allclose(found, chdtrc(freedom, places), rtol=1e-11)
