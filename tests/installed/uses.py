"""What an engineer does in Dagster's pages: turn a schedule on, backfill a window, read a failed check."""

import time

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.installed.installation import MODEL

PATIENCE_S = 240
SCHEDULE = f"{MODEL}_ingest_schedule"


class Pages:
    """Dagster's pages in a browser; every step that is worth a picture is kept in `pictures`."""

    def __init__(self, browser, base, pictures):
        self.browser, self.base, self.pictures = browser, base, pictures

    def open(self, path):
        """Go to a page, unless it is the one that is open: loading Dagster's takes seconds."""
        if self.browser.current_url != self.base + path:
            self.browser.get(self.base + path)

    def find(self, xpath):
        """Wait for something that is shown."""
        found = WebDriverWait(self.browser, PATIENCE_S, 0.5).until(
            lambda page: [one for one in page.find_elements(By.XPATH, xpath) if one.is_displayed()]
        )
        return found[0]

    def button(self, text):
        """Wait for a button that can be pressed."""
        xpath = f"//button[not(@disabled)][contains(., '{text}')]"
        return self.find(xpath)

    def until(self, *texts):
        """Wait until the page says all of it."""
        WebDriverWait(self.browser, PATIENCE_S, 0.5).until(
            lambda _: all(text in self.said() for text in texts)
        )

    def said(self):
        """Give what the page says."""
        return self.browser.find_element(By.TAG_NAME, "body").text

    def keep(self, name):
        """Take a picture once the page has settled."""
        time.sleep(1)
        self.browser.save_screenshot(str(self.pictures / f"{name}.png"))


def schedule_it(pages, *, on):
    """Turn the schedule of ingestion on or off on its page."""
    pages.open(f"/locations/mlobs/schedules/{SCHEDULE}")
    pages.until("Running", "Next tick" if not on else SCHEDULE)
    switch = WebDriverWait(pages.browser, PATIENCE_S).until(
        lambda page: page.find_elements(By.XPATH, "//tr[contains(., 'Running')]//input[@type='checkbox']")
    )[0]
    pages.browser.execute_script("arguments[0].click()", switch)
    pages.until(*(("Next tick",) if on else ()))
    pages.keep("schedule")


def backfill_it(pages, first, last):
    """Launch the walk of a window from the job's page."""
    pages.open(f"/locations/mlobs/jobs/{MODEL}_daily")
    pages.button("Materialize all").click()
    asked = pages.find("//button[contains(., 'Confirm')] | //input[contains(@placeholder, 'ex: ')]")
    if asked.tag_name == "button":  # the baseline is older than this instance
        asked.click()
    days = pages.find("//input[contains(@placeholder, 'ex: ')]")
    days.send_keys(f"[{first}...{last}]", Keys.TAB)
    pages.keep("backfill-window")
    pages.button("Launch").click()


def watch_it(pages, backfill, ended):
    """Open a backfill's page while it runs, and read there that it has completed once it has ended."""
    pages.open(f"/runs/b/{backfill}")
    pages.until(backfill)
    ended()  # reading the page all the while would cost more than the backfill
    pages.until(backfill, "100% completed", "Succeeded")
    pages.keep("backfill-completed")


def review_it(pages, asset, check, day):
    """Open the evidence of a check of one day; give what the page says."""
    pages.open(f"/assets/{MODEL}/{asset}?view=checks&checkDetail={check}")
    pages.until(check, "Failed", str(day))
    pages.keep("failed-check")
    return pages.said()
