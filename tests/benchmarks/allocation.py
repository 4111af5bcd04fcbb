"""How fast the allocator is: one Markdown table, each figure beside a peer or a yardstick of the same run.

    python tests/benchmarks/allocation.py [--quick] [--only PATTERN] [--repeats 5] [--patience 300]

Times are medians on the concave random instance (`instances.py`): 10 arms besides control, float32, a budget of 30%
of what everybody's dearest arm costs. Compiling and building the peers' models are not timed. Peers run once, at most
`--patience` seconds each; one that was stopped says what gap it had. Nothing else should run on the machine: the
full table takes about half an hour, nearly all of it the peers'.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from pathlib import Path

# A script's own folder comes first on the path, where this file would hide the package that bears its name.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != _HERE]
if __name__ == "allocation":
    del sys.modules["allocation"]
    import allocation  # noqa: F401  # what another script in this folder asked for


def main() -> None:
    """Measure and print."""
    from tests.benchmarks.speed import MEASURES, Options, warm_up

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the users, no verdict")
    parser.add_argument("--only", default="", metavar="PATTERN", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patience", type=float, default=300.0, help="seconds for each peer")
    chosen = parser.parse_args()
    options = Options(chosen.repeats, min(20.0, chosen.patience) if chosen.quick else chosen.patience, 1.0)
    options = options._replace(scale=0.01) if chosen.quick else options
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    print("| what | ours | peer or yardstick | ratio | asked | ok |\n|---|---:|---:|---:|---:|---|", flush=True)
    warm_up()
    for name, measure in MEASURES.items():
        if re.search(chosen.only, name):
            for line in measure(options):
                ok = {None: "", True: "yes", False: "**no**"}[None if chosen.quick else line.ok]
                print(f"| {' | '.join([*line[:5], ok])} |", flush=True)


if __name__ == "__main__":
    main()
