"""The page, used as a person uses it: with a keyboard and a pointer, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from deploy.local.slack.running import LocalSlack, running
from tests.e2e.browser import PHONE, Watched, chromium, needs_chromium, tab
from tests.e2e.small_bot import small_bot

pytestmark = [
    pytest.mark.browser,
    needs_chromium,
    # slack_sdk leaves a socket to the garbage collector where a connection breaks while it opens.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with running(limits_rates=False) as local, small_bot(local):
        yield local


@pytest.fixture
def watched(slack: LocalSlack, browser: Browser) -> Iterator[Watched]:
    """Alice's window; whatever a test does there, nothing is complained of and nothing leaves the machine."""
    with tab(browser, f"{slack.url}/") as one:
        yield one
        assert one.complaints == []
        assert {address for address in one.asked if not address.startswith(slack.url)} == set()


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def typed(page: Page, line: str) -> None:
    """Letter by letter, and Enter."""
    page.get_by_label("Message", exact=True).press_sequentially(line)
    page.keyboard.press("Enter")


def asked_about(page: Page, node: str = "node-7") -> None:
    """The card is there, finished."""
    typed(page, f"/conntrack {node}")
    expect(page.locator("#log").get_by_text(f"{node} is full")).to_be_visible()


def as_(page: Page, name: str) -> None:
    page.locator("#people").get_by_role("button", name=name).click()
    expect(page.locator("#people").get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")


def test_an_empty_channel_says_what_to_try_and_one_click_and_enter_try_it(page: Page) -> None:
    page.get_by_role("button", name="/conntrack node-7").click()
    page.keyboard.press("Enter")
    expect(page.locator("#log").get_by_text("node-7 is full")).to_be_visible()
    expect(page.locator("#log .message")).to_have_count(1)
    expect(page.locator("#log .edited")).to_be_visible()


def test_typing_a_slash_suggests_the_command(page: Page) -> None:
    field = page.get_by_label("Message", exact=True)
    field.press_sequentially("/con")
    expect(page.get_by_role("option", name="/conntrack")).to_be_visible()
    page.keyboard.press("Tab")
    expect(field).to_have_value("/conntrack ")


def test_a_mention_is_suggested_and_answered_in_the_thread(page: Page) -> None:
    field = page.get_by_label("Message", exact=True)
    field.press_sequentially("@conn")
    page.keyboard.press("Enter")
    expect(field).to_have_value("@conntrack ")
    typed(page, "hello")
    page.get_by_role("button", name="1 reply").click()
    expect(page.locator("#thread").get_by_text("You called?")).to_be_visible()


def test_a_thread_shows_replies_a_picture_and_a_text_file(page: Page) -> None:
    asked_about(page)
    page.get_by_role("button", name="3 replies").click()
    thread = page.locator("#thread")
    expect(thread.get_by_text("tells nothing")).to_be_visible()
    expect(thread.get_by_role("button", name="Reply in thread")).to_have_count(0)
    thread.get_by_alt_text("a chart").click()
    expect(page.locator("#zoom img")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#zoom")).to_be_hidden()
    thread.get_by_text("raw.txt").first.click()
    expect(thread.locator("pre", has_text="8000")).to_be_visible()


def test_a_reply_goes_into_the_thread_only(page: Page) -> None:
    asked_about(page)
    page.get_by_role("button", name="3 replies").click()
    page.get_by_label("Reply", exact=True).press_sequentially("thanks")
    page.keyboard.press("Enter")
    expect(page.locator("#thread").get_by_text("thanks")).to_be_visible()
    expect(page.locator("#log").get_by_text("thanks")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#thread")).to_be_hidden()


def test_a_button_asks_first_and_acts_only_when_confirmed(page: Page, slack: LocalSlack) -> None:
    asked_about(page)
    button = page.locator("#log").get_by_role("button", name="Look again")
    button.click()
    page.locator("#confirm").get_by_role("button", name="No", exact=True).click()
    assert [one for one in slack.deliveries() if one["type"] == "interactive"] == []
    as_(page, "dan")
    button.click()
    page.locator("#confirm").get_by_role("button", name="Look", exact=True).click()
    expect(page.locator("#log").get_by_text("looked again, asked by @dan")).to_be_visible()


def test_a_modal_shows_an_error_keeps_what_was_typed_and_then_closes(page: Page) -> None:
    typed(page, "all is slow")
    message = page.locator("#log .message", has_text="all is slow")
    message.hover()
    message.get_by_role("button", name="Diagnose this alert").click()
    modal = page.locator("#modal")
    modal.get_by_label("Node").fill("toaster")
    modal.get_by_role("button", name="Diagnose").click()
    expect(modal.get_by_text("I don't know a node toaster.")).to_be_visible()
    expect(modal.get_by_label("Node")).to_have_value("toaster")
    modal.get_by_label("Node").fill("node-7")
    page.keyboard.press("Enter")
    expect(modal).to_be_hidden()
    expect(page.locator("#log").get_by_text("Diagnosing node-7")).to_be_visible()


def test_a_modal_that_is_not_filled_in_says_so_and_escape_closes_it(page: Page) -> None:
    typed(page, "all is slow")
    page.locator("#log .message").hover()
    page.get_by_role("button", name="Diagnose this alert").click()
    page.locator("#modal").get_by_role("button", name="Diagnose").click()
    expect(page.locator("#modal").get_by_text("Please complete this required field.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#modal")).to_be_hidden()


def test_the_home_tab_is_each_persons_own(page: Page) -> None:
    page.locator("#open-home").click()
    expect(page.locator("#home").get_by_text("Incidents of @alice")).to_be_visible()
    as_(page, "bob")
    expect(page.locator("#home").get_by_text("Incidents of @bob")).to_be_visible()


def test_a_whisper_is_seen_by_nobody_else(page: Page) -> None:
    typed(page, "/conntrack secret")
    expect(page.locator("#log").get_by_text("between us")).to_be_visible()
    expect(page.get_by_text("Only visible to you")).to_be_visible()
    as_(page, "bob")
    expect(page.locator("#log .empty")).to_be_visible()
    expect(page.get_by_text("between us")).to_have_count(0)


def test_hostile_text_stays_text(page: Page) -> None:
    asked_about(page, "<b>node</b>")
    expect(page.locator("#log").get_by_text("<img src=x onerror=document.title='owned'> <!channel>")).to_be_visible()
    expect(page.locator("#log .ping")).to_have_count(0)
    expect(page.locator("#log b")).to_have_count(0)
    expect(page).to_have_title("Local Slack")


def test_what_was_said_elsewhere_is_counted_until_it_is_read(page: Page, slack: LocalSlack) -> None:
    slack.as_("bob").say("psst", "sre-private")
    place = page.locator("#channels").get_by_role("button", name="sre-private")
    expect(place.locator(".count")).to_have_text("1")
    place.click()
    expect(page.locator("#log").get_by_text("psst")).to_be_visible()
    expect(place.locator(".count")).to_have_count(0)


def test_eve_is_taken_to_the_channel_she_is_in(page: Page) -> None:
    as_(page, "eve")
    expect(page.get_by_role("heading", name="# partners")).to_be_visible()
    expect(page.locator("#channels .place")).to_have_count(1)


def test_the_x_ray_shows_envelopes_and_calls_with_their_times(page: Page) -> None:
    page.get_by_role("button", name="X-ray", exact=True).click()
    asked_about(page)
    rows = page.locator("#xray li")
    command = rows.filter(has_text="slash_commands /conntrack node-7")
    expect(command).to_contain_text(re.compile(r"acked\d+ ms"))
    expect(rows.filter(has_text="chat.update")).to_contain_text(re.compile(r"ok\d+ ms"))
    command.locator("summary").click()
    expect(command.locator("pre")).to_contain_text('"command": "/conntrack"')
    page.get_by_label("Filter").fill("no such call")
    expect(command).to_be_hidden()


def test_a_command_in_a_thread_is_refused_with_what_to_do_instead(page: Page) -> None:
    asked_about(page)
    page.get_by_role("button", name="3 replies").click()
    page.get_by_label("Reply", exact=True).press_sequentially("/conntrack node-7")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("Ask @conntrack node-7 instead")
    expect(page.get_by_label("Reply", exact=True)).to_have_value("/conntrack node-7")


def test_an_alert_can_be_posted_and_brings_its_shortcut(page: Page) -> None:
    page.get_by_role("button", name="Post an alert").click()
    expect(page.locator("#log .attachment")).to_contain_text("node-7")
    expect(page.locator("#log").get_by_role("button", name="Diagnose this alert")).to_have_count(1)


def test_a_reader_who_opened_a_file_keeps_it_open_when_the_message_changes(page: Page, slack: LocalSlack) -> None:
    asked_about(page)
    page.get_by_role("button", name="3 replies").click()
    page.locator("#thread").get_by_text("raw.txt").first.click()
    slack.as_("dan").say("me too", thread=page.locator("#thread .message").first.get_attribute("data-ts") or "")
    expect(page.locator("#thread").get_by_text("me too")).to_be_visible()
    expect(page.locator("#thread pre", has_text="8000")).to_be_visible()


def test_what_is_new_is_read_from_its_beginning(page: Page, slack: LocalSlack) -> None:
    for number in range(30):
        slack.as_("dan").say(f"line {number}")
    page.reload()
    expect(page.locator("#log").get_by_text("line 29")).to_be_in_viewport()
    slack.as_("dan").say("begins here\n" + "and goes on\n" * 80 + "ends here")
    expect(page.locator("#log").get_by_text("begins here")).to_be_in_viewport()
    expect(page.locator("#log").get_by_text("ends here")).not_to_be_in_viewport()


def test_the_end_stays_in_sight_when_a_thread_opens_beside_it(page: Page, slack: LocalSlack) -> None:
    for number in range(30):
        slack.as_("dan").say(f"line {number}: " + "a sentence that is long enough for a second line " * 3)
    page.reload()
    last = page.locator("#log .message", has_text="line 29")
    expect(last).to_be_in_viewport()
    last.hover()
    last.get_by_role("button", name="Reply in thread").click()
    expect(page.locator("#thread").get_by_text("line 29")).to_be_visible()
    expect(last).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(slack: LocalSlack, browser: Browser, *, is_dark: bool) -> None:
    with tab(browser, slack.url, size=PHONE, is_dark=is_dark) as watched:
        page = watched.page
        asked_about(page, "node-with-a-name-that-is-far-too-long-for-the-screen-of-any-phone-there-is")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate("document.querySelector('#log').scrollWidth") <= PHONE["width"]
        page.get_by_role("button", name="3 replies").click()
        expect(page.locator("#thread").get_by_text("tells nothing")).to_be_visible()
        page.get_by_role("button", name="Close thread").click()
        page.get_by_role("button", name="Channels and people").click()
        page.locator("#people").get_by_role("button", name="bob").click()
        expect(page.locator("#sidebar")).not_to_be_in_viewport()
        assert watched.complaints == []
