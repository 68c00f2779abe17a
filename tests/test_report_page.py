"""The page in a real browser: nothing on the console, tables sort, the slider changes logos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import chromium
from recorded import inside, reading, record, record_filters

from mlproject.report.content import ReportRequest
from mlproject.report.recording import make_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Any:
    """The report of a small store, open in the browser."""
    with inside(tmp_path_factory.mktemp("page"), migrated_store) as folder:
        record_filters({"arch": "CNN-2"}, reading(1), 0.96)
        record_filters({"arch": "CNN-25"}, reading(13), 0.97)
        record({"arch": "CNN-100"}, 0.95, 0.9)
        record({"arch": "CNN-10"}, status="FAILED")
        make_report(ReportRequest(), folder / "out", record=False)
    browser.get((folder / "out" / "report.html").as_uri())
    return browser


def test_the_console_is_silent(page: Any) -> None:
    assert page.get_log("browser") == []
    assert page.execute_script("return document.images.length") >= 4
    broken = "return [...document.images].filter((i) => !i.complete || !i.naturalWidth).length"
    assert page.execute_script(broken) == 0


def _column(page: Any, table: str, column: int) -> list[str]:
    script = (
        "return [...document.getElementById(arguments[0]).tBodies[0].rows]"
        ".map((row) => row.cells[arguments[1]].dataset.sort)"
    )
    return page.execute_script(script, table, column)


def _click(page: Any, table: str, column: int) -> None:
    script = (
        "document.querySelectorAll(`#${arguments[0]} thead tr:last-child th button`)"
        "[arguments[1]].click()"
    )
    page.execute_script(script, table, column)


@pytest.mark.parametrize(("table", "column"), [("table1", 4), ("runs", 4), ("table1", 1)])
def test_numbers_sort_up_and_down_with_what_is_missing_last(
    page: Any, table: str, column: int
) -> None:
    given = _column(page, table, column)
    numbers = sorted(float(text) for text in given if text)
    _click(page, table, column)
    up = _column(page, table, column)
    assert [float(text) for text in up if text] == numbers
    _click(page, table, column)
    down = _column(page, table, column)
    assert [float(text) for text in down if text] == numbers[::-1]
    for texts in (up, down):
        assert "" not in texts[: len(numbers)]


def test_texts_sort(page: Any) -> None:
    _click(page, "runs", 3)
    states = _column(page, "runs", 3)
    assert states == sorted(states)
    assert set(states) == {"failed", "finished"}


def test_the_slider_changes_the_logos(page: Any) -> None:
    shown = (
        "return [...document.querySelectorAll('.atlas .filter')].filter((one) => !one.hidden)"
        ".map((one) => one.dataset.network + one.innerHTML)"
    )
    move = (
        "const range = document.querySelector('.atlas input'); range.value = arguments[0];"
        "range.dispatchEvent(new Event('input'));"
    )
    page.execute_script(move, 0)
    first = page.execute_script(shown)
    page.execute_script(move, 1)
    second = page.execute_script(shown)
    assert len(first) == len(second) == 12
    assert all(text.startswith("CNN-2<") or text.startswith("CNN-2\n") for text in first)
    assert all(text.startswith("CNN-25") for text in second)
    assert sum("<use" in text for text in second) > sum("<use" in text for text in first)
    output = "return document.querySelector('.atlas output').textContent"
    assert page.execute_script(output) == "CNN-25"
    page.execute_script("document.querySelector('.atlas .stops button').click()")
    assert page.execute_script(output) == "CNN-2"
    assert page.execute_script(shown) == first


def test_the_page_is_no_wider_than_the_window(page: Any) -> None:
    width = page.execute_script("return document.documentElement.scrollWidth")
    assert width <= page.execute_script("return window.innerWidth")


def test_the_page_works_in_a_frame_like_that_of_the_mlflow_ui(page: Any, tmp_path: Path) -> None:
    own = page.current_url
    frame = f'<iframe sandbox="allow-scripts" src="{own}" width="900" height="700"></iframe>'
    (tmp_path / "ui.html").write_text(f"<!DOCTYPE html><title>UI</title>{frame}")
    page.get_log("browser")
    page.get((tmp_path / "ui.html").as_uri())
    page.switch_to.frame(page.find_element("tag name", "iframe"))
    up = _column(page, "table1", 1)
    _click(page, "table1", 1)
    assert _column(page, "table1", 1) != up
    page.execute_script("document.querySelector('.atlas .stops button').click()")
    shown = page.execute_script("return document.querySelector('.atlas output').textContent")
    assert shown == "CNN-2"
    broken = "return [...document.images].filter((i) => !i.naturalWidth).length"
    assert page.execute_script(broken) == 0
    page.switch_to.default_content()
    assert page.get_log("browser") == []
    page.get(own)
