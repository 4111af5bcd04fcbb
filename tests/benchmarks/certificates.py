"""Are the certificates true? Random problems with and without limits: value <= optimum <= bound, every limit held.

    python tests/benchmarks/certificates.py [--problems 1000] [--seed 0] [--users 100] [--only PATTERN]

Half of the problems have limits. Half of each are small (up to 7 users and 3 arms besides control) and compared with
an exact enumeration, half have `--users` users and are compared with milp. Where milp leaves the optimum open, within
10 seconds, between what it attained and its own bound, our value is compared with its bound and our bound with what
it attained. A value or bound is at fault where it misses by more than rounding (a share 1e-9 of the users' largest
absolute values); the budget and the limits are counted in exact arithmetic, without any tolerance. A problem counts
as undecided where `solve` refuses it although a decision exists.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field, fields
from fractions import Fraction

import numpy as np

from allocation import Problem, ProblemError, solve
from tests.invariants import budget_excess, tolerance
from tests.limit_invariants import broken_limits
from tests.limit_oracles import limited_brute_force, limited_milp
from tests.limit_strategies import LIMIT_FAMILIES, random_limited_problem
from tests.oracles import exact_total
from tests.strategies import FAMILIES, random_problem

# Their arms differ in cost by less than the tolerance of a floating-point programme: exact enumeration only.
BRUTE_FORCE_ONLY = ("costs a rounding apart",)
TITLES = [
    "family",
    "against brute force",
    "against milp",
    "left open by milp",
    "undecided",
    "budget or a limit broken",
    "value above the optimum",
    "bound below the optimum",
    "proven optimal",
    "mean gap reported",
    "worst gap reported",
    "mean distance to the optimum",
    "worst distance to the optimum",
]


@dataclass
class Tally:
    """What came out in one family; distances and gaps are shares of the optimum."""

    small: int = 0
    large: int = 0
    unproved: int = 0
    undecided: int = 0
    broken: int = 0
    too_good: int = 0
    too_low: int = 0
    optimal: int = 0
    gaps: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)

    def judge(self, problem: Problem, attained: Fraction | float, bound: float | Fraction) -> None:
        """Solve, and compare with an optimum known to lie in [attained, bound]."""
        rounding = Fraction(tolerance(problem))
        self.unproved += Fraction(bound) - attained > rounding
        try:
            solved = solve(problem)
        except ProblemError:
            self.undecided += 1
            return
        value = exact_total(problem.value, solved.decision)
        self.broken += bool(broken_limits(problem, solved)) or budget_excess(problem, solved) > 0
        self.too_good += value > Fraction(bound) + rounding
        self.too_low += Fraction(solved.bound) < attained - rounding
        self.optimal += Fraction(solved.bound) - value <= rounding
        self.gaps.append(solved.gap)
        self.distances.append(float(max(0, attained - value) / (abs(attained) or 1)))

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)))

    def cells(self) -> list[str]:
        """The row of the table, behind its title."""
        counts = (self.small, self.large, self.unproved, self.undecided, self.broken, self.too_good, self.too_low)
        shares = [f"{of(x):.2g}" for x in (self.gaps or [0.0], self.distances or [0.0]) for of in (np.mean, max)]
        return [*map(str, counts), str(self.optimal), *shares]


def run(n_problems: int, seed: int, users: int, only: str) -> dict[str, Tally]:
    """A quarter each: with and without limits, small and large; the families in turn."""
    tallies = {}
    for families, draw, kind in (
        (FAMILIES, random_problem, "one budget"),
        (LIMIT_FAMILIES, random_limited_problem, "limits"),
    ):
        wanted = [family for family in families if re.search(only, f"{kind}: {family}")]
        tallies |= {f"{kind}: {family}": Tally() for family in wanted}
        programmed = [family for family in wanted if family not in BRUTE_FORCE_ONLY]
        for k in range(n_problems // 4 if wanted else 0):
            rng, family = np.random.default_rng([seed, len(families), k, 0]), wanted[k % len(wanted)]
            problem = draw(rng, int(rng.integers(1, 8)), int(rng.integers(1, 4)), family)
            optimum = limited_brute_force(problem)
            tallies[f"{kind}: {family}"].judge(problem, optimum, optimum)
            tallies[f"{kind}: {family}"].small += 1
        for k in range(n_problems // 4 if programmed else 0):
            rng, family = np.random.default_rng([seed, len(families), k, 1]), programmed[k % len(programmed)]
            problem = draw(rng, users, int(rng.integers(1, 5)), family)
            tallies[f"{kind}: {family}"].judge(problem, *limited_milp(problem))
            tallies[f"{kind}: {family}"].large += 1
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """One row a family and one for all."""
    rows = [TITLES, ["---"] + ["---:"] * (len(TITLES) - 1)]
    rows += [[name, *tally.cells()] for name, tally in tallies.items()]
    rows.append(["**all**", *sum(tallies.values(), Tally()).cells()])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=100, help="of the problems compared with milp")
    parser.add_argument("--only", default="", metavar="PATTERN", help='such as "limits" or "arm caps"')
    chosen = parser.parse_args()
    print(table(run(chosen.problems, chosen.seed, chosen.users, chosen.only)))
