"""Damaged files are refused, or read and decided; never a crash, a hang, or a process without an end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("mutated_files.py")
ROOT = Path(__file__).resolve().parents[4]


def test_mutated_files_are_refused_or_decided():
    """In a process of its own, which a crash in Arrow would end; EARMARK_FUZZ_FILES says how many."""
    count = os.environ.get("EARMARK_FUZZ_FILES", "60")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command, limit = [sys.executable, str(SCRIPT), count, "0"], max(270, int(count))
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    assert done.returncode == 0, "\n".join([*done.stdout.splitlines()[-12:], done.stderr[-2_000:]])
    last = done.stdout.splitlines()[-1]
    assert " refused, " in last
    assert " 0 plans decided" not in last
    print(last)  # noqa: T201  # the figures, with -s
