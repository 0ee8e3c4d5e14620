"""The page at `/`, in a real browser: rows, one entity, the log as it grows, search; hostile names stay text."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from conftest import Site
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE_SECONDS = 20
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>&amp;\"'"
PROJECT = {"type": "Project", "id": 1}


def needed(program: str) -> str:
    found = shutil.which(program)
    if found is None and "CI" in os.environ:
        pytest.fail(f"{program} is not installed; tests/install-debian installs it")
    if found is None:
        pytest.skip(f"{program} is not installed: apt-get install chromium chromium-driver")
    return found


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = needed("chromium")
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
                 "disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1200,900"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chrome')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(needed("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """The page of a site in a browser."""

    def __init__(self, chrome: webdriver.Chrome, site: Site) -> None:
        self.chrome = chrome
        self.site = site
        chrome.get("about:blank")
        chrome.get_log("browser")
        self.go("#/events")

    def go(self, place: str) -> None:
        self.chrome.get(f"{self.site.url}/{place}")

    def until(self, holds):
        return WebDriverWait(self.chrome, PATIENCE_SECONDS, 0.1).until(lambda _: holds())

    def all(self, css: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)"
        return self.chrome.execute_script(script, css)

    def titled(self, title: str) -> None:
        self.until(lambda: self.texts("h1") == [title])

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.chrome.get_log("browser")]


@pytest.fixture
def page(chrome: webdriver.Chrome, show: Site) -> Iterator[Page]:
    page = Page(chrome, show)
    page.titled("Event log")
    yield page
    assert page.complaints() == []


def ids(page: Page) -> list[int]:
    return [int(text) for text in page.texts("main tbody tr > td.id")]


def test_the_log_is_shown_newest_first_and_pages_go_back(page: Page) -> None:
    truth = sorted(page.site.truth(), reverse=True)
    assert ids(page) == truth[:50]
    page.chrome.find_element(By.ID, "older").click()
    page.until(lambda: ids(page) == truth[50:100])
    page.chrome.back()
    page.until(lambda: ids(page) == truth[:50])


def test_new_events_appear_by_themselves_and_late_ones_in_their_place(page: Page) -> None:
    page.site.order("jump", by=1)
    page.site.order("bulk", count=2)
    newest = page.site.truth()[-1]
    page.until(lambda: ids(page)[:2] == [newest, newest - 1])
    assert len(ids(page)) == 50


def test_a_change_of_a_state_is_seen_in_the_history_and_by_the_api(page: Page) -> None:
    sg = page.site.connect()
    person = Select(page.chrome.find_element(By.ID, "person"))
    person.select_by_visible_text("Eva Novak")
    task = sg.find_one("Task", [["sg_status_list", "is", "rdy"]], ["content"])
    page.go(f"#/entity/Task/{task['id']}")
    page.titled(f"Task {task['id']}: {task['content']}")
    before = ids(page)
    Select(page.until(lambda: page.chrome.find_element(By.ID, "set-sg_status_list"))).select_by_value("ip")
    page.until(lambda: len(ids(page)) > len(before))
    event = sg.find_one("EventLogEntry", [["entity", "is", task]], ["user", "meta"], order=[{"field_name": "id", "direction": "desc"}])
    assert ids(page)[0] == event["id"]
    assert "sg_status_list: rdy → ip" in page.texts("main tbody tr > td summary")[0]
    assert event["user"]["name"] == "Eva Novak"
    assert event["meta"]["new_value"] == "ip"
    assert sg.find_one("Task", [["id", "is", task["id"]]], ["sg_status_list"])["sg_status_list"] == "ip"


def test_a_change_that_is_made_elsewhere_appears(page: Page) -> None:
    sg = page.site.connect()
    page.go("#/entity/Shot/1")
    page.titled("Shot 1: bunny_010_010")
    sg.update("Shot", 1, {"description": "seen at once"})
    page.until(lambda: page.texts("tr[data-field=description] td") == ["seen at once"])
    sg.delete("Shot", 1)
    page.chrome.refresh()
    page.until(lambda: page.texts(".bad")[:1] == ["deleted"])


def test_rows_have_pages_columns_and_an_order(page: Page) -> None:
    sg = page.site.connect()
    sg.batch([{"request_type": "create", "entity_type": "Asset", "data": {"code": f"thing {n:03}", "project": PROJECT}} for n in range(70)])
    page.go("#/type/Asset")
    page.titled("Asset")
    assert page.texts("#count") == ["73 rows, page 1 of 2"]
    page.chrome.find_element(By.ID, "after").click()
    page.until(lambda: page.texts("#count") == ["73 rows, page 2 of 2"])
    assert len(ids(page)) == 23
    page.go("#/type/Asset?columns=code,sg_asset_type")
    page.until(lambda: page.texts("thead th") == ["Id", "Asset Name", "Type"])
    page.all("thead th button")[1].click()
    page.until(lambda: page.texts("thead th")[1] == "Asset Name ↑")
    page.all("thead th button")[1].click()
    page.until(lambda: page.texts("tbody tr td:nth-child(2)")[:2] == ["tree", "thing 069"])
    page.all("details.columns summary")[0].click()
    box = page.chrome.find_element(By.CSS_SELECTOR, "details.columns input[value=sg_asset_type]")
    box.click()
    page.all("details.columns button")[0].click()
    page.until(lambda: page.texts("thead th") == ["Id", "Asset Name ↓"])


def test_it_is_used_without_a_mouse(page: Page) -> None:
    ActionChains(page.chrome).send_keys("/").perform()
    assert page.chrome.switch_to.active_element.get_attribute("id") == "text"
    ActionChains(page.chrome).send_keys("bunny_020", Keys.ENTER).perform()
    page.titled("Found: bunny_020")
    assert page.texts("#count") == ["5 names"]
    # What was found comes next after the content was reached.
    assert page.chrome.switch_to.active_element.tag_name == "main"
    ActionChains(page.chrome).send_keys(Keys.TAB).perform()
    assert page.chrome.switch_to.active_element.text.startswith("bunny_020")
    ActionChains(page.chrome).send_keys(Keys.ENTER).perform()
    page.titled("Sequence 2: bunny_020")


def test_a_search_that_is_too_short_is_told_so(page: Page) -> None:
    page.go("#/search/ab")
    page.until(lambda: "3 characters" in page.texts("#said")[0])


def test_hostile_names_stay_text(page: Page) -> None:
    sg = page.site.connect()
    shot = sg.create("Shot", {"code": HOSTILE, "description": HOSTILE, "project": PROJECT})
    sg.create("Task", {"content": HOSTILE, "project": PROJECT, "entity": shot})
    sg.create("EventLogEntry", {"event_type": HOSTILE, "description": HOSTILE, "meta": {HOSTILE: HOSTILE}, "project": PROJECT})
    sg.update("HumanUser", 1, {"name": HOSTILE, "firstname": HOSTILE, "lastname": ""})
    sg.update("Shot", 2, {"sg_turnover": HOSTILE})
    sg.create("Version", {"code": "v", "project": PROJECT, "sg_uploaded_movie": {"url": "javascript:document.title='owned'", "name": HOSTILE}})
    for place, shows in [
        ("#/events", "td"), (f"#/entity/Shot/{shot['id']}", "h1"), ("#/type/Shot", "td"), ("#/entity/HumanUser/1", "h1"),
        ("#/type/Version?columns=code,sg_uploaded_movie", "td"), ("#/search/onerror", "td"),
    ]:
        page.go(place)
        page.chrome.refresh()
        page.until(lambda: any("onerror" in text for text in page.texts(shows)), )  # noqa: B023
        assert page.all("main img, main script") == []
        assert not any((link.get_attribute("href") or "").startswith("javascript:") for link in page.all("a"))
        assert page.chrome.title != "owned"
    assert HOSTILE in page.texts("#person option")[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_day_and_night_are_readable(page: Page, scheme: str) -> None:
    page.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    script = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    ink, ground = (contrast(color) for color in page.chrome.execute_script(script))
    assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) > 7
    assert (ink > ground) == (scheme == "dark")


def contrast(color: str) -> float:
    """The relative luminance of `rgb(1, 2, 3)`, as WCAG defines it."""
    parts = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_other_pages_cannot_call_in_the_name_of_a_person(show: Site) -> None:
    body = b'{"method_name": "read", "params": [{"person": 1}, {"type": "Task"}]}'
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(f"{show.url}/_sandbox/call", body, method="POST"), timeout=10)
    assert refused.value.code == 404


def test_the_log_of_a_restored_site_is_the_one_that_it_has(page: Page) -> None:
    page.until(lambda: ids(page))
    newest = ids(page)[0]
    page.site.order("restore", to=newest - 20)
    page.until(lambda: ids(page)[0] == newest - 20)
    page.site.connect().create("EventLogEntry", {"event_type": "Studio_Test_Done", "project": PROJECT})
    page.until(lambda: ids(page)[0] == newest - 19)
    assert "Studio_Test_Done" in page.texts("tbody tr td")


@pytest.mark.parametrize(("place", "words"), [("#/type/Nope", "There is no type Nope."), ("#/nowhere", "There is no such page.")])
def test_an_address_that_leads_nowhere_says_so(page: Page, place: str, words: str) -> None:
    page.go(place)
    page.titled("Nothing here")
    assert words in page.texts("main p")
