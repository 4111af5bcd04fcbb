"""Draw the README's pictures of the app, every view light and dark: `make screenshots` (needs Chromium)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from app.main import VIEWS
from tests.app.serving import served
from tests.benchmarks.app import make

ROOT = Path(__file__).resolve().parents[2]
WIDTH, SCALE, TALLEST = 1280, 1, 2_200  # pixels


def main() -> None:
    """Take every picture into docs/."""
    run = Path(tempfile.gettempdir()) / "earmark-demo"  # the export view shows where it lies
    try:
        make(run, ["demo", "--end-to-end"])
        with served(run) as (address, _), sync_playwright() as playwright:
            path = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            for theme in ("light", "dark"):
                for _, view, _ in VIEWS:
                    page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme=theme)
                    page.goto(f"{address}/?view={view}")
                    page.locator("h1").first.wait_for(timeout=60_000)
                    page.wait_for_timeout(2_000)
                    height = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
                    page.set_viewport_size({"width": WIDTH, "height": min(int(height), TALLEST)})
                    page.wait_for_timeout(1_500)  # charts are drawn anew for the taller window
                    page.screenshot(path=ROOT / "docs" / f"app-{view}-{theme}.png")
                    page.close()
            browser.close()
    finally:
        shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    main()
