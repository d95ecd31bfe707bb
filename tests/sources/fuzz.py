"""Mutated files of every format: whatever is done to the bytes, a reader gives frames or says why not.

As a script it runs as long as it is told to: `python -m tests.sources.fuzz --examples 20000`.
"""

import argparse
import bz2
import gzip
import io
import json
import lzma
import random
import sys
import tempfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlobs_pipelines.sources.deliveries import BATCH_ROWS, Place, Slot, UnreadableError
from mlobs_pipelines.sources.registry import FORMATS, SOURCES

DAY = date(2013, 3, 1)
SLOT = Slot("labels", DAY, ())
CANARY = "canary7f3a"
TEXTS = [f"{CANARY}-{number}" for number in range(40)]
FRAME = pl.DataFrame(
    {
        "prediction_id": TEXTS,
        "label": [None, 0, 1, 2**60] * 10,
        "score": [0.1, None, 1e-300, 0.30000000000000004] * 10,
        "note": ['quo"te', "comma, semi; tab\t", "line\nbreak", "ünïcode"] * 10,
        "arrived_at": [datetime(2013, 3, 1, 7, second, tzinfo=UTC) for second in range(40)],
    },
)


def _log(name):
    record = {
        "sagemaker-data-capture": {
            "captureData": {
                "endpointInput": {
                    "observedContentType": "text/csv",
                    "mode": "INPUT",
                    "data": CANARY,
                    "encoding": "CSV",
                },
                "endpointOutput": {
                    "observedContentType": "text/csv",
                    "mode": "OUTPUT",
                    "data": "0.5",
                    "encoding": "CSV",
                },
            },
            "eventMetadata": {"eventId": CANARY, "inferenceTime": "2013-03-01T07:00:00Z"},
            "eventVersion": "0",
        },
        "kserve": {
            "specversion": "1.0",
            "type": "org.kubeflow.serving.inference.request",
            "id": CANARY,
            "time": "2013-03-01T07:00:00Z",
            "data": {"instances": [[1.0, CANARY]]},
        },
    }[name]
    return b"".join(json.dumps(record).encode() + b"\n" for _ in range(5))


def _parquet():
    file = io.BytesIO()
    pq.write_table(FRAME.to_arrow(), file, row_group_size=16, write_page_checksum=False)
    return file.getvalue()


CSV = FRAME.write_csv().encode()
LINES = FRAME.write_ndjson().encode()
SEEDS = {
    "parquet": ("x.parquet", _parquet()),
    "csv": ("x.csv", CSV),
    "csv.gz": ("x.csv.gz", gzip.compress(CSV)),
    "csv.bz2": ("x.csv.bz2", bz2.compress(CSV)),
    "csv.xz": ("x.csv.xz", lzma.compress(CSV)),
    "csv.zst": ("x.csv.zst", bytes(pa.compress(CSV, codec="zstd"))),
    "jsonl": ("x.jsonl", LINES),
    "jsonl.gz": ("x.jsonl.gz", gzip.compress(LINES)),
    "sagemaker-data-capture": ("x.jsonl", _log("sagemaker-data-capture")),
    "kserve": ("x.jsonl", _log("kserve")),
}
assert {seed.split(".")[0] for seed in SEEDS} | {"seldon"} == set(FORMATS)


def mutated(data, draw):
    """Return bytes with up to four flips, cuts, splices and runs of noise; `draw` is a `random.Random`."""
    mutant = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        if not mutant:
            break
        at = draw.randrange(len(mutant))
        to = min(len(mutant), at + draw.randint(1, 64))
        act = draw.choice("ffffffnncsdx")
        if act == "f":
            mutant[at] ^= 1 << draw.randrange(8)
        elif act == "n":
            mutant[at:to] = draw.randbytes(to - at)
        elif act == "c":
            del mutant[at:]
        elif act == "s":
            other = draw.randrange(len(data))
            mutant[at:to] = data[other : other + 64]
        elif act == "d":
            del mutant[at:to]
        else:
            mutant[at:at] = draw.choice(
                [b'"', b"\r", b"\0", b"\n\n", b"\xff\xfe", b"{", b"1e999", b",,", b"NaN"]
            )
    return bytes(mutant)


def outcome(seed, data, folder):
    """Read bytes as a format's file: "frames", "problem" or "unreadable"; anything else is raised.

    A problem may not quote a value, and every frame has the columns that were announced.
    """
    name, _ = SEEDS[seed]
    path = Path(folder) / seed / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    place = Place("local", seed.split(".")[0], str(path))
    [delivery] = SOURCES["local"](place, SLOT)
    assert delivery.name == name
    told, found = delivery.problem, "problem"
    if not told:
        told, found = _read(delivery)
    assert CANARY not in told, "a value in a message"
    assert (found == "frames") == (not told)
    return found


def _read(delivery):
    try:
        for frame in delivery.frames():
            assert frame.columns == list(delivery.columns)
            assert frame.height <= BATCH_ROWS
            frame.to_arrow().validate(full=True)
    except UnreadableError as error:
        return str(error) + str(error.__context__ or ""), "unreadable"
    return "", "frames"


def main():
    """Print a table of outcomes by format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000, help="per format")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    print(f"{'format':24}{'examples':>10}{'frames':>10}{'problem':>10}{'unreadable':>12}", flush=True)  # noqa: T201 -- its purpose
    with tempfile.TemporaryDirectory() as folder:
        for seed, (_, data) in SEEDS.items():
            draw, found = random.Random(f"{seed}{told.seed}"), Counter()  # noqa: S311 -- repeatable, not secret
            for _ in range(told.examples):
                found[outcome(seed, mutated(data, draw), folder)] += 1
            row = "".join(
                f"{found[word]:>{width}}"
                for word, width in (("frames", 10), ("problem", 10), ("unreadable", 12))
            )
            print(f"{seed:24}{told.examples:>10}{row}", flush=True)  # noqa: T201 -- its purpose


if __name__ == "__main__":
    sys.exit(main())
