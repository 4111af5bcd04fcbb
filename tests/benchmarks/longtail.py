"""Long-tail recommendation: gradient aggregation, plugins and memory against joint training, on real logs.

    python tests/benchmarks/longtail.py run --results build/longtail --settings paper strong --seeds 0 1 2 3 4
    python tests/benchmarks/longtail.py table --results build/longtail
    python tests/benchmarks/longtail.py chart --results build/longtail --settings paper --out docs/long-tail.png

`run` works off units (a setting, data set, backbone and seed), seed by seed, and keeps each in a file of its own, so
it can be stopped and started again, and two may run side by side (`--part 0/2`, `--part 1/2`). `table` prints
Markdown, `chart` draws the changes of one setting in light and dark. Full ranking over all items, leave-last-out;
epochs and weights are chosen on the validation alone.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

from tests.benchmarks.longtail_cases import BACKBONES, LOGS, setting, split_of
from tests.benchmarks.longtail_chart import draw
from tests.benchmarks.longtail_rows import run_unit
from tests.benchmarks.longtail_store import is_done, read_units, unit_path, write_unit
from tests.benchmarks.longtail_table import tables


def main() -> None:
    """Work off the units, or print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table", "chart"])
    parser.add_argument("--results", type=Path, default=Path("build/longtail"))
    parser.add_argument("--settings", nargs="+", default=["paper", "strong"], choices=["paper", "strong"])
    parser.add_argument("--data", nargs="+", default=list(LOGS), choices=list(LOGS))
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=list(BACKBONES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--rules", nargs="+", help="other rules than the main rows, such as pcgrad; into files of their own"
    )
    parser.add_argument("--part", default="0/1", help="which of how many processes this is")
    parser.add_argument("--out", type=Path, default=Path("docs/long-tail.png"))
    options = parser.parse_args()
    if options.what == "table":
        print(tables(read_units(options.results)))
        return
    if options.what == "chart":
        draw(read_units(options.results), options.out, options.settings[0])
        return
    number, parts = (int(text) for text in options.part.split("/"))
    units = [
        (seed, name, data, net)
        for seed, name, net, data in product(options.seeds, options.settings, options.backbones, options.data)
        if name == "paper" or net == "sasrec"
    ]
    for place, (seed, name, data, net) in enumerate(units):
        path = unit_path(options.results, name, data, net, seed, options.rules)
        case = setting(name, net, further=options.rules is not None)
        if place % parts != number or is_done(path, case):
            continue
        print(f"{name}, {data}, {net}, seed {seed}", flush=True)
        unit = run_unit(split_of(data), case, seed, tuning=name == "strong", rules=options.rules)
        write_unit(path, unit)


if __name__ == "__main__":
    main()
