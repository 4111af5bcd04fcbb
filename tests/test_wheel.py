"""What is shipped: a wheel with the app in it that works without the checkout, and a source archive that makes it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.serving import serving

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel that is made of the source archive, as an index would hold them."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(out)], cwd=ROOT, check=True)
    source = str(next(out.glob("*.tar.gz")))
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(out)]
    subprocess.run([*pip, source], check=True, capture_output=True)
    return out


def test_the_wheel_holds_the_packages_and_nothing_else(built: Path):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        tops = {name.split("/")[0] for name in wheel.namelist()}
        names = set(wheel.namelist())
    assert {top for top in tops if not top.endswith(".dist-info")} == {"uplift", "allocation", "app"}
    assert {"app/__main__.py", "app/views/budget.py", "allocation/cli/__init__.py"} <= names
    wanted = {
        str(file.relative_to(ROOT))
        for package in ("uplift", "allocation", "app")
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert wanted <= names


def test_the_source_archive_leaves_out_what_is_ours_alone(built: Path):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"README.md", "LICENSE", "pyproject.toml", "tests/test_wheel.py"} <= names
    assert not any(name.startswith((".ci", "build/", ".venv")) for name in names)


def test_the_wheel_runs_the_demo_and_the_app_elsewhere(built: Path, tmp_path: Path, browser: Any):
    """In an environment of its own, which finds the libraries of this one, but not the checkout."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    python, site = tmp_path / "env" / "bin" / "python", next((tmp_path / "env").rglob("site-packages"))
    wheel = next(built.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files are not followed
    earmark = str(python.with_name("earmark"))

    def run(*command: str) -> str:
        """What a command prints, in a folder that holds nothing of ours."""
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(str(python), "-c", "import app, allocation, uplift; print(app.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    run(earmark, "demo", "--data", "simulated", "--users", "1500", "--out", "run")
    with serving([earmark, "app", "run", "--port", "{port}"], cwd=tmp_path) as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("heading", name="What a budget buys").wait_for(timeout=60_000)
        page.close()
