"""A headless browser for pages: one for all tests of a process, without any network."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ON_CI = os.environ.get("CI", "").lower() in {"1", "true"}
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
]
_HOW = "apt-get install chromium chromium-driver && pip install selenium"


class Browser:
    """What tests do with a page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: str, folder: Path, width: int = 1280, height: int = 800) -> None:
        """Show a page and wait until it is ready."""
        from selenium.webdriver.support.ui import WebDriverWait

        file = folder / "page.html"
        file.write_text(page, encoding="utf-8")
        self.driver.set_window_size(width, height)
        # What was said and asked for before belongs to another page.
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(file.as_uri())
        WebDriverWait(self.driver, 20).until(lambda _: self.state("ready") == "yes")

    def state(self, name: str) -> Any:
        """What the page says of itself."""
        return self.run("return document.documentElement.dataset[arguments[0]]", name)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script."""
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        """Press keys, where the focus is."""
        from selenium.webdriver import ActionChains

        chain = ActionChains(self.driver)
        for key in keys:
            chain = chain.send_keys(key)
        chain.perform()

    def click(self, testid: str) -> None:
        """Click what has this test id."""
        self.driver.find_element("css selector", f'[data-testid="{testid}"]').click()

    def complaints(self) -> list[str]:
        """What the console said, and every address asked for but the file itself."""
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("file:", "data:")):
                    said.append(f"asked for {url}")
        return said


def started() -> Iterator[Browser]:
    """A browser; where there is none the test is skipped, with ``CI=true`` it fails."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        webdriver = None  # type: ignore[assignment]
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if webdriver is None or program is None or driver is None:
        (pytest.fail if ON_CI else pytest.skip)(f"no headless browser on this machine; {_HOW}")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in _FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Browser(found)
    finally:
        found.quit()
