"""Files that are damaged, compressed, encoded, separated or named otherwise than the contract says."""

import bz2
import gzip
import io
import json
import lzma
import random

import pyarrow.parquet as pq

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, arrow, csv_of, csv_with, raw
from tests.deliveries.toy import DAY, MARK, Row, Toy, rows

PARQUET, JSONL = Toy("parquet"), Toy("jsonl")
GOOD = csv_of(rows())
NOISE = random.Random(7).randbytes(5_000)  # noqa: S311 - noise, no secret
LINES = [json.dumps(row) for row in rows()]
UMLAUT = rows(region="Zürich canary-7f3a")
ZURICH = {"region": ["Zürich canary-7f3a"] * 4}


def _server(form: str = "csv", **said: object) -> Toy:
    if "encoding" not in said and "delimiter" not in said and "quote" not in said:
        return Toy(form, server=said)
    return Toy(form, server={"customProperties": [{"property": key, "value": said[key]} for key in said]})


def _jsonl(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _parquet_of(made: list[Row]) -> bytes:
    file = io.BytesIO()
    pq.write_table(arrow(made, {}), file)
    return file.getvalue()


def _flipped(data: bytes) -> bytes:
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def _dangling(stage: Stage) -> None:
    stage.path(".csv").symlink_to(stage.home / "nowhere.csv")


def _folder(stage: Stage) -> None:
    stage.path(".csv").mkdir(parents=True)


def _hive(stage: Stage) -> None:
    place = stage.home / "landing" / "predictions" / f"day={DAY.isoformat()}" / "region=far%20north"
    place.mkdir(parents=True)
    made = [{name: value for name, value in row.items() if name != "region"} for row in rows()]
    (place / "part-0.csv").write_bytes(csv_of(made))


_HIVE = Toy(server={"path": "{landing}/predictions/day={date}/**/*.csv"})
_QUOTED = [f'{MARK}, "so"', "two\nlines", "", " end "]

CASES = [
    Case(
        "latin-1 as declared",
        lambda it: it.csv(UMLAUT, encoding="latin-1"),
        "accepted",
        accepted=4,
        toy=_server(encoding="latin-1"),
        values=ZURICH,
    ),
    Case(
        "latin-1 that is not declared",
        lambda it: it.csv(UMLAUT, encoding="latin-1"),
        "refused",
        0,
        says=["byte", "is not utf-8", "declare the encoding"],
    ),
    Case(
        "UTF-8 where cp1252 is declared",
        lambda it: it.csv(rows(region="日本 canary-7f3a Á")),
        "refused",
        0,
        toy=_server(encoding="cp1252"),
        says=["is not cp1252"],
    ),
    Case(
        "UTF-16 as declared",
        lambda it: it.csv(UMLAUT, encoding="utf-16"),
        "accepted",
        accepted=4,
        toy=_server(encoding="utf-16"),
        values=ZURICH,
    ),
    Case(
        "UTF-16 that is not declared",
        lambda it: it.csv(UMLAUT, encoding="utf-16"),
        "refused",
        0,
        says=["declare encoding utf-16"],
    ),
    Case(
        "UTF-16 without a mark that is not declared",
        lambda it: it.csv(rows(), encoding="utf-16-le"),
        "refused",
        0,
        says=["NUL bytes", "encoding"],
    ),
    Case(
        "UTF-8 with a byte-order mark",
        lambda it: it.csv(UMLAUT, encoding="utf-8-sig"),
        "accepted",
        accepted=4,
        values=ZURICH,
        told={},
    ),
    Case(
        "JSON lines in latin-1 as declared",
        lambda it: it.raw(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in UMLAUT).encode("latin-1")
        ),
        "accepted",
        accepted=4,
        toy=_server("jsonl", encoding="latin-1"),
        values=ZURICH,
    ),
    Case(
        "semicolons as declared",
        lambda it: it.csv(rows(), delimiter=";"),
        "accepted",
        accepted=4,
        toy=_server(delimiter=";"),
    ),
    Case(
        "semicolons that are not declared",
        lambda it: it.csv(rows(), delimiter=";"),
        "refused",
        0,
        says=["a semicolon", "declare delimiter"],
    ),
    Case(
        "tabs as declared",
        lambda it: it.csv(rows(), delimiter="\t"),
        "accepted",
        accepted=4,
        toy=_server(delimiter="tab"),
    ),
    Case("CRLF at the ends of lines", lambda it: it.csv(rows(), end="\r\n"), "accepted", accepted=4),
    Case(
        "CR at the ends of lines", lambda it: it.csv(rows(), end="\r"), "refused", 0, says=["carriage return"]
    ),
    Case("no end of the last line", raw(GOOD.removesuffix(b"\n")), "accepted", accepted=4),
    Case("blank lines at the end", raw(GOOD + b"\n\n"), "accepted", accepted=4),
    Case("a blank first line", raw(b"\n" + GOOD), "refused", 0, says=["first line"]),
    Case(
        "quotes, separators and line feeds in fields",
        csv_with(note=_QUOTED),
        "accepted",
        accepted=4,
        values={"note": [*_QUOTED[:2], None, " end "]},
    ),
    Case(
        "a line with a field too few",
        raw(GOOD.replace(f",{MARK} note\n".encode(), b"\n", 1)),
        "refused",
        0,
        says=["line 2 has 16 fields where the header has 17"],
    ),
    Case(
        "a line with a field too many",
        raw(GOOD[:-1] + b",canary-7f3a\n"),
        "refused",
        0,
        says=["line 5 has 18 fields where the header has 17"],
    ),
    Case(
        "a separator at the end of every line but the first",
        raw(GOOD.replace(b" note\n", b" note,\n")),
        "refused",
        0,
        says=["line 2 has 18 fields"],
    ),
    Case(
        "a quote that is not closed",
        raw(GOOD.replace(b",champion", b',"champion', 1)),
        "refused",
        0,
        says=["a quote"],
    ),
    Case(
        "a quote inside a bare field",
        raw(GOOD.replace(b" note", b' "note" x')),
        "refused",
        0,
        says=["line 2 has a quote inside a field"],
    ),
    Case(
        "two files in one, with a header in between",
        raw(GOOD + GOOD),
        "partial",
        9,
        accepted=4,
        repeated=4,
        quarantined=1,
        rules=dict.fromkeys(
            [
                *(
                    f"type:{name}"
                    for name in ("predicted_at", "score", "latency_ms", "amount", "items", "member", "since")
                ),
                *(f"allowed:{name}" for name in ("role", "status")),
            ],
            1,
        ),
    ),
    Case("a CSV cut in the middle of a line", raw(GOOD[:-60]), "refused", 3, refused=3, says=["line 5 has"]),
    Case("a CSV cut in the header", raw(GOOD[:40]), "refused", 0, says=["missing columns"]),
    Case(
        "an HTML page instead of a CSV",
        raw(b"<html><body>503 canary-7f3a</body></html>\n"),
        "refused",
        0,
        says=["none of its 1 columns"],
    ),
    Case("random bytes as CSV", raw(NOISE), "refused", 0),
    Case(
        "random bytes as Parquet",
        raw(NOISE),
        "refused",
        0,
        toy=PARQUET,
        says=["cannot be read as parquet", "deliver it again"],
    ),
    Case("random bytes as JSON lines", raw(NOISE), "refused", 0, toy=JSONL, says=["byte", "is not utf-8"]),
    Case(
        "a Parquet file cut short",
        raw(_parquet_of(rows())[:-100]),
        "refused",
        0,
        toy=PARQUET,
        says=["cannot be read as parquet"],
    ),
    Case(
        "a Parquet file without its middle",
        raw(_parquet_of(rows())[:200] + _parquet_of(rows())[400:]),
        "refused",
        0,
        toy=PARQUET,
    ),
    Case(
        "CSV under the name of Parquet",
        raw(GOOD, ".parquet"),
        "refused",
        0,
        toy=PARQUET,
        says=["cannot be read as parquet"],
    ),
    Case("Parquet under the name of CSV", raw(_parquet_of(rows())), "refused", 0),
    Case("JSON lines under the name of CSV", raw(_jsonl(*LINES)), "refused", 0),
    Case(
        "a line of JSON cut short",
        raw(_jsonl(*LINES[:3], LINES[3][:50])),
        "refused",
        0,
        toy=JSONL,
        says=["line 4 is not JSON"],
    ),
    Case(
        "a line of JSON that is a list",
        raw(_jsonl(*LINES[:1], f'["{MARK}"]')),
        "refused",
        0,
        toy=JSONL,
        says=["line 2 is not an object"],
    ),
    Case(
        "one JSON array instead of lines",
        raw(json.dumps(rows(), indent=1).encode()),
        "refused",
        0,
        toy=JSONL,
        says=["line 1 is not JSON"],
    ),
    Case(
        "a key twice in a line of JSON",
        raw(_jsonl(LINES[0][:-1] + f', "score": {7301730}}}')),
        "refused",
        0,
        toy=JSONL,
        says=["line 1 names a key more than once"],
    ),
    Case(
        "half of a surrogate pair in JSON",
        raw(_jsonl(LINES[0].replace(" note", " \\ud800"))),
        "refused",
        0,
        toy=JSONL,
        says=["line 1 has half of a surrogate pair"],
    ),
    Case(
        "blank lines between lines of JSON",
        raw(_jsonl("", *LINES, "", "")),
        "accepted",
        accepted=4,
        toy=JSONL,
    ),
    Case("gzip", raw(gzip.compress(GOOD), ".csv.gz"), "accepted", accepted=4),
    Case(
        "xz and bzip2",
        lambda it: (it.raw(lzma.compress(GOOD), "-a.csv.xz"), it.raw(bz2.compress(GOOD), "-b.csv.bz2"))[0],
        "accepted",
        8,
        accepted=4,
        repeated=4,
    ),
    Case(
        "gzip cut short", raw(gzip.compress(GOOD)[:-20], ".csv.gz"), "refused", 0, says=["deliver it again"]
    ),
    Case(
        "gzip with a changed byte", raw(_flipped(gzip.compress(csv_of(rows(200)))), ".csv.gz"), "refused", 0
    ),
    Case("plain CSV under the name of gzip", raw(GOOD, ".csv.gz"), "refused", 0),
    Case("a name outside of the location", raw(GOOD, ".txt"), "missing", 0),
    Case("a file that is still being written", raw(GOOD, ".csv.tmp"), "missing", 0),
    Case("a folder under the name of a file", _folder, "missing", 0),
    Case("a link that leads nowhere", _dangling, "refused", 0, says=["it was there and is gone"]),
    Case(
        "a column from the folder's name",
        _hive,
        "accepted",
        accepted=4,
        toy=_HIVE,
        values={"region": ["far north"] * 4},
    ),
]
