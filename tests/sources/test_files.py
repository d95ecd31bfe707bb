"""Files in folders: which belong to a slot, what their bytes are, and when the place itself is gone."""

import bz2
import gzip
import lzma
import os
from datetime import date

import polars as pl
import pyarrow as pa
import pytest

from mlobs_pipelines.sources import content
from mlobs_pipelines.sources.deliveries import Place, Slot, UnreadableError
from mlobs_pipelines.sources.registry import SOURCES
from tests.sources.fuzz import SEEDS

DAY = date(2013, 3, 1)
CSV = b"a,b\n1,2\n"
PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: bytes(pa.compress(data, codec="zstd")),
}


def _land(root, *names, data=CSV):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _read(folder, location, columns=(), form="csv", **options):
    place = Place("local", form, f"{folder}/{location}", options)
    return list(SOURCES["local"](place, Slot("labels", DAY, columns)))


def _names(root, location):
    return [found.name for found in _read(root, location)]


def test_several_files_a_day_come_in_the_order_of_their_names(tmp_path):
    """Every match is a delivery of its own, named below the place; other days stay where they are."""
    _land(tmp_path, "in/2013-03-01/b.csv", "in/2013-03-01/a.csv", "in/2013-03-02/a.csv")
    assert _names(tmp_path, "in/{date}/*.csv") == ["2013-03-01/a.csv", "2013-03-01/b.csv"]


def test_hidden_unfinished_and_marker_files_are_no_deliveries(tmp_path):
    """What writers leave beside their files is passed over, and so are folders."""
    _land(
        tmp_path,
        *(f"in/{name}" for name in ("_SUCCESS", ".x.csv", "y.csv.tmp", ".y.csv.crc", "_temporary/z.csv")),
    )
    (tmp_path / "in/folder.csv").mkdir()
    _land(tmp_path, "in/x.csv")
    assert _names(tmp_path, "in/**/*") == ["x.csv"]


def test_a_name_that_the_template_spells_out_is_taken_though_hidden(tmp_path):
    """A contract may name a folder that begins with an underscore."""
    _land(tmp_path, "in/_raw/2013-03-01.csv")
    assert _names(tmp_path, "in/{date}.csv") == []
    assert _names(tmp_path, "*/_raw/{date}.csv") == ["in/_raw/2013-03-01.csv"]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("year=2013/month=03/day=01/x.csv", "year={year}/month={month}/day={day}/*.csv"),
        ("year=2013/month=3/day=1/x.csv", "year={year}/month={month}/day={day}/*.csv"),
        ("2013/03/01/07/x.csv", "{year}/{month}/{day}/{hour}/*"),
        ("day=2013-03-01/hour=7/x.csv", "day={date}/hour={hour}/*.csv"),
        ("a/b/c/2013-03-01.csv", "**/{date}.csv"),
        ("2013-03-01.csv", "**/{date}.csv"),
        ("labels-2013-03-01-x.csv", "{table}-{date}-*.csv"),
        ("day=2013-03-01/x.csv", "day={date}/"),
        ("[labels]/2013-03-01.csv", "[{table}]/{date}.csv"),
        ("2013-03-01.csv.gz", "{date}.csv"),
    ],
)
def test_templates_find_their_day(tmp_path, path, location):
    """Dates, hours, hive folders with and without padding, any depth, and a suffix that nobody announced."""
    _land(tmp_path, path, data=gzip.compress(CSV) if path.endswith("gz") else CSV)
    others = ("year=2013/month=13/day=1/x.csv", "labels-2013-03-02-x.csv", "x/2013-03-011.csv")
    _land(tmp_path, *others)
    [found] = _read(tmp_path, location)
    assert found.name == path
    assert pl.concat(found.frames()).rows() == [("1", "2")]


def test_an_unknown_placeholder_is_named(tmp_path):
    """A template that cannot be filled in is told by its placeholder."""
    with pytest.raises(OSError, match=r"placeholder \{daye\}; those known are"):
        _read(tmp_path, "{daye}.csv")


def test_what_a_path_says_is_a_column_only_where_the_contract_names_it(tmp_path):
    """Hive values are text; a column of the file itself goes before them, and the null folder is null."""
    _land(
        tmp_path,
        "day=2013-03-01/region=E%20U/a=9/x.csv",
        "day=2013-03-01/region=__HIVE_DEFAULT_PARTITION__/x.csv",
    )
    first, second = _read(tmp_path, "day={date}/**/*.csv", ("a", "region"))
    assert first.columns == {"a": "text", "b": "text", "region": "text"}
    assert pl.concat(first.frames()).rows() == [("1", "E U")]
    assert pl.concat(second.frames()).rows() == [("1", None)]
    assert "region" not in _read(tmp_path, "day={date}/**/*.csv", ("a",))[0].columns


@pytest.mark.parametrize("suffix", PACK)
def test_compressed_files_are_read_member_by_member(tmp_path, suffix):
    """Members that follow one another are one file; the digest is of the bytes as delivered."""
    packed = PACK[suffix](CSV) + PACK[suffix](b"3,4\n")
    _land(tmp_path, f"2013-03-01.csv{suffix}", data=packed)
    [found] = _read(tmp_path, "{date}.csv" + suffix)
    assert pl.concat(found.frames()).rows() == [("1", "2"), ("3", "4")]
    assert found.size == len(packed)


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("spoil", [lambda data: data[:-3], lambda data: data + b"junk"], ids=["cut", "junk"])
def test_compressed_files_without_end_or_with_more_are_refused(tmp_path, suffix, spoil):
    """A missing end, and anything behind the end, is damage and not the end of the file."""
    _land(tmp_path, f"x.csv{suffix}", data=spoil(PACK[suffix](CSV * 1000)))
    [found] = _read(tmp_path, f"x.csv{suffix}")
    assert "damaged" in found.problem


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_an_empty_file_is_a_delivery_that_cannot_be_read(tmp_path, form):
    """Zero bytes are not an empty day."""
    _land(tmp_path, "x", data=b"")
    [found] = _read(tmp_path, "x", form=form)
    assert "0 bytes" in found.problem
    assert found.sha256


def test_a_folder_that_is_not_there_is_no_empty_day(tmp_path):
    """A missing root is an error of the place; a missing folder of a day is a day without deliveries."""
    assert _names(tmp_path, "{date}/x.csv") == []
    with pytest.raises(OSError, match=r"no folder .*nowhere.* check"):
        _read(tmp_path, "nowhere/{date}.csv")
    assert _read(tmp_path, "nowhere/{date}.csv", root=str(tmp_path)) == []
    with pytest.raises(OSError, match="no folder"):
        _read(tmp_path, "{date}.csv", root=f"{tmp_path}/gone")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(tmp_path):
    """A forbidden folder is an error of the place, a forbidden file a reason of the delivery."""
    _land(tmp_path, "in/x.csv")
    (tmp_path / "in/x.csv").chmod(0)
    [found] = _read(tmp_path, "in/x.csv")
    assert "may not be read" in found.problem
    (tmp_path / "in").chmod(0)
    with pytest.raises(OSError, match="may not be listed"):
        _read(tmp_path, "in/*.csv")
    (tmp_path / "in").chmod(0o700)


def test_a_link_that_leads_nowhere_is_a_delivery(tmp_path):
    """It was delivered; nobody can read it."""
    (tmp_path / "x.csv").symlink_to(tmp_path / "gone.csv")
    [found] = _read(tmp_path, "*.csv")
    assert "leads nowhere" in found.problem


@pytest.mark.parametrize("small", [content.SMALL, 0], ids=["compared", "watched"])
def test_a_file_that_changes_is_not_read_as_what_it_was(tmp_path, monkeypatch, small):
    """What is read is what was hashed, or the reading fails and says so."""
    monkeypatch.setattr(content, "SMALL", small)
    _land(tmp_path, "x.csv", data=b"a\n" + b"1\n" * 10)
    [found] = _read(tmp_path, "x.csv")
    assert pl.concat(found.frames()).height == 10
    _land(tmp_path, "x.csv", data=b"a\n" + b"2\n" * 11)
    with pytest.raises(UnreadableError, match="changed while it was read"):
        list(found.frames())


def test_a_large_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    """Rows that were written after the hash are never taken for rows of it."""
    monkeypatch.setattr(content, "SMALL", 0)
    _land(tmp_path, "x.csv", data=b"a\n" + b"1\n" * 3_000_000)
    [found] = _read(tmp_path, "x.csv")
    frames = found.frames()
    next(frames)
    with (tmp_path / "x.csv").open("ab") as file:
        file.write(b"2\n")
    with pytest.raises(UnreadableError, match="changed"):
        list(frames)


def test_links_do_not_lead_a_glob_in_circles(tmp_path):
    """A folder that links to one above it is not walked again; a link that the template names is."""
    _land(tmp_path, "in/2013-03-01.csv")
    (tmp_path / "in/again").symlink_to(tmp_path / "in")
    assert _names(tmp_path, "in/**/{date}.csv") == ["2013-03-01.csv"]
    assert _names(tmp_path, "in/again/{date}.csv") == ["2013-03-01.csv"]


def test_logs_are_read_in_their_declared_encoding(tmp_path):
    """A captured log in UTF-16 is the log that it is in UTF-8."""
    _, log = SEEDS["kserve"]
    read = []
    for encoding in ("utf-8", "utf-16"):
        _land(tmp_path, "x.jsonl", data=log.decode().encode(encoding))
        [found] = _read(tmp_path, "x.jsonl", form="kserve", encoding=encoding)
        read.append(pl.concat(found.frames()))
    assert read[0].equals(read[1])
    assert read[0].height > 0


def test_an_unknown_format_names_those_known(tmp_path):
    """The message lists what can be read."""
    with pytest.raises(OSError, match="no format 'orc'; those known are parquet, csv"):
        _read(tmp_path, "x", form="orc")
