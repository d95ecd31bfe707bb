"""Small pictures for run metadata."""

import struct
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlobs_pipelines.destinations.plots import (
    budget_picture,
    drift_picture,
    markdown_image,
    packed,
    reliability_picture,
    triangle_picture,
)
from tests.destinations.season import SCHEMA, budget, season


@pytest.fixture(scope="module")
def rows():
    """A season of one version."""
    return season(40, versions=("v1",))


@pytest.mark.parametrize("picture", [reliability_picture, drift_picture])
def test_pictures_are_small_pngs(picture, rows):
    """A picture is a PNG of a sensible size under 20 KB, and the same rows give the same bytes."""
    png = picture(rows)
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG")
    assert 200 < width < 800
    assert 100 < height < 800
    assert len(png) < 20_000
    assert picture(rows) == png


@pytest.mark.parametrize("picture", [reliability_picture, drift_picture])
def test_no_rows_give_an_empty_picture(picture):
    """Without rows there is still a picture, with nothing in it."""
    assert picture(SCHEMA.empty_table()).startswith(b"\x89PNG")


def test_bins_without_labels_are_left_out(rows):
    """Reliability bins that have no observed rate do not stop the picture."""
    unlabelled = rows.filter(pc.not_equal(rows["metric"], "reliability_observed"))
    assert reliability_picture(unlabelled).startswith(b"\x89PNG")


def test_a_triangle_is_of_one_version(rows):
    """The triangle of one version is a small PNG; of two versions at once there is none."""
    one = rows.filter(pc.equal(rows["metric"], "label_coverage"))
    png = triangle_picture(one)
    assert png.startswith(b"\x89PNG")
    assert len(png) < 20_000
    names = pa.repeat(pa.scalar("v2"), one.num_rows)
    other = one.set_column(one.column_names.index("model_version"), "model_version", names)
    for several in (pa.concat_tables([one, other]), one.slice(0, 0)):
        with pytest.raises(ValueError, match="one version"):
            triangle_picture(several)


def test_budgets_are_lines_of_the_least_that_is_left():
    """A line per SLO and version; segments count by the one with the least, one deep in the red is cut."""
    day = date(2013, 7, 1)
    rows = [budget("calibrated", "v1", day, left) for left in (0.4, -7.0)]
    rows += [budget("answered", "v2", day, None)]
    made = [{name: row[name] for name in ("day", "slo", "model_version", "budget_left")} for row in rows]
    png = budget_picture(pa.Table.from_pylist(made))
    assert png.startswith(b"\x89PNG")
    assert len(png) < 20_000
    cut = [made[0] | {"budget_left": -1.0}]
    assert budget_picture(pa.Table.from_pylist(cut)) == png


def test_packing_keeps_the_picture(rows):
    """Packing a packed picture changes nothing."""
    png = drift_picture(rows)
    assert packed(png) == png


def test_markdown_carries_the_bytes():
    """The Markdown image needs no file, and its description cannot end the link."""
    said = markdown_image(b"abc", "drift [v1](x)")
    assert said == "![drift  v1  x ](data:image/png;base64,YWJj)"
