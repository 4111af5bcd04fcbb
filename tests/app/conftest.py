"""A served app, and a page of it in a real browser that notes what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.app.serving import served

QUIET = 400  # milliseconds without a spinner, after which a page is taken to be drawn


@dataclass
class Visit:
    """A page that is looked at, and what it asked for and complained of."""

    page: Any
    address: str
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, query: str = "") -> None:
        """Go to an address and wait until it is drawn; `view=limits` opens a view."""
        self.page.goto(f"{self.address}/?{query}")
        self.settled()

    def choose(self, title: str, view: str) -> None:
        """Go to another view as an analyst does: by its name beside, in the same session."""
        self.page.locator('[data-testid="stSidebar"] label', has_text=title).click()
        self.page.wait_for_url(f"**view={view}*", timeout=60_000)
        self.settled()

    def settled(self) -> None:
        """Wait until there is a heading or a message, and nothing is being computed."""
        self.page.locator('[data-testid="stMain"] h1, [data-testid="stAlert"]').first.wait_for(timeout=60_000)
        self.page.locator('[data-test-script-state="running"]').first.wait_for(state="detached", timeout=60_000)
        self.page.wait_for_timeout(QUIET)

    def heading(self, title: str) -> str:
        """The heading of the view that is open, which must be this one, without a message of what is wrong."""
        assert self.page.locator('[data-testid="stSidebar"] label:has(input:checked)').inner_text() == title
        for wrong in ("stException", "stAlertContentError"):
            assert self.page.locator(f'[data-testid="{wrong}"]').count() == 0
        return str(self.page.locator("h1").inner_text())

    @property
    def outside(self) -> list[str]:
        """What was asked of any other host."""
        own = (self.address, "data:", "blob:", self.address.replace("http", "ws"))
        return [url for url in self.asked if not url.startswith(own)]


@pytest.fixture(scope="session")
def demo_address(run_folder: Path) -> Iterator[str]:
    """The small demo run, served for all tests of a worker."""
    with served(run_folder) as (address, _):
        yield address


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens a page at an address; when the test ends it has complained of nothing and asked nobody outside."""
    made: list[Visit] = []

    def visiting(address: str, width: int = 1280, scheme: str = "light") -> Visit:
        """A page of a browser of its own."""
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(60_000)  # a busy machine is slow, not wrong
        visit = Visit(page, address)
        page.on("request", lambda request: visit.asked.append(request.url))
        page.on("console", lambda message: visit.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        made.append(visit)
        return visit

    yield visiting
    for visit in made:
        visit.page.close()
        assert visit.errors == []
        assert visit.outside == []
