"""Headless chromium, watched: what it complains of and whom it talks to are part of what a test sees.

The machine's own chromium is used; where there is none, tests say so and do not run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESK = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}: apt-get install chromium")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for as long as the block lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Watched:
    """One tab. ``complaints`` are errors in the console and uncaught ones; ``asked`` is every address it fetched."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def tab(browser: Browser, address: str, *, size: ViewportSize = DESK, is_dark: bool = False) -> Iterator[Watched]:
    """A new window of a person who has never been here, without any stored state."""
    context = browser.new_context(
        viewport=size, color_scheme="dark" if is_dark else "light", locale="en-GB", timezone_id="Europe/Berlin"
    )
    context.set_default_timeout(20_000)  # nothing here takes one; a machine with other work may
    watched = Watched(context.new_page())
    watched.page.on("console", lambda said: watched.complaints.append(said.text) if said.type == "error" else None)
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    watched.page.on("request", lambda request: watched.asked.append(request.url))
    try:
        watched.page.goto(address)
        yield watched
    finally:
        context.close()
