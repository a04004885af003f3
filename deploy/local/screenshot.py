"""Makes the README's picture: asks a running demo about a node, as a person would, and takes what the page shows.

``python -m deploy.local.screenshot [--url URL] [--out FILE] [--dark]``, while ``make demo`` runs elsewhere. It sees
what a person sees and must not know the bot: a picture of something that does not work cannot be made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Error, Page, ViewportSize, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
OUT = Path(__file__).parents[2] / "docs" / "screenshot.png"
SIZE = ViewportSize(width=1280, height=800)
ANSWERED_SECONDS = 60  # a full look takes some ten seconds; a slow machine gets more


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 with a picture, 1 where the demo showed no diagnosis in time."""
    wanted = _wanted(arguments)
    try:
        taken(wanted.url, wanted.node, wanted.out, is_dark=wanted.dark)
    except (Error, AssertionError) as error:
        why = str(error).splitlines()[0]
        sys.stderr.write(f"No picture: {why}\nDoes `make demo` run, and answer at {wanted.url}?\n")
        return 1
    sys.stdout.write(f"{wanted.out}\n")
    return 0


def _wanted(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.screenshot", description="The README's picture.")
    parser.add_argument("--url", default="http://127.0.0.1:4040", help="where the demo's page is")
    parser.add_argument("--node", default="node-7", help="which node to ask about")
    parser.add_argument("--out", type=Path, default=OUT, help="where the picture goes")
    parser.add_argument("--dark", action="store_true", help="as the page looks on a dark desktop")
    return parser.parse_args(arguments)


def taken(url: str, node: str, out: Path, *, is_dark: bool = False) -> None:
    """The card in the channel, the explanation beside it. Raises playwright's Error or AssertionError."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(
            viewport=SIZE, device_scale_factor=2, color_scheme="dark" if is_dark else "light", locale="en-GB"
        )
        page = context.new_page()
        page.goto(f"{url}/")
        diagnosed(page, node)
        out.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=out)
        browser.close()


def diagnosed(page: Page, node: str) -> None:
    """Ask, wait until the look has ended and its chart is in the thread, and open the thread beside the card."""
    page.get_by_label("Message", exact=True).press_sequentially(f"/conntrack {node}")
    page.keyboard.press("Enter")
    ended = page.get_by_role("button", name="Look again")
    card = page.locator("#log .message", has_text=f"{node} ", has=ended).last
    expect(card).to_be_visible(timeout=ANSWERED_SECONDS * 1000)
    expect(card.locator(".replies")).to_be_visible(timeout=ANSWERED_SECONDS * 1000)
    card.locator(".replies").click()
    thread = page.locator("#thread")
    expect(thread.locator("img.picture")).to_be_visible(timeout=ANSWERED_SECONDS * 1000)
    thread.locator(".message").nth(1).evaluate(
        "row => { row.parentElement.scrollTop = row.offsetTop - row.parentElement.offsetTop }"
    )
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur()")


if __name__ == "__main__":
    sys.exit(main())
