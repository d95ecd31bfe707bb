"""A real installation: what an engineer does in its pages, and what it survives."""

import shutil
from datetime import date

import pytest

from mlobs_pipelines.defs.jobs import range_tags
from tests.destinations.test_html import CHROMIUM, DRIVER, FLAGS
from tests.installed.installation import MODEL, Installation
from tests.installed.lakes import WALK, contents, land, restore, undisturbed
from tests.installed.uses import SCHEDULE, Pages, backfill_it, review_it, schedule_it, watch_it

FIRST, LAST = date(2013, 6, 25), date(2013, 6, 26)  # the last day's delivery breaks its contract


@pytest.fixture(scope="module")
def landing(history, tmp_path_factory):
    """Give two landed days."""
    root = tmp_path_factory.mktemp("landing")
    return land(history, root, (FIRST, LAST), share=0.02, incidents=["renamed-column"])


@pytest.fixture(scope="module")
def reference(landing, tmp_path_factory):
    """Give the lake of a walk that nothing disturbed."""
    return undisturbed(tmp_path_factory.mktemp("reference"), landing, FIRST, LAST)


@pytest.fixture(scope="module")
def plant(landing, tmp_path_factory):
    """Give a running installation; its processes end with the module."""
    made = Installation(tmp_path_factory.mktemp("plant"), landing)
    with made.running("code-server", "webserver", "daemon"):
        yield made


@pytest.fixture
def pages(plant, tmp_path, pytestconfig):
    """Give the installation's pages in a headless Chromium."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and chromedriver: apt-get install chromium chromium-driver")
    from selenium import webdriver  # noqa: PLC0415 - heavy, and only this fixture needs it

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, "--window-size=1600,900", f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield Pages(browser, f"http://127.0.0.1:{plant.ports['webserver']}", tmp_path)
    finally:
        browser.quit()
    kept = pytestconfig.getoption("--pictures")
    for picture in tmp_path.glob("*.png") if kept else ():
        shutil.copy(picture, kept)


def test_the_three_uses_in_the_pages(plant, reference, pages):
    """A schedule is turned off and on, a window is backfilled, and a failed check shows its evidence."""
    restore(plant.home, reference)
    schedule_it(pages, on=False)
    assert plant.schedule(SCHEDULE) == "STOPPED"
    schedule_it(pages, on=True)
    assert plant.schedule(SCHEDULE) == "RUNNING"
    backfill_it(pages, FIRST, LAST)
    backfill = plant.wait(plant.newest_backfill, "a backfill", 120)
    watch_it(pages, backfill, lambda: plant.filled(backfill))
    assert contents(plant.home) == contents(reference)
    said = review_it(pages, "predictions", "contract", LAST)
    assert "missing columns: score" in said


@pytest.mark.parametrize("victims", [("worker", "code-server", "daemon"), ("postgres",)])
def test_the_walk_survives_a_kill(plant, reference, victims):
    """After kill -9 and a restart, the run or its retry ends with the tables of an undisturbed run."""
    restore(plant.home, reference)
    run = plant.launch(WALK, range_tags(FIRST, LAST))
    middle = plant.home / "lake" / MODEL / "prediction_log" / "_delta_log"
    plant.wait(middle.exists, "a table in the middle of the walk is written", 300)
    for victim in victims:
        plant.kill(victim)
    plant.start(*(one for one in victims if one != "worker"))
    statuses = plant.ended(run)
    assert statuses[-1] == "SUCCESS", statuses
    assert "worker" not in victims or statuses[0] == "FAILURE"
    assert contents(plant.home) == contents(reference)
