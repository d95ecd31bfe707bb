"""The report as a page: complete, offline, safe, deterministic, and drawn by a real browser."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from mlobs_pipelines.destinations.html import render_report, vega_bundle
from mlobs_pipelines.destinations.packing import as_text, unpacked
from mlobs_pipelines.destinations.report_rows import DAY
from tests.destinations.season import SCHEMA, facts, operations, row, season

SCIENCE = ["attention", "timeline", "trends", "months", "slices", "estimates", "reliability"]
SCIENCE += ["drift", "score-drift", "skew", "label-lag", "triangle", "volume"]
OPERATOR = ["open-incidents", "budgets", "requests", "awaited", "past-incidents"]
SECTIONS = [*SCIENCE, *OPERATOR]
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


PHONE = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}


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
        self.ids += [given["id"]] if tag == "section" and "id" in given else []
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
    return render_report(facts(), rows, operations())


def specs(html):
    """The chart specifications inside a page, their data still by column."""
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
    assert render_report(facts(), shuffled, operations()) == html


def test_page_stays_small(html):
    """A season of two versions and twenty features takes half a megabyte beside the charts' library."""
    assert len(html.encode()) - len(vega_bundle().encode()) < 500_000


def test_packed_data_unpack_to_the_same_rows():
    """Data by column give the rows back, and cannot end the script element that holds them."""
    rows = [{"v": "</script>&", "y": 1.5, "m": None}, {"v": "b", "y": None, "m": "p"}]
    text = as_text({"mark": "line", "datasets": {"d": rows}})
    assert unpacked(json.loads(text)["datasets"]["d"]) == rows
    assert not set("<>&") & set(text)


def test_operator_sees_budgets_and_incidents(html):
    """Budgets stand worst first with what is left and why; an open incident with suspects and checks."""
    text = Page(html).text
    assert "calibrated Calibration error (ECE), 28 days" in text
    assert "-226 % of the budget left" in text
    assert "drift of weather; with it quality of v1" in text
    assert "Suspects drift of humid (psi 0.01 to 0.4 since 2013-04-06) Signal" in text
    assert "PSI of humid v1, 28 days 0.4 is above 0.25 2013-04-06, 69 days metrics/drift" in text
    assert "flight_delays-20130703-f75bcb ticket 2013-07-03 \N{EN DASH} 2013-07-31" in text


def test_page_can_be_walked_without_a_mouse_or_eyes(html):
    """Headings go down by one, tabs name their panels, each chart has a name, table headers a scope."""
    page = Page(html)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    named = {given["id"] for _, given in page.elements if "id" in given}
    tabs = [given for _, given in page.elements if given.get("role") == "tab"]
    assert [tab["aria-controls"] for tab in tabs] == ["science", "operator"]
    assert {tab["aria-controls"] for tab in tabs} < named
    assert all(given["aria-label"] for _, given in page.elements if given.get("class") == "chart")
    assert all("scope" in given for tag, given in page.elements if tag == "th")


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
    given = {"description": evil, "runbook": "javascript:alert(3)", "model": evil, "owners": (evil,)}
    page = render_report(facts(**given), _table(made), operations(evil))
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
    assert "No incident is open." in page


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


def _opened(browser, path, html):
    from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415 - heavy, only here

    path.write_text(html, encoding="utf-8")
    browser.get(path.as_uri())
    drawn = "return document.body.dataset.charts"
    WebDriverWait(browser, 60).until(lambda page: page.execute_script(drawn))


def test_browser_draws_every_chart_offline(browser, html, tmp_path):
    """Chromium without a network draws each chart as a picture with marks and logs nothing at all."""
    _opened(browser, tmp_path / "a report.html", html)
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('.chart svg')].map(svg => svg.querySelectorAll('path').length)"
    )
    assert len(drawn) == len(specs(html))
    assert min(drawn) > 3
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1280
    _picks_hold_for_lines_and_charts(browser)
    _keys_move_between_the_views(browser)


def _picks_hold_for_lines_and_charts(browser):
    """Without v1 no line, tile or mark of it is left; a chart's numbers are there as a table."""
    lines = "return [...document.querySelectorAll('[data-v=v1]')].filter(one => one.offsetParent).length"
    assert browser.execute_script(lines) > 5
    browser.execute_script("document.querySelector('input[value=v1]').click()")
    assert browser.execute_script(lines) == 0
    browser.execute_script("document.querySelector('#trends details.data summary').click()")
    table = "return [...document.querySelectorAll('#trends .rows tr')].map(one => one.textContent)"
    for _ in range(50):
        if browser.execute_script(table):
            break
    found = browser.execute_script(table)
    assert found[0].startswith("last dayversionvalue95 % from")
    assert all("v2" in line for line in found[1:])
    assert len(found) == 1 + 153


def _keys_move_between_the_views(browser):
    """An arrow key opens the other view, and the address names it."""
    from selenium.webdriver.common.keys import Keys  # noqa: PLC0415 - heavy, only here

    browser.find_element("id", "tab-science").send_keys(Keys.ARROW_RIGHT)
    assert browser.find_element("id", "budgets").is_displayed()
    assert not browser.find_element("id", "attention").is_displayed()
    assert browser.current_url.endswith("#operator")


def test_hostile_names_start_nothing_and_fit(browser, tmp_path):
    """Names that look like markup, run right to left or never end are shown as text on a phone's width."""
    evil = "</script><img src=x onerror=document.title='hit'>"
    names = [
        evil,
        "\u202eelif\u202c \u05e9\u05dc\u05d5\u05dd",
        "a" * 300,
        "=cmd|'/c calc'!A1",
        "\U0001f6eb\u200d\U0001f468",
    ]
    last = facts().last_day
    made = []
    for name in names:
        made.append(row("auc", name, last, 0.5, window="28d", limit=0.65, below=True))
        made.append(row("psi", name, last, 0.5, window="7d", feature=name, limit=0.1))
        given = {"segment": "origin", "segment_value": name}
        made.append(row("auc", name, last, 0.5, window="28d", limit=0.65, below=True, **given))
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    _opened(
        browser, tmp_path / "r.html", render_report(facts(model=evil), _table(made), operations(names[2]))
    )
    assert browser.title.startswith(evil)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE["width"]
    values = "return [...document.querySelectorAll('select[name=segment] option')].map(one => one.value)"
    assert set(browser.execute_script(values)) == {"", *(f"origin = {name}" for name in names)}
