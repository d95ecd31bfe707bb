"""Object stores, on a server of this machine that speaks S3."""

import boto3
import polars as pl
import pytest
from deltalake import write_deltalake
from moto.server import ThreadedMotoServer

from mlobs_pipelines.sources.deliveries import Place, Slot
from mlobs_pipelines.sources.registry import SOURCES
from tests.sources.conformance import DAY, SECRET, WHOLE

ACCESS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": SECRET}


@pytest.fixture(scope="module")
def endpoint():
    """Start a server and fill a bucket."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=ACCESS["access_key_id"],
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket="landing")
    for key, body in {
        "labels/day=2013-03-01/region=EU/part-1.csv": b"a,b\n3,4\n",
        "labels/day=2013-03-01/region=EU/part-0.csv": b"a,b\n1,2\n",
        "labels/day=2013-03-01/_SUCCESS": b"",
        "labels/day=2013-03-01/region=US/.part-2.csv": b"a,b\n1,2\n",
        "labels/day=2013-03-02/region=EU/part-0.csv": b"a,b\n1,2\n",
        "broken/2013-03-01.csv": b"a,b\n1,2,3\n",
    }.items():
        client.put_object(Bucket="landing", Key=key, Body=body)
    yield address
    server.stop()


def _read(endpoint, location, form="csv", columns=("a", "region"), **options):
    options = {"endpoint": endpoint, "region": "us-east-1", **options}
    return list(SOURCES["s3"](Place("s3", form, location, options, ACCESS), Slot("labels", DAY, columns)))


def test_the_objects_of_a_day_come_in_the_order_of_their_names(endpoint):
    """Every object of the day, no other day, no marker, no hidden one; the path fills a column."""
    found = _read(endpoint, "s3://landing/{table}/day={date}/**/*.csv")
    assert [delivery.name for delivery in found] == [
        "labels/day=2013-03-01/region=EU/part-0.csv",
        "labels/day=2013-03-01/region=EU/part-1.csv",
    ]
    rows = pl.concat([pl.concat(delivery.frames()) for delivery in found])
    assert rows.rows() == [("1", "EU"), ("3", "EU")]


def test_a_prefix_without_objects_is_no_delivery(endpoint):
    """Nothing below a prefix means that nothing was delivered."""
    assert _read(endpoint, "s3://landing/none/{date}.csv") == []


def test_a_broken_object_is_refused_and_the_place_is_not(endpoint):
    """What is wrong with an object is told of the object."""
    [delivery] = _read(endpoint, "s3://landing/broken/{date}.csv")
    with pytest.raises(Exception, match="line 2 has 3 fields where the header has 2"):
        list(delivery.frames())


@pytest.mark.parametrize("location", ["s3://nowhere/{date}.csv", "s3://landing/{date}.csv"])
def test_a_store_that_cannot_be_reached_says_what_to_check(endpoint, location):
    """A missing bucket and a dead endpoint are errors of the place, without credentials."""
    address = endpoint if "nowhere" in location else "http://127.0.0.1:9"
    with pytest.raises(
        OSError, match=r"cannot be read .*check that the bucket exists, the endpoint"
    ) as caught:
        _read(address, location)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_access_setting_that_no_store_knows_is_named(endpoint):
    """A mistyped setting is told by its name, never by its value."""
    place = Place(
        "s3", "csv", "s3://landing/{date}.csv", {"endpoint": endpoint}, {"secret_acess_key": SECRET}
    )
    with pytest.raises(OSError, match="secret_acess_key") as caught:
        list(SOURCES["s3"](place, Slot("labels", DAY, ())))
    assert SECRET not in str(caught.value)


def test_a_delta_table_in_a_bucket_is_read_by_its_day(endpoint):
    """Delta tables are read from object stores as from folders."""
    options = {**ACCESS, "endpoint": endpoint, "region": "us-east-1", "allow_http": "true"}
    write_deltalake("s3://landing/tables/labels", WHOLE.to_arrow(), storage_options=options)
    columns = ("prediction_id", "label", "arrived_at")
    [found] = _read(endpoint, "s3://landing/tables/{table}", "delta", columns, watermark="arrived_at")
    assert found.name == "labels@v0"
    assert pl.concat(found.frames()).height == WHOLE.height // 2
