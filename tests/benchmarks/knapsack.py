"""Published multiple-choice knapsacks: does `exact` prove their optima, and how far below them does `dual` stay?

Prints one Markdown table, one row a set and method. "Shortfall" is what is missing to the best value known, in
percent of it; a negative one would be a better decision than any published. On the problems without proof the bound
found in the time stands beside the one known. "held" counts decisions that keep every limit in exact arithmetic.
"""

from __future__ import annotations

import argparse
import fnmatch
import statistics
import time
from fractions import Fraction

from allocation import ProblemError, solve
from allocation.engine.exact import solve_exact
from tests.knapsack import KHAN, LARGE, SMALL, hiremath_hill, khan, knapsack_folder
from tests.oracles import exact_total

TITLES = [
    "set",
    "method",
    "proved / problems",
    "held",
    "value",
    "best known",
    "bound",
    "bound known",
    "average shortfall (%)",
    "worst shortfall (%)",
    "worst difference to the best known",
    "seconds, all",
    "seconds, longest",
]


def held(problem, decision) -> bool:
    """Every cap in exact arithmetic, and an eligible item of each group."""
    open_cells = all(problem.eligible[i, j] for i, j in enumerate(decision))
    return open_cells and all(
        exact_total(problem.table(limit.measure), decision) <= Fraction(limit.high) for limit in problem.limits
    )


def row(name, method, knapsacks, seconds) -> list[str]:
    """Solves all problems of a set one way, and sums up."""
    proved, feasible, short, differences, times, allocations = 0, 0, [], [], [], []
    for knapsack in knapsacks:
        begun = time.perf_counter()
        try:
            if method == "exact":
                start = solve(knapsack.problem, method="dual").decision
                allocation = solve_exact(knapsack.problem, seconds=seconds, start=start)
            else:
                allocation = solve(knapsack.problem, method=method)
        except ProblemError as error:  # counts as not held: these problems all have a decision
            times.append(time.perf_counter() - begun)
            print(f"{knapsack.name}, {method}: {error}", flush=True)
            continue
        times.append(time.perf_counter() - begun)
        allocations.append(allocation)
        proved += allocation.gap <= 1e-12
        feasible += held(knapsack.problem, allocation.decision)
        differences.append(knapsack.known - allocation.value)
        short.append(100 * differences[-1] / knapsack.known)
    one = knapsacks[0] if len(knapsacks) == 1 and allocations else None
    return [
        name,
        method,
        f"{proved} / {len(knapsacks)}",
        f"{feasible} / {len(knapsacks)}",
        f"{allocations[0].value:.8g}" if one else "",
        f"{one.known:.8g}" if one else "",
        f"{allocations[0].bound:.8g}" if one else "",
        f"{one.bound:.8g}" if one else "",
        f"{statistics.mean(short):.4f}" if short else "",
        f"{max(short):.4f}" if short else "",
        f"{max(differences, key=abs):.6g}" if differences else "",
        f"{sum(times):.2f}",
        f"{max(times):.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="for `exact`, on each problem")
    parser.add_argument("--only", default="*", help="pattern of the sets to run, such as 'I0*' or '*GP10IT5KP'")
    arguments = parser.parse_args()
    folder = knapsack_folder()
    plan = [(name, ("exact",)) for name in (*SMALL, *KHAN)] + [(name, ("dual", "exact")) for name in LARGE]
    rows = [TITLES, ["---", "---"] + ["---:"] * (len(TITLES) - 2)]
    for name, methods in plan:
        if fnmatch.fnmatch(name, arguments.only):
            knapsacks = [khan(name, folder)] if name in KHAN else hiremath_hill(name, folder)
            rows += [row(name, method, knapsacks, arguments.seconds) for method in methods]
    print("\n".join(f"| {' | '.join(cells)} |" for cells in rows))


if __name__ == "__main__":
    main()
