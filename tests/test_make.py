"""Each target of the Makefile that the README names does what it says, in one step."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.serving import serving

ROOT = Path(__file__).resolve().parents[1]
RUN_HERE = ("demo", "app", "docs", "notebooks")  # `make test` is what runs this


def make(target: str, **variables: object) -> list[str]:
    """The command; it finds everything installed, in the environment of this Python."""
    env = Path(sys.prefix)
    installed = [f"--assume-old={env / name}" for name in ("pyvenv.cfg", "installed", "installed-dev")]
    return ["make", *installed, target, f"VENV={env}", *(f"{name}={value}" for name, value in variables.items())]


def afresh() -> dict[str, str]:
    """The environment without the variables of the `make test` around this."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}


def made(command: Sequence[str], **environment: str) -> str:
    """What it prints."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=afresh() | environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that `make demo` wrote, and what it printed to 100 columns."""
    out = tmp_path_factory.mktemp("demo") / "run"
    return out, made(make("demo", OUT=out), COLUMNS="100")


def test_the_demo_prints_what_its_page_shows(demo: tuple[Path, str]):
    out, printed = demo
    page = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- demo output -->\n```text\n(.*?)```", page, flags=re.DOTALL)
    assert shown is not None
    wanted = shown[1].split("Full report:")[0].split()
    assert wanted == printed[printed.index("thornton_hiv:") :].split("Full report:")[0].split(), "run: make pictures"
    assert (out / "report.html").is_file()
    assert runpy.run_path(str(ROOT / "docs" / "draw_demo.py"))["BEGIN"] in page


def test_the_app_opens_on_the_demo(demo: tuple[Path, str], browser: Any):
    with serving(make("app", RUN=f"{demo[0]} --port {{port}}"), ROOT, afresh()) as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("heading", name="What a budget buys").wait_for(timeout=60_000)
        page.close()


def test_notebooks_become_pages_that_lead_to_each_other(tmp_path: Path):
    made(make("notebooks", BUILD=tmp_path, NOTEBOOKS="notebooks/02_allocate.ipynb"))
    page = (tmp_path / "notebooks" / "02_allocate.html").read_text(encoding="utf-8")
    assert 'href="03_policy_evaluation.html"' in page
    assert "image/png;base64" in page


def test_every_target_that_the_readme_names_is_run_somewhere():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = " ".join(re.findall(r"```sh\n.*?```|`make [^`]*`", readme, re.S))
    named = set(re.findall(r"make ([a-z]+)", shown))
    assert named - {"help", "test"} == set(RUN_HERE)
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^(?:nice )?make .*", ci, flags=re.M)[1:] == [
        'nice make lint >"$out/lint" 2>&1 &',
        'make demo OUT="$out/run"',
        "make test || tested=$?",
    ]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    assert set(re.findall(r"^([a-z]+) ", made(["make", "help"]), flags=re.M)) == set(targets)
