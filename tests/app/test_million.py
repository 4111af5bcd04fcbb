"""A million users in a browser: every view is drawn, and the budget moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from allocation.jobs.simulate_job import SimulatePlan, run_simulation
from allocation.jobs.simulated_tables import Simulated
from app.main import VIEWS
from tests.app.conftest import Visit, served


def test_every_view_of_a_million_users(visit: Callable[..., Visit], tmp_path: Path):
    run_simulation(SimulatePlan(Simulated("responses", 1_000_000, float32=True)), tmp_path / "r")
    with served(tmp_path / "r") as address:
        seen = visit(address)
        for title, view, _ in VIEWS:
            seen.open(f"view={view}")
            assert seen.heading(title)
            assert "1,000,000 users" in seen.page.locator('[data-testid="stSidebar"]').inner_text()
        seen.open("view=budget")
        before = seen.page.locator('[data-testid="stMetricValue"]').first.inner_text()
        seen.page.get_by_role("slider").focus()
        seen.page.keyboard.press("PageDown")
        moved = "was => document.querySelector('[data-testid=\"stMetricValue\"]').innerText !== was"
        seen.page.wait_for_function(moved, arg=before)
        seen.page.close()  # before its server goes
