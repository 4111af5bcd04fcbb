"""Peak memory of one solve above what its tables take: a process of its own that prints two numbers of bytes.

python -m tests.benchmarks.memory USERS
"""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

from allocation import solve
from tests.benchmarks.instances import one_budget


def peak_above_tables(n: int) -> tuple[int, int]:
    """Bytes that one solve of n users needs at its peak beyond what is held before, and bytes of the two tables."""
    asked = [sys.executable, "-m", "tests.benchmarks.memory", str(n)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    extra, tables = done.stdout.split()
    return int(extra), int(tables)


def _resident(line: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(text.split()[1]) for text in status if text.startswith(line))


if __name__ == "__main__":
    solve(one_budget(1_000))  # compiles
    problem = one_budget(int(sys.argv[1]))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew at what is held now (Linux)
    before = _resident("VmRSS")
    solve(problem)
    print(_resident("VmHWM") - before, problem.value.nbytes + problem.cost.nbytes)
