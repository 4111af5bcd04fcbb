"""Damaged files are refused or read, never a crash, a hang, or a process without an end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("mutated_files.py")
ROOT = Path(__file__).resolve().parents[4]


def test_mutated_files_are_refused_or_read():
    """In a process of its own, which a crash in Arrow would end; EARMARK_FUZZ_FILES says how many."""
    count = os.environ.get("EARMARK_FUZZ_FILES", "60")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), count, "0"], capture_output=True, text=True, timeout=270, env=environment
    )
    assert done.returncode == 0, "\n".join([*done.stdout.splitlines()[-12:], done.stderr[-2_000:]])
    assert " refused, " in done.stdout.splitlines()[-1]
