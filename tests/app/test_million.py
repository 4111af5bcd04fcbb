"""A million users with evidence in a browser: every view is drawn, the budget moves, memory holds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from app.main import VIEWS
from tests.app.conftest import Visit
from tests.app.serving import repeated, served

LARGEST = 1_200_000_000  # bytes, against a relapse; what is asked and what is reached, `make bench TABLES=app` says


def test_every_view_of_a_million_users(visit: Callable[..., Visit], run_folder: Path, tmp_path: Path):
    run = repeated(run_folder, tmp_path / "million", 1_000_000)
    with served(run) as (address, pid):
        seen = visit(address)
        for title, view, _ in VIEWS:
            seen.open(f"view={view}")
            assert seen.heading(title)
            assert "1,001,332 held-out users" in seen.page.locator('[data-testid="stSidebar"]').inner_text()
        seen.open("view=budget")
        before = seen.page.locator('[data-testid="stMetricValue"]').first.inner_text()
        seen.page.get_by_role("slider").focus()
        seen.page.keyboard.press("PageDown")
        moved = "was => document.querySelector('[data-testid=\"stMetricValue\"]').innerText !== was"
        seen.page.wait_for_function(moved, arg=before)
        seen.page.close()  # before its server goes
        if sys.platform == "linux":
            assert resident(pid) < LARGEST


def resident(pid: int) -> int:
    """The largest resident set of a process so far, bytes; Linux alone tells it."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
