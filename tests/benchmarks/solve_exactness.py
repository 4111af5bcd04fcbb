"""How exact `solve` is: random problems of every family against brute force (n <= 8, K <= 4) and milp (n = 200).

Prints one Markdown table. A value or bound is at fault where it misses by more than rounding (a share 1e-9 of the
users' largest absolute values); the budget is compared without any tolerance. A step is the largest difference in
value between two arms of one user. Where milp leaves the optimum open between what it attained and its own bound, the
value is compared with milp's bound and our bound with what milp attained.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from allocation import Problem, solve
from tests.invariants import budget_excess, largest_step, tolerance
from tests.oracles import brute_force, exact_total, milp
from tests.strategies import FAMILIES, random_problem

# Their arms differ in cost by less than the tolerance of a floating-point programme: exact enumeration only.
BRUTE_FORCE_ONLY = ("costs a rounding apart",)


@dataclass
class Tally:
    """What went wrong in one family, and by how much at worst."""

    small: int = 0
    large: int = 0
    unproved: int = 0
    excess: list[Fraction] = field(default_factory=list)
    too_low: int = 0
    bound_broken: int = 0
    loose: int = 0
    gaps: list[float] = field(default_factory=list)

    def judge(self, problem: Problem, attained: Fraction, bound: float | Fraction) -> None:
        """Solve, and compare with an optimum known to lie in [attained, bound]."""
        allocation = solve(problem)
        rounding = tolerance(problem)
        missing = float(Fraction(bound) - exact_total(problem.value, allocation.decision))
        self.unproved += float(Fraction(bound) - attained) > rounding
        self.excess.append(budget_excess(problem, allocation))
        self.too_low += missing > largest_step(problem) + rounding
        self.bound_broken += float(attained) > allocation.bound + rounding
        self.loose += allocation.bound - allocation.value > largest_step(problem) + rounding
        self.gaps.append(missing / (largest_step(problem) or 1.0))


def run(n_problems: int, seed: int) -> dict[str, Tally]:
    """Half of the problems small, half large, the families in turn."""
    rng = np.random.default_rng(seed)
    tallies = {family: Tally() for family in FAMILIES}
    for k in range(n_problems // 2):
        family = FAMILIES[k % len(FAMILIES)]
        problem = random_problem(rng, int(rng.integers(1, 9)), int(rng.integers(1, 5)), family)
        optimum = brute_force(problem.value, problem.cost, problem.budget, problem.eligible)
        tallies[family].judge(problem, optimum, optimum)
        tallies[family].small += 1
    programmed = [family for family in FAMILIES if family not in BRUTE_FORCE_ONLY]
    for k in range(n_problems - n_problems // 2):
        family = programmed[k % len(programmed)]
        problem = random_problem(rng, 200, int(rng.integers(1, 5)), family)
        tallies[family].judge(problem, *milp(problem.value, problem.cost, problem.budget, problem.eligible))
        tallies[family].large += 1
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """One row a family and one for all."""
    titles = [
        "family",
        "against brute force",
        "against milp",
        "left open by milp",
        "budget exceeded",
        "largest excess (exact)",
        "more than one step below the optimum",
        "optimum above the bound",
        "bound more than one step above the value",
        "worst distance to the optimum (steps)",
    ]
    rows = [titles, ["---"] + ["---:"] * (len(titles) - 1)]
    everything = Tally(
        *(sum(getattr(t, name) for t in tallies.values()) for name in ("small", "large", "unproved")),
        [x for t in tallies.values() for x in t.excess],
        *(sum(getattr(t, name) for t in tallies.values()) for name in ("too_low", "bound_broken", "loose")),
        [x for t in tallies.values() for x in t.gaps],
    )
    for name, tally in [*tallies.items(), ("**all**", everything)]:
        cells = [tally.small, tally.large, tally.unproved, sum(x > 0 for x in tally.excess)]
        cells += [f"{float(max(0, *tally.excess)):g}", tally.too_low, tally.bound_broken, tally.loose]
        cells += [f"{max(tally.gaps):.3f}"]
        rows.append([name, *map(str, cells)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(table(run(arguments.problems, arguments.seed)))
