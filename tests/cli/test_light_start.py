"""What a reading command pays for before it reads."""

import subprocess
import sys

from tests.cli.conftest import CHECKOUT

SLOW = {
    *("dagster", "great_expectations", "pandas", "pandera", "polars", "scipy", "sklearn", "sqlalchemy"),
    *("altair", "apprise", "jinja2", "pyarrow.dataset", "vl_convert"),
}
LAKE = {"pyarrow", "deltalake", "duckdb"}
RUN = """
import contextlib, io, sys
from mlobs_pipelines.cli import main

for line in sys.argv[1:]:
    sys.argv = ["mlobs", *line.split()]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main()
    print(line, bool(said.getvalue()), *sorted(set(sys.modules)), sep=",")
"""
COMMANDS = {
    "--help": SLOW | LAKE | {"yaml", "jsonschema"},
    "define ece": SLOW | LAKE | {"yaml", "jsonschema"},
    "check": SLOW | LAKE,
    "metrics flight_delays --metric auc --format csv": SLOW,
}


def test_reading_commands_start_without_what_takes_long_to_import(tmp_path):
    """Help, definitions, a check and a reading of the metric store load nothing that they do not use."""
    from mlobs_pipelines.store.lake import Lake  # noqa: PLC0415 - not for the other tests of this folder
    from mlobs_pipelines.store.metric_store import MetricStore  # noqa: PLC0415 - as above
    from tests.store.test_metric_store import DAY, EARLY, metric, table  # noqa: PLC0415 - as above

    rows = table(metric(model="flight_delays"))
    MetricStore(Lake(str(tmp_path / "lake"))).write("flight_delays", [(DAY, EARLY)], rows, commit={})
    given = {"MLOBS_HOME": str(tmp_path), "MLOBS_CONTRACTS": str(CHECKOUT / "data_contracts")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *COMMANDS],
        env={"PYTHONPATH": str(CHECKOUT), **given},
        capture_output=True,
        text=True,
        check=True,
    )
    for line in done.stdout.splitlines():
        command, said, *loaded = line.split(",")
        assert (said, COMMANDS[command] & set(loaded)) == ("True", set()), command
    assert len(done.stdout.splitlines()) == len(COMMANDS)
