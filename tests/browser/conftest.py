"""One Chromium for a module's tests, and pages opened in it that say nothing on the console and ask for nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from deploytasks.model import Board
from deploytasks.report.page import page
from tests.browser import EXECUTABLE

Open = Callable[..., Page]
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Board], str]:
    """Writes a board's page, and says its address."""

    def write(board: Board) -> str:
        (tmp_path / "board.html").write_text(page(board), encoding="utf-8")
        return (tmp_path / "board.html").as_uri()

    return write


@pytest.fixture
def open_page(chromium: Browser, file: Callable[[Board], str]) -> Iterator[Open]:
    """Opens a board's page in a fresh context. Whatever a test does: nothing is logged, only the file is asked for."""
    said: list[str] = []
    asked: set[str] = set()

    def open_one(board: Board, hash: str = "", **context: object) -> Page:
        opened = chromium.new_context(**context).new_page()
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("request", lambda request: asked.add(request.url.partition("#")[0]))
        address = file(board)
        opened.goto(address + hash)
        expected.add(address)
        return opened

    expected: set[str] = set()
    yield open_one
    for context in chromium.contexts:
        context.close()
    assert said == []
    assert {each for each in asked if not each.startswith("data:")} == expected
