"""How long Dagster's servers and pages take with many models: code server, webserver, and pages in Chromium.

The models of `definitions.py`, each with a year of daily partitions of which one model's have been made. A
page counts as there when it shows what one comes for. Needs Chromium and chromedriver.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from definitions import folders

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

PATIENCE_S = 120
FIRST, DAYS = date(2013, 2, 1), 365
BIN = Path(sys.executable).parent
METRICS = "/assets/model_00/metrics"


def main() -> None:
    """Start the servers, open the pages, and print the times."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", type=int, default=50)
    options.add_argument("--pictures", type=Path, help="keep a picture of each page there")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        folders(home / "contracts", asked.models)
        environment = _environment(home)
        _fill(environment)
        with _servers(home, environment) as address:
            for page, seconds in _pages(address, asked.models, asked.pictures):
                print(f"{page:44} {seconds:6.1f} s")


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLOBS_", "DAGSTER_"))}  # noqa: TID251 - children's
    (home / "dagster").mkdir()
    shutil.copy(Path(__file__).parents[1] / "dagster.yaml", home / "dagster")
    given = {"DAGSTER_HOME": home / "dagster", "MLOBS_HOME": home, "MLOBS_CONTRACTS": home / "contracts"}
    return kept | {name: str(value) for name, value in given.items()}


def _fill(environment: dict[str, str]) -> None:
    """Say of the first model that all its days were measured."""
    days = [str(FIRST + timedelta(days=day)) for day in range(DAYS)]
    code = (
        "import dagster as dg, json, sys\n"
        "with dg.DagsterInstance.get() as opened:\n"
        "    for name in ('predictions', 'prediction_log', 'statistics', 'metrics'):\n"
        "        for day in json.loads(sys.argv[1]):\n"
        "            made = dg.AssetMaterialization(['model_00', name], partition=day)\n"
        "            opened.report_runless_asset_event(made)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(days).replace("'", '"')], env=environment, check=True)


@contextmanager
def _servers(home: Path, environment: dict[str, str]) -> Iterator[str]:
    code, web = _port(), _port()
    server = {"host": "127.0.0.1", "port": code, "location_name": "mlobs"}
    (home / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    listen = ("-h", "127.0.0.1", "-p")
    commands = {
        "code server": ("dagster", "api", "grpc", *listen, str(code), "-m", "mlobs_pipelines.definitions"),
        "webserver": ("dagster-webserver", *listen, str(web), "-w", str(home / "workspace.yaml")),
    }
    with ExitStack() as stack:
        for (what, (program, *rest)), port in zip(commands.items(), (code, web), strict=True):
            started = time.perf_counter()
            quiet = subprocess.DEVNULL
            process = subprocess.Popen([BIN / program, *rest], env=environment, stdout=quiet, stderr=quiet)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            _wait(lambda port=port: _listens(port), what)
            print(f"{what + ' answers':44} {time.perf_counter() - started:6.1f} s")
        yield f"http://127.0.0.1:{web}"


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(until: Callable[[], object], what: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not until():
        if time.monotonic() > ends:
            sys.exit(f"no {what} within {PATIENCE_S} s")
        time.sleep(0.05)


def _pages(address: str, models: int, pictures: Path | None) -> Iterator[tuple[str, float]]:
    """Open each page, twice, and take the time until it says what one comes for."""
    with _browser() as driver:
        for page, (path, texts) in _wanted(f"model_{models - 1:02d}").items():
            for which in ("first", "again"):
                started = time.perf_counter()
                driver.get(address + path)
                _wait(lambda texts=texts: _says(driver, texts), page)
                yield f"{page}, {which}", time.perf_counter() - started
            if pictures:
                time.sleep(2)
                driver.save_screenshot(str(pictures / f"{page.replace(' ', '-')}.png"))


def _wanted(last: str) -> dict[str, tuple[str, list[str]]]:
    """Give path and texts of each page."""
    return {
        "all jobs": ("/jobs", ["model_00_daily"]),
        "all schedules and sensors": ("/automation", ["model_00_ingest_schedule", "Scheduled"]),
        "all assets": ("/assets", ["model_00", "Never materialized"]),
        "the graph of all models": ("/asset-groups", ["Global asset lineage", "model_00"]),
        "a model's graph": (f"/locations/mlobs/asset-groups/{last}", ["statistics", "slo_status"]),
        "a year of an asset's partitions": (f"{METRICS}?view=partitions", ["Materialized (365)"]),
        "an asset's checks": (f"{METRICS}?view=checks", ["calibration", "Not Evaluated"]),
        "a job": (f"/locations/mlobs/jobs/{last}_daily", ["statistics", "The whole"]),
    }


@contextmanager
def _browser() -> Iterator["WebDriver"]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1600,1000"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def _says(driver: "WebDriver", texts: list[str]) -> bool:
    said = driver.find_element("tag name", "body").text
    return all(text in said for text in texts)


if __name__ == "__main__":
    main()
