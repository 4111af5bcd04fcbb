"""What many tests need: the shared data, a browser, a finished demo run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch and LightGBM are loaded: a worker a core, so that threads of each would wait for those of the others.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from allocation.jobs.demo import DemoPlan, DemoResult, run_demo
from allocation.jobs.output import write_demo


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nothing may be missing (EARMARK_NO_SKIPS, set by .ci/run), a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("EARMARK_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("EARMARK_NO_SKIPS is set and tests were skipped: the run counts as failed", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The shared data sets, or a skip that says where they were sought."""
    named = os.environ.get("EARMARK_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "hillstrom.parquet").is_file():
        pytest.skip(f"the shared data are not in {folder} (no hillstrom.parquet); set EARMARK_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def result() -> DemoResult:
    """A small simulated run."""
    return run_demo(DemoPlan("simulated", users=3_000, n_bootstrap=200))


@pytest.fixture(scope="session")
def run_folder(result: DemoResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that run, to be read only."""
    folder = tmp_path_factory.mktemp("run") / "spring"
    write_demo(result, folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Debian's Chromium, headless, under Playwright."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on the PATH; apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()
