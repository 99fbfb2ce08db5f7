"""Debian's Chromium for the tests of the pages: a browser in; pages that fail on any error of their scripts out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCREENSHOTS = "LASTCLICK_SCREENSHOTS"
"""Names a folder to keep screenshots in."""

SMALLEST = {"width": 320, "height": 640}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", **SMALLEST},
}
WAIT_MS = 60_000
"""For what a page does on a machine that is busy with other things."""


def screenshot_folder(otherwise: Path) -> Path:
    """Where screenshots are kept."""
    named = os.environ.get(SCREENSHOTS)
    return Path(named) if named else otherwise


@contextmanager
def open_browser() -> Iterator[Any]:
    """A headless Chromium of the PATH; skips where there is none.

    While it is open, the thread has a running event loop: keep it to one module of tests.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is on the PATH: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    # Chromium's own sandbox does not start as root, as whom containers run.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


class Pages:
    """Opens pages, notes what goes wrong in them, and keeps screenshots in ``folder``."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self._browser = browser
        self._contexts: list[Any] = []

    def open(self, width: int = 1280, height: int = 900, **options: Any) -> Any:
        """An empty page in a browser context of its own."""
        context = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(WAIT_MS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self._note(message))
        return page

    def keep(self, page: Any, name: str, whole: bool = False) -> None:
        """Take a screenshot, of the whole page or of what is in sight."""
        self.folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=self.folder / f"{name}.png", full_page=whole)

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _note(self, message: Any) -> None:
        # A request that failed is the test's business; a refusal of the content security policy never is.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)
