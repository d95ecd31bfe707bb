import pytest
from pyarrow import fs

from mlobs_pipelines.store.place import Place


@pytest.mark.parametrize("root", ["{}/my lake", "{}/my lake/", "file://{}/my%20lake"])
def test_local_roots_mean_one_folder(tmp_path, root):
    """A path and a file URL of the same folder address tables alike."""
    place = Place(root.format(tmp_path))
    assert place.table("m", "t") == f"{tmp_path}/my lake/m/t"
    assert isinstance(place.filesystem(), fs.LocalFileSystem)


def test_object_stores_keep_their_url():
    """A bucket's tables are addressed by URL, and its files by bucket and key."""
    place = Place("s3://bucket/lake/")
    assert place.table("m", "t") == "s3://bucket/lake/m/t"
    assert place.inside(place.table("m", "t")) == "bucket/lake/m/t"


def test_options_are_translated_for_arrow():
    """Names that delta-rs gives to S3 options open Arrow's filesystem too, whatever their case or prefix."""
    options = {"AWS_ACCESS_KEY_ID": "a", "secret_access_key": "b", "aws_endpoint_url": "http://localhost:9"}
    opened = Place("s3://bucket/lake", {**options, "aws_region": "eu-west-1"}).filesystem()
    assert isinstance(opened, fs.S3FileSystem)
    assert opened.region == "eu-west-1"


def test_unknown_stores_are_refused():
    """A scheme that nothing can open is an error that names the scheme."""
    with pytest.raises(ValueError, match="ftp://"):
        Place("ftp://host/lake").filesystem()
