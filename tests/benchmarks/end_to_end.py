"""End-to-end against two-stage on six regimes of known truth: resumable rows, one Markdown table, one chart.

    python tests/benchmarks/end_to_end.py run --regimes small_student --rows 600000 --methods "two-stage*" --seeds 0-9
    python tests/benchmarks/end_to_end.py table [--results build/end_to_end.jsonl ...]
    python tests/benchmarks/end_to_end.py chart --out build/end_to_end.png

`run` adds a line of JSON for each finished regime, rows, method and seed to the first file of `--results`; what any
of the files holds is skipped, so it may be stopped and started again, and two may run at once with a file each. Every
method decides for 100,000 fresh users at three budgets on its own predictions; the truth judges (`end_to_end_cases`).
The causal forest and natural evolution strategies take the seeds 0 to 4, the forest 50,000 rows at most.
All of it runs for hours on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from allocation.engine.problem import ProblemError
from allocation.policies.tuning_result import TuningResult
from tests.benchmarks import end_to_end_rows as rows_on_disk
from tests.benchmarks.end_to_end_cases import ROWS, Case, budgets
from tests.benchmarks.end_to_end_methods import RANKERS, Method, chosen
from uplift import synthetic
from uplift.errors import InputError
from uplift.learners import NeuralResponse

RESULTS = Path("build/end_to_end.jsonl")


def finished(method: Method, case: Case) -> rows_on_disk.Row:
    """Fit, decide, judge: one row."""
    if method.name.startswith(RANKERS):
        _ = case.cost_of_t_learner  # they share it: on nobody's clock
    start = time.perf_counter()
    policy = method.fit(case)
    train_s = time.perf_counter() - start
    result = getattr(policy, "result_", None)
    return {
        "regime": case.regime,
        "rows": case.rows,
        "method": method.name,
        "seed": case.seed,
        "train_rows": min(case.rows, method.rows or case.rows),
        "budgets": list(case.budgets),
        **case.worth(policy),
        "train_s": train_s,
        "result": None if result is None else told(result),
        "processor": platform.processor() or platform.machine(),
    }


def told(result: TuningResult) -> dict[str, Any]:
    """What the fit says of itself, in numbers and in words."""
    said = {"passed": result.passed, "nothing_to_gain": result.nothing_to_gain, "text": str(result)}
    return dataclasses.asdict(result) | said


def warm_up() -> None:
    """Load what fits need, and fit one net: not on anybody's clock."""
    for module in ("econml.dr", "econml.dml", "lightgbm"):
        import_module(module)
    log = synthetic.simulate(100, seed=0).campaign
    NeuralResponse(hidden=(2,), epochs=1).fit(log.X, log.value, treatment=log.treatment, cost=log.cost)


def run(options: argparse.Namespace) -> int:
    """Fill in what is missing; 1 where a method refused a log."""
    warm_up()
    known = {rows_on_disk.key(row) for row in rows_on_disk.read(options.results)}
    methods, refused = chosen(options.methods), 0
    for regime in options.regimes:
        for rows in options.rows or ROWS[regime]:
            for seed in options.seeds:
                wanted = [m for m in methods if m.takes_part(regime, seed, rows)]
                missing = [m for m in wanted if (regime, rows, m.name, seed) not in known]
                case = Case.of(regime, rows, seed) if missing else None
                for method in missing if case else ():
                    who = f"{regime}, {rows:,} rows, seed {seed}, {method.name}"
                    try:
                        row = finished(method, case)
                    except (InputError, ProblemError) as error:
                        refused = 1
                        print(f"{who}: refused: {error}", file=sys.stderr)
                        continue
                    rows_on_disk.append(options.results[0], row)
                    shares = [share for share in row["share"] if share is not None]
                    share = f"share {sum(shares) / len(shares):.4f}" if shares else "nothing to gain"
                    print(f"{who}: {share}, {row['train_s']:.1f} s", file=sys.stderr)
    return refused


def seeds(text: str) -> list[int]:
    """0-19 or 3 or 0,2,5-7."""
    parts = [part.split("-") for part in text.split(",")]
    return [seed for part in parts for seed in range(int(part[0]), int(part[-1]) + 1)]


def main() -> int:
    """Run, or show what was run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_subparsers(dest="task", required=True)
    for name, about in (("run", "fill in rows"), ("table", "print the table"), ("chart", "draw the gain over rows")):
        one = task.add_parser(name, help=about)
        one.add_argument("--results", type=Path, action="append", help=f"may be given again; {RESULTS} if not")
        if name == "run":
            one.add_argument("--regimes", nargs="+", default=list(ROWS), choices=list(ROWS))
            one.add_argument("--rows", type=int, nargs="+", help="of the training log; the regime's own if not given")
            one.add_argument("--methods", nargs="+", default=["*"], help="names or patterns such as 'two-stage*'")
            one.add_argument("--seeds", type=seeds, default=list(range(20)), help="0-19")
        if name == "chart":
            one.add_argument("--out", type=Path, default=Path("build/end_to_end.png"))
    options = parser.parse_args()
    options.results = options.results or [RESULTS]
    if options.task == "run":
        warnings.filterwarnings("ignore", category=UserWarning)  # of scikit-learn and LightGBM on feature names
        for regime in options.regimes:
            print(f"{regime}: budgets a user {', '.join(f'{b:g}' for b in budgets(regime))}", file=sys.stderr)
        return run(options)
    found = rows_on_disk.read(options.results)
    if not found:
        print(f"no finished rows in {', '.join(map(str, options.results))}; `run` first", file=sys.stderr)
        return 1
    if options.task == "table":
        from tests.benchmarks.end_to_end_table import print_table

        print_table(found)
    else:
        from tests.benchmarks.end_to_end_chart import draw

        draw(found, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
