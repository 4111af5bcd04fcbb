"""The tree's own rules: short files, arrows one way, documented names, no word of this machine."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("uplift", "allocation", "app")


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_no_file_is_above_400_lines_and_the_median_is_about_120():
    lengths = {path: len(path.read_text().splitlines()) for path in [*sources(), *(ROOT / "tests").rglob("*.py")]}
    assert {path.name: n for path, n in lengths.items() if n > 400} == {}
    assert statistics.median(lengths.values()) <= 120


def test_every_module_and_every_public_name_has_a_docstring():
    lacking = []
    for path in sources():
        tree = ast.parse(path.read_text())
        nodes = [tree, *(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef))]
        lacking += [
            f"{path.relative_to(ROOT)}:{getattr(node, 'name', '')}"
            for node in nodes
            if not getattr(node, "name", "").startswith("_") and not ast.get_docstring(node)
        ]
    assert lacking == []


def test_arrows_between_packages_run_one_way():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "Contracts: 8 kept, 0 broken" in done.stdout, done.stdout + done.stderr


def test_no_path_of_a_machine_stands_in_the_tree():
    """No absolute path into somebody's home or working folder."""
    own = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w")
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = [ROOT / n for n in names if Path(n).suffix in {".py", ".md", ".toml", ".txt", ".html"} or n == ".ci/run"]
    assert [p.name for p in texts if p.is_file() and own.search(p.read_text())] == []
