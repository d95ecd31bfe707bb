"""The report as a page: complete, offline, safe, deterministic, and drawn by a real browser."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from mlobs_pipelines.destinations.html import render_report
from mlobs_pipelines.destinations.report_rows import DAY
from tests.destinations.season import SCHEMA, facts, row, season

SECTIONS = ["attention", "timeline", "trends", "months", "reliability"]
SECTIONS += ["drift", "score-drift", "skew", "label-lag", "triangle", "volume"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
)


class Page(HTMLParser):
    """Elements, section ids and text of a page, as a browser would find them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.ids, self.words, self.within = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Remember the element."""
        given = dict(attrs)
        self.elements.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        self.within = tag

    def handle_data(self, data):
        """Remember what a reader sees."""
        if self.within not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self):
        """All visible text."""
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def rows():
    """Sixty days are enough for every section."""
    return season()


@pytest.fixture(scope="module")
def html(rows):
    """The report of the invented season."""
    return render_report(facts(), rows)


def specs(html):
    """The chart specifications inside a page."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return [json.loads(text) for text in found]


def test_every_section_is_there_in_order(html):
    """The page holds all its sections, each with a sentence on how to read it."""
    page = Page(html)
    assert page.ids == SECTIONS
    assert html.count('class="read"') >= len(SECTIONS)


def test_nothing_is_loaded_from_anywhere(html):
    """No element, style or chart names a resource outside of the file, and the browser may load none."""
    page = Page(html)
    loaded = [given for _, given in page.elements if {"src", "srcset", "poster", "data"} & set(given)]
    assert not loaded
    assert not [
        tag for tag, _ in page.elements if tag in {"link", "img", "iframe", "object", "embed", "base"}
    ]
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in json.dumps(specs(html))
    assert "default-src 'none'" in html


def test_same_input_gives_the_same_bytes(rows, html):
    """Rendering again, and from rows in another order, gives the identical page."""
    shuffled = rows.take(list(range(rows.num_rows - 1, -1, -1)))
    assert render_report(facts(), shuffled) == html


def test_page_stays_small(html):
    """A season of two versions and twenty features fits in three megabytes."""
    assert len(html.encode()) < 3_000_000


def test_failing_days_are_one_line(html):
    """Consecutive failing days of one check stand in one line with their worst value."""
    text = Page(html).text
    assert "2013-06-10 \N{EN DASH} 2013-06-14 5 days" in text
    assert "46.0 h ≤ 24 h" in text


def test_limits_show_their_direction(html):
    """A limit says on which side of it a value passes."""
    text = Page(html).text
    assert "≥ 90 %" in text
    assert "≤ 0.05" in text


def test_markup_in_values_stays_text():
    """A segment, feature, version or reason that looks like markup is shown as text and starts nothing."""
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    given = {"segment": "origin", "segment_value": evil, "reason": evil}
    made = [
        row("auc", "v1", facts().last_day, 0.5, window="28d", limit=0.65, below=True, **given),
        row("auc", evil, facts().last_day, 0.5, window="28d", limit=0.65, below=True),
        row("psi", "v1", facts().last_day, 0.5, window="7d", feature=evil),
    ]
    page = render_report(facts(description=evil, runbook="javascript:alert(3)"), _table(made))
    found = Page(page).elements
    assert "alert(1)</script>" not in page
    assert not [tag for tag, given in found if tag == "img" or {"onerror", "src"} & set(given)]
    assert not [given for tag, given in found if given.get("href", "").startswith("javascript")]
    assert "&lt;img src=x" in page


def test_no_rows_say_what_to_run():
    """A model without metrics gets a small page with the commands that measure it."""
    page = render_report(facts(), SCHEMA.empty_table())
    assert Page(page).ids == ["empty"]
    assert "mlobs backfill flight_delays --from 2013-03-01 --to 2013-07-31" in page
    assert len(page) < 20_000


def test_sparse_rows_leave_sections_that_say_so():
    """With one metric only, every other section says that it has nothing to show."""
    page = render_report(facts(), _table([row("auc", "v1", facts().last_day, 0.7, window="28d")]))
    assert Page(page).ids == SECTIONS
    assert "No objective judges a metric of this model." in page
    assert len(specs(page)) == 1


def test_undefined_numbers_are_dashes_not_inventions():
    """A check without a value shows a dash and its reason."""
    made = row(
        "auc",
        "v1",
        facts().last_day,
        None,
        window="28d",
        verdict="undecided",
        threshold=0.65,
        reason="few rows",
    )
    text = Page(render_report(facts(), _table([made]))).text
    assert "1 undecided check" in text
    assert "\N{EN DASH} ≥ 0.65" in text
    assert "nan" not in text.lower()


def test_undecided_days_that_are_over_are_counted_not_listed():
    """A check that was undecided on earlier days only takes no line of its own, but the page counts it."""
    last = facts().last_day
    given = {"verdict": "undecided", "threshold": 0.65, "reason": "half a window", "window": "28d"}
    over = row("auc", "v1", last - DAY, None, **given)
    still = row("ece", "v1", last, None, **given)
    text = Page(render_report(facts(), _table([over, still]))).text
    assert "1 undecided check on the newest day" in text
    assert "1 check was undecided on earlier days only" in text
    assert text.count("half a window") == 1


def test_trend_uses_the_window_that_is_judged(html):
    """A trend shows the window that an objective judges."""
    assert "Calibration error (ECE), 28 days" in Page(html).text


def _table(made):
    import pyarrow as pa  # noqa: PLC0415 - only where a test builds its own rows

    return pa.Table.from_pylist(made, schema=SCHEMA)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium without a network."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and chromedriver: apt-get install chromium chromium-driver")
    from selenium import webdriver  # noqa: PLC0415 - heavy, and only this fixture needs it

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield driver
    driver.quit()


def test_browser_draws_every_chart_offline(browser, html, tmp_path):
    """Chromium without a network draws each chart as a picture with marks and logs nothing at all."""
    from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415 - heavy, only here

    path = tmp_path / "a report.html"
    path.write_text(html, encoding="utf-8")
    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(lambda page: page.execute_script("return document.body.dataset.charts"))
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('.chart svg')].map(svg => svg.querySelectorAll('path').length)"
    )
    assert len(drawn) == len(specs(html))
    assert min(drawn) > 3
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1280
