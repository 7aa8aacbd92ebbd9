"""A real browser for the pages that people look at. Without Chromium these tests skip, and say so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Noise:
    """What a page did besides showing itself."""

    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Notes what the page says to the console, throws and fetches from now on."""
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if not request.url.startswith(("data:", "file:")):
            self.asked.append(request.url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started for one file: while it runs, no other event loop can."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian's package `chromium`)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()
