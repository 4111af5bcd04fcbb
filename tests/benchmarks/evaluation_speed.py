"""How fast 1,000 bootstrap replicates of an evaluation are; prints one Markdown table.

    python tests/benchmarks/evaluation_speed.py [--repeats 3] [--users 64000] [--replicates 1000]

Four policies at 20 budgets, three arms, value and spend under IPW, the self-normalised and the doubly robust
estimator: 80 decisions and 5 tables of scores. *solved*: each policy solves each budget on its own predictions, so
that neighbouring budgets mostly decide alike; *anew*: arms drawn at random at every budget, the worst that can be.
Peers give the same sums: *matrix product*, all cells' scores times the counts of each resample, in blocks of 100;
*index*, what one writes first, cells' scores at the drawn rows, summed; scipy.stats.bootstrap, one cell at a time,
which is not paired. The slow ones run fewer replicates or cells, and the time is scaled up, marked ~. The first two
draw the resamples that ours draws, and their sums must agree. econml bootstraps whole estimators by fitting them
again, which is another task. Memory is the peak above what is held before. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from allocation import evaluate
from allocation.engine.problem import Problem
from allocation.engine.solve import solve
from allocation.evaluation.outcomes import Outcomes
from allocation.evaluation.scores import score_tables
from allocation.evaluation.verified import resample
from tests.benchmarks.fixed_rules import Given
from tests.benchmarks.speed import medians, shown
from uplift.campaign import Campaign
from uplift.seeds import stream

ARMS = ("none", "small", "big")
POLICIES, BUDGETS = 4, 20
ESTIMATORS = ("ipw", "sn", "dr")
BLOCK = 100  # resamples of one matrix product
INDEX_REPLICATES = 10
ASKED_S = 10.0
SEED = 0


@dataclass(frozen=True, eq=False)
class Case:
    """A log, its outcome model, and the decisions (budgets x policies, n) of 4 policies at 20 budgets."""

    log: Campaign
    outcomes: Outcomes
    budgets: tuple[float, ...]
    decision: np.ndarray

    def policies(self) -> dict[str, Given]:
        """The decisions as policies."""
        by_budget = self.decision.reshape(BUDGETS, POLICIES, -1)
        return {
            f"policy {k}": Given(dict(zip(self.budgets, by_budget[:, k], strict=True)), ARMS) for k in range(POLICIES)
        }

    def evaluate(self, replicates: int) -> object:
        """The whole evaluation, with the outcome models given."""
        return evaluate(
            self.policies(),
            self.log,
            budgets=self.budgets,
            reference="policy 0",
            estimators=ESTIMATORS,
            outcome_model=self.outcomes,
            n_bootstrap=replicates,
            seed=SEED,
        )


def case_of(n: int, solved: bool) -> Case:
    """A uniformly randomised log of 3 arms."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)).astype(np.float32)
    effect = np.column_stack([np.zeros(n), 1 + X[:, 0], 2 + X[:, 1]])
    value, cost = 5 + X[:, [2]] + effect, np.tile([0.0, 0.5, 1.0], (n, 1))
    treatment, rows = rng.integers(0, 3, n), np.arange(n)
    log = Campaign(
        X=X,
        treatment=treatment,
        value=rng.gamma(2.0, np.maximum(value, 0.1)[rows, treatment] / 2),
        cost=cost[rows, treatment] * (rng.random(n) < 0.5),
        propensity=np.full((n, 3), 1 / 3),
        arms=ARMS,
        user_id=rows,
        features=("a", "b", "c", "d"),
    )
    budgets = tuple(n * share for share in np.linspace(0.02, 0.8, BUDGETS))
    if solved:
        guesses = [value + rng.normal(0, 0.5, (n, 3)) for _ in range(POLICIES)]
        decision = np.array([solve(Problem(guess, cost, b)).decision for b in budgets for guess in guesses])
    else:
        decision = rng.integers(0, 3, (BUDGETS * POLICIES, n))
    return Case(log, Outcomes(value, cost / 2), budgets, decision.astype(np.int8))


def ours(tables: dict, case: Case, replicates: int) -> np.ndarray:
    """Sums of each table's chosen cells, (replicates, tables, cells)."""
    sums, _ = resample(tables, case.decision, POLICIES, replicates, SEED, None)
    return np.stack([sums[key] for key in tables], axis=1)


def matrix_product(scores: np.ndarray, replicates: int) -> np.ndarray:
    """The same of scores (tables, cells, n)."""
    q, m, n = scores.shape
    flat, rng = scores.reshape(q * m, n), stream(SEED, "bootstrap")
    sums = np.empty((replicates, q, m))
    for start in range(0, replicates, BLOCK):
        size = min(BLOCK, replicates - start)
        count = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(size)])
        sums[start : start + size] = (count.astype(np.float64) @ flat.T).reshape(size, q, m)
    return sums


def by_index(scores: np.ndarray, replicates: int) -> np.ndarray:
    """The same, user by user."""
    n, rng = scores.shape[-1], stream(SEED, "bootstrap")
    return np.stack([scores[:, :, rng.integers(0, n, n)].sum(axis=-1) for _ in range(replicates)])


def by_scipy(cell: np.ndarray, replicates: int) -> object:
    """Percentile interval of one cell's mean."""
    return stats.bootstrap(
        (cell,), np.mean, n_resamples=replicates, method="percentile", batch=BLOCK, rng=np.random.default_rng(SEED)
    )


def chosen_scores(tables: dict, case: Case) -> np.ndarray:
    """The cells that every decision picks, (tables, cells, n)."""
    rows = np.arange(len(case.log))
    return np.stack([table[rows, case.decision] for table in tables.values()])


def peak_above(task: Callable[[], object]) -> int:
    """Bytes at the peak of the task above what is held before (Linux)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew at what is held now
    before = _resident("VmRSS")
    task()
    return _resident("VmHWM") - before


def _resident(line: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(text.split()[1]) for text in status if text.startswith(line))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--users", type=int, default=64_000)
    parser.add_argument("--replicates", type=int, default=1_000)
    options = parser.parse_args()
    n, R = options.users, options.replicates
    print(
        f"{n:,} users, {POLICIES} policies x {BUDGETS} budgets, {R:,} replicates, {len(ESTIMATORS)} estimators of "
        f"value and spend; median of {options.repeats}; {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}\n"
    )
    print("| what | seconds | peak memory | largest difference to ours | against ours | asked | ok |")
    print("|---|---:|---:|---:|---:|---|---|", flush=True)
    small = case_of(2_000, solved=True)
    small.evaluate(10)  # compiles
    for name, solved in (("solved", True), ("anew", False)):
        case = case_of(n, solved)
        tables = score_tables(case.log, ESTIMATORS, case.outcomes, np.sqrt(n))
        sums = ours(tables, case, R)
        [whole] = medians(options.repeats, lambda case=case: case.evaluate(R))
        memory = peak_above(lambda case=case: case.evaluate(R))
        line(f"{name}: whole `evaluate`, outcome models given", whole, memory, None, None, ASKED_S)
        [resampling] = medians(options.repeats, lambda case=case, tables=tables: ours(tables, case, R))
        memory = peak_above(lambda case=case, tables=tables: ours(tables, case, R))
        line(f"{name}: resampling alone", resampling, memory, None, 1.0, ASKED_S)

        def product(case: Case = case, tables: dict = tables) -> np.ndarray:
            return matrix_product(chosen_scores(tables, case), R)

        [seconds] = medians(options.repeats, product)
        line(f"{name}: matrix product", seconds, peak_above(product), apart(product(), sums), seconds / resampling)
        if solved:
            slow_peers(tables, case, sums, R, resampling)


def slow_peers(tables: dict, case: Case, sums: np.ndarray, replicates: int, resampling: float) -> None:
    """Lines of the peers that run in part."""
    few = min(INDEX_REPLICATES, replicates)

    def index() -> np.ndarray:
        return by_index(chosen_scores(tables, case), few)

    [seconds] = medians(1, index)
    memory, difference = peak_above(index), apart(index(), sums[:few])
    scaled = seconds * replicates / few
    line(f"solved: index ({few} replicates, scaled)", scaled, memory, difference, scaled / resampling)
    cell = chosen_scores(tables, case)[0, 0]
    [seconds] = medians(1, lambda: by_scipy(cell, replicates))
    memory = peak_above(lambda: by_scipy(cell, replicates))
    scaled = seconds * len(tables) * len(case.decision)
    line("solved: scipy.stats.bootstrap (1 cell, scaled)", scaled, memory, None, scaled / resampling)


def apart(sums: np.ndarray, others: np.ndarray) -> float:
    """Largest difference relative to the size of each table's sums."""
    return float((np.abs(sums - others) / np.abs(others).max(axis=(0, 2), keepdims=True)).max())


def line(
    what: str,
    seconds: float,
    memory: int,
    difference: float | None,
    ratio: float | None,
    asked: float | None = None,
) -> None:
    """Print a row."""
    scaled = "~ " if "scaled" in what else ""
    cells = [
        what,
        f"{scaled}{shown(seconds)}",
        f"{memory / 1e6:,.0f} MB",
        "" if difference is None else f"{difference:.1g}",
        "" if ratio is None else f"{scaled}{ratio:.2f} x" if ratio < 10 else f"{scaled}{ratio:,.0f} x",
        "" if asked is None else f"<= {asked:g} s",
        "" if asked is None else "yes" if seconds <= asked else "**no**",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
