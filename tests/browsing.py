"""A page of a file in headless Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE


@contextmanager
def open_page(path: Path, size: str = "1400,1000") -> Iterator[Any]:
    """Open a file in headless Chromium, see `chromium`."""
    with chromium(size) as browser:
        browser.get(path.as_uri())
        yield browser


@contextmanager
def chromium(size: str = "1400,1000") -> Iterator[Any]:
    """Start headless Chromium; the test is skipped where that is missing."""
    selenium = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("Chromium is missing: apt-get install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={size}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = selenium.Chrome(options=options, service=Service(driver))
    started.set_page_load_timeout(PATIENCE)
    started.set_script_timeout(PATIENCE)
    try:
        yield started
    finally:
        started.quit()
