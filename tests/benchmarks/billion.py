"""A billion users by ten arms from a source that is never on disk: solved and certified, seconds and peak memory.

    python tests/benchmarks/billion.py --users 1_000_000_000 --budget-per-user 0.5

Every user is made from a hash of the place, so any block can be made alone, as often as it is asked for, and no run
stores one. Printed are the passes with the seconds of each, the price, the totals with the certificate, and a check:
the spend of all decisions summed up once more, exactly, in a pass of its own that is not part of the time (--check).
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit

from allocation.engine import threads
from allocation.engine.money import register_of, register_total
from allocation.engine.stream.budget import solve_budget_in_chunks
from allocation.engine.stream.chunks import Arrays, Chunk, Work, merged
from allocation.engine.stream.solved import Rule
from tests.benchmarks.speed import Line

ARMS = 10
SIZE = 1 << 20  # users of a chunk
SECONDS, MEMORY = 900.0, 1.5e9  # what is asked


@dataclass
class GeneratedChunks:
    """Users made on the spot: value and cost rise from arm to arm by random amounts, control costs nothing."""

    users: int
    arms: int = ARMS

    @property
    def places(self) -> int:
        """How many users there are."""
        return self.users

    def __post_init__(self) -> None:
        self.passes: list[tuple[str, float]] = []

    def each(self, work: Work, what: str) -> list[Arrays]:
        """See `Chunks`."""
        return self._timed(what, lambda: [work(chunk) for chunk in self.chunks()])

    def tree(self, work: Work, merge: Callable[[Arrays, Arrays], Arrays], what: str) -> Arrays | None:
        """See `Chunks`."""
        return self._timed(what, lambda: merged((work(chunk) for chunk in self.chunks()), merge))

    def chunks(self) -> Iterator[Chunk]:
        """All users, SIZE at a time, in the same two tables."""
        value, cost = (np.empty((SIZE, self.arms), dtype=np.float32) for _ in range(2))
        for first in range(0, self.users, SIZE):
            rows = min(SIZE, self.users - first)

            def piece(at: tuple[int, int], first: int = first) -> None:
                """Make some of them."""
                make_users(first + at[0], value[at[0] : at[1]], cost[at[0] : at[1]])

            threads.run(piece, threads.pieces(rows))
            yield Chunk(first, value[:rows], cost[:rows])

    def _timed(self, what: str, task: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        done = task()
        self.passes.append((what, time.perf_counter() - began))
        print(f"{what}: {self.passes[-1][1]:.0f} s", flush=True)
        return done


@njit(nogil=True, cache=True)
def make_users(first: int, value: Any, cost: Any) -> None:
    """Users from `first` on: two sums of uniform amounts from a hash of place and arm (SplitMix64)."""
    unit = np.float32(1 / (1 << 24))
    for i in range(len(value)):
        high, spent = np.float32(0), np.float32(0)
        for j in range(value.shape[1]):
            z = (np.uint64(first + i) * np.uint64(16) + np.uint64(j)) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
            high += np.float32(z & np.uint64(0xFFFFFF)) * unit
            value[i, j], cost[i, j] = high, spent
            spent += np.float32((z >> np.uint64(24)) & np.uint64(0xFFFFFF)) * unit + unit


@dataclass(frozen=True, eq=False)
class Spend:
    """What the decisions of a chunk cost, as a register."""

    rule: Rule

    def __call__(self, chunk: Chunk) -> Arrays:
        decision = self.rule.decide(chunk)
        return {"cost": register_of(chunk.cost[np.arange(len(chunk)), decision].astype(np.float64))}


def main() -> None:
    """Solve, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000_000)
    parser.add_argument("--budget-per-user", type=float, default=0.5)
    parser.add_argument("--check", action="store_true", help="sum up the spend of all decisions once more")
    options = parser.parse_args()
    solve_budget_in_chunks(GeneratedChunks(10_000), 5_000.0)  # compiles
    chunks, budget = GeneratedChunks(options.users), options.budget_per_user * options.users
    began = time.perf_counter()
    solved = solve_budget_in_chunks(chunks, budget)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lines = [
        Line(
            f"{options.users:,} users x {ARMS} arms, solved",
            f"{seconds:.0f} s",
            "",
            "",
            "<= 900 s",
            seconds <= SECONDS,
        ),
        Line("peak memory", f"{peak / 1e9:.2f} GB", "", "", "<= 1.5 GB", peak <= MEMORY),
        Line("passes over the users", f"{len(chunks.passes)}", "", ""),
        Line("price (value per unit of money)", f"{solved.price:.9g}", "", ""),
        Line("value", f"{solved.value:,.3f}", "", ""),
        Line("cost", f"{solved.cost:,.6f}", f"{budget:,.0f}", "", "<= budget", solved.exact_cost <= Fraction(budget)),
        Line("gap", f"{solved.gap:.1e}", "", ""),
    ]
    if options.check:
        parts = chunks.each(Spend(solved.rule), "spend summed up again")
        spent = sum((register_total(part["cost"]) for part in parts), Fraction(0))
        lines.append(
            Line("spend of all decisions, again", f"{float(spent):,.6f}", "", "", "equal", spent == solved.exact_cost)
        )
    print("| what | found | budget | | asked | held |")
    print("|---|---|---|---|---|---|")
    for line in lines:
        held = "" if line.ok is None else "yes" if line.ok else "no"
        print(f"| {' | '.join(map(str, line[:5]))} | {held} |")


if __name__ == "__main__":
    main()
