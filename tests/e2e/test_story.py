"""The story as a person lives it: in the browser, from a command to the chart, the Home tab, and a bad night.

Every stage is kept as a picture in the test's folder, to be looked at by people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from deploy.local.kubernetes.faults import Fault
from tests.e2e.browser import DESK, PHONE, chromium, needs_chromium, tab
from tests.e2e.scene import Scene, scene

pytestmark = [pytest.mark.browser, needs_chromium]
expect.set_options(timeout=20_000)
NODES = {
    "node-6": "hostile-names",
    "node-7": "exhausted-by-short-connections",
    "node-8": "healthy",
    "node-9": None,
}
Picture = Callable[[str], object]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path, NODES) as made:
        made.start()
        yield made
        assert made.complaints() == []


@pytest.fixture(params=[(DESK, False), (DESK, True), (PHONE, False)], ids=["desk", "desk, dark", "phone"])
def screen(night: Scene, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Alice's window; nothing in it is complained of."""
    size: ViewportSize
    size, is_dark = request.param
    with tab(browser, f"{night.slack.url}/", size=size, is_dark=is_dark) as watched:
        yield watched.page
        assert watched.complaints == []


@pytest.fixture
def picture(screen: Page, tmp_path: Path) -> Picture:
    """Keeps what is on the screen under a name."""
    return lambda name: screen.screenshot(path=tmp_path / f"{name}.png")


def typed(page: Page, line: str) -> None:
    page.get_by_label("Message", exact=True).press_sequentially(line)
    page.keyboard.press("Enter")


def goes_home(page: Page) -> None:
    if page.get_by_role("button", name="Channels and people").is_visible():
        page.get_by_role("button", name="Channels and people").click()
    page.locator("#open-home").click()


def test_from_a_command_to_the_chart_and_the_home_tab(screen: Page, night: Scene, picture: Picture) -> None:
    log, thread = screen.locator("#log"), screen.locator("#thread")
    night.kubernetes.faults.append(Fault("POST", "/pods", delay_seconds=1.5))
    typed(screen, "/conntrack node-7")
    expect(log.get_by_text("Looking at node-7")).to_be_visible()
    picture("1 looking")
    expect(log.get_by_text("still looking")).to_be_visible()
    picture("2 first answer")
    expect(log.get_by_role("button", name="Look again")).to_be_visible()
    expect(log.get_by_text("node-7 is dropping new connections")).to_be_visible()
    expect(log.get_by_text("Who:")).to_be_visible()
    expect(log.locator(".message.from-app, .message")).to_have_count(1)
    picture("3 card")
    log.get_by_role("button", name="replies").click()
    expect(thread.get_by_text("INC-1-look-1.txt").first).to_be_visible()
    chart = thread.locator("img[alt*='Held by']")
    expect(chart).to_be_visible()
    picture("4 thread")
    chart.scroll_into_view_if_needed()
    assert chart.evaluate("image => image.complete && image.naturalWidth > 600")
    picture("5 chart")
    screen.keyboard.press("Escape")
    goes_home(screen)
    expect(screen.locator("#home").get_by_text("1 open incident")).to_be_visible()
    picture("6 home")


def test_names_that_would_ping_or_break_out_stay_text(screen: Page, night: Scene, picture: Picture) -> None:
    typed(screen, "/conntrack node-6")
    expect(screen.locator("#log").get_by_role("button", name="Look again")).to_be_visible()
    picture("1 card")
    screen.locator("#log").get_by_role("button", name="replies").click()
    expect(screen.locator("#thread").get_by_text("INC-1-look-1.txt").first).to_be_visible()
    picture("2 thread")
    expect(screen.locator("#log .ping, #thread .ping")).to_have_count(0)
    expect(screen).to_have_title("Local Slack")
    assert night.complaints() == []


def test_what_is_well_what_is_not_seen_and_what_is_no_node(screen: Page, picture: Picture) -> None:
    log = screen.locator("#log")
    typed(screen, "/conntrack help")
    expect(log.get_by_text("Only visible to you")).to_be_visible()
    picture("1 help")
    typed(screen, "/conntrack nod-7")
    expect(log.get_by_text("Did you mean")).to_be_visible()
    picture("2 unknown")
    typed(screen, "/conntrack node-8")
    expect(log.get_by_role("button", name="Look again")).to_be_visible()
    picture("3 healthy")
    typed(screen, "/conntrack node-9")
    expect(log.get_by_text("I could not look")).to_be_visible(timeout=40_000)
    picture("4 not seen")
    typed(screen, "/conntrack status")
    expect(log.get_by_text("connections to Slack")).to_be_visible()
    picture("5 status")


def test_a_look_that_a_stop_has_interrupted_says_so(screen: Page, night: Scene, picture: Picture) -> None:
    night.kubernetes.faults.append(Fault("POST", "/pods", delay_seconds=4.0))
    typed(screen, "/conntrack node-7")
    expect(screen.locator("#log").get_by_text("Looking at node-7")).to_be_visible()
    assert night.bots[-1].stop() == 0
    expect(screen.locator("#log").get_by_text("the look was interrupted")).to_be_visible()
    expect(screen.locator("#log").get_by_text("Looking at")).to_have_count(0)
    picture("1 interrupted")
