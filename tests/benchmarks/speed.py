"""What the allocation benchmark measures: each function gives lines of its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from statistics import median
from typing import NamedTuple

import numpy as np

from allocation import Problem, frontier, solve
from tests.benchmarks.instances import concave, twenty_limits, under_one_budget
from tests.benchmarks.memory import peak_above_tables
from tests.benchmarks.peers import race
from tests.invariants import budget_excess
from tests.limit_invariants import broken_limits


class Line(NamedTuple):
    """A line of the table; `ok` is None where no figure is asked."""

    what: str
    ours: str
    yardstick: str
    ratio: str
    asked: str = ""
    ok: bool | None = None


class Options(NamedTuple):
    """How much to measure: repeats of ours, seconds for each peer, and a factor on every number of users."""

    repeats: int
    patience: float
    scale: float

    def users(self, full: int) -> int:
        """The number of users of a line that has `full` of them in a complete run."""
        return max(1_000, int(full * self.scale))


def medians(repeats: int, *tasks: Callable[[], object]) -> list[float]:
    """Median seconds of each task; the tasks take turns, so that a busy moment meets all of them."""
    taken: list[list[float]] = [[] for _ in tasks]
    for _ in range(repeats):
        for task, seconds in zip(tasks, taken, strict=True):
            start = time.perf_counter()
            task()
            seconds.append(time.perf_counter() - start)
    return [median(seconds) for seconds in taken]


def shown(seconds: float) -> str:
    """Seconds with three digits, milliseconds below one tenth."""
    return f"{seconds:.3g} s" if seconds >= 0.1 else f"{seconds * 1e3:.3g} ms"


@cache
def tables(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The concave tables, made once; fewer users are the first of them."""
    return concave(n)


def warm_up() -> None:
    """Have everything compiled before anything is timed."""
    value, cost = concave(2_000)
    solve(under_one_budget(value, cost))
    solve(twenty_limits(2_000))
    frontier(value, cost)
    frontier(value, cost, knots=8_000, replicates=200, seed=0)


def read(options: Options) -> Iterator[Line]:
    """One budget beside reading both tables once."""
    n = options.users(10_000_000)
    value, cost = tables(n)
    problem = under_one_budget(value, cost)
    ours, whole, once = medians(
        options.repeats,
        lambda: solve(problem),
        lambda: solve(under_one_budget(value, cost)),
        lambda: value.sum() + cost.sum(),
    )
    gap = solve(problem).gap
    for what, seconds in (("", ours), (", tables checked as well", whole)):
        yield Line(
            f"one budget, {n:,} users, float32{what} (gap {gap:.1g})",
            shown(seconds),
            f"one read of both tables {shown(once)}",
            f"{seconds / once:.2f} x the read",
            "<= 8 x" if not what else "",
            seconds <= 8 * once if not what else None,
        )


def growth(options: Options) -> Iterator[Line]:
    """Time per user from a thousand users on."""
    most = options.users(10_000_000)
    sizes = [n for n in (1_000, 10_000, 100_000, 1_000_000, 10_000_000) if n <= most]
    each = {}
    for n in sizes:
        value, cost = (table[:n] for table in tables(most))
        problem = under_one_budget(value, cost)
        repeats = options.repeats * (3 if n <= 100_000 else 1)  # so short that a disturbance weighs more
        [seconds] = medians(repeats, lambda problem=problem: solve(problem))
        each[n] = seconds / n
    large = [each[n] for n in sizes if n >= 100_000]
    spread = max(large) / min(large) if large else float("nan")
    yield Line(
        "one budget, time per user at " + ", ".join(f"{n:,}" for n in sizes),
        ", ".join(f"{seconds * 1e9:.3g}" for seconds in each.values()) + " ns",
        "itself",
        f"{spread:.2f} x between slowest and fastest from 100,000 on",
        "<= 2 x",
        spread <= 2,
    )


def memory(options: Options) -> Iterator[Line]:
    """Peak memory beside that of the tables."""
    n = options.users(10_000_000)
    extra, held = peak_above_tables(n)
    yield Line(
        f"one budget, {n:,} users, peak memory above the tables",
        f"{extra / 1e6:,.0f} MB",
        f"the two tables {held / 1e6:,.0f} MB",
        f"{extra / held:.3f} x the tables",
        "<= 0.5 x",
        extra <= 0.5 * held,
    )


def frontiers(options: Options) -> Iterator[Line]:
    """All budgets: with knots, every step, and with bands."""
    n = options.users(1_000_000)
    value, cost = (table[:n] for table in tables(options.users(10_000_000)))
    binned, full, banded, once = medians(
        options.repeats,
        lambda: frontier(value, cost, knots=8_000),
        lambda: frontier(value, cost),
        lambda: frontier(value, cost, knots=8_000, replicates=200, seed=0),
        lambda: value.sum() + cost.sum(),
    )
    knots, steps = (len(frontier(value, cost, knots=k).budget) for k in (8_000, None))
    read_once = f"one read of both tables {shown(once)}"
    for what, seconds, asked in (
        (f"frontier of all budgets, {knots:,} knots", binned, 0.15),
        (f"frontier of all budgets, every step ({steps:,} knots)", full, 0.6),
        ("200 bootstrap bands, beyond the frontier itself", banded - binned, 0.6),
    ):
        ratio = f"{seconds / once:.1f} x the read"
        yield Line(f"{what}, {n:,} users", shown(seconds), read_once, ratio, f"<= {asked:g} s", seconds <= asked)


def one_budget_peers(options: Options) -> Iterator[Line]:
    """One budget beside linear and integer programming."""
    large, small = options.users(100_000), options.users(10_000)
    for n, peer, asked in (
        (large, "PDLP", 300),
        (large, "HiGHS interior point", None),
        (small, "HiGHS simplex", None),
        (small, "HiGHS integer", None),
        (small, "CP-SAT", None),
    ):
        problem = under_one_budget(*concave(n))
        [ours] = medians(options.repeats, lambda problem=problem: solve(problem))
        gap = solve(problem).gap
        run = race(peer, "one_budget", n, options.patience)
        yield Line(
            f"one budget, {n:,} users (gap {gap:.1g})",
            shown(ours),
            f"{peer} {run}",
            f"{'' if run.done else '> '}{run.seconds / ours:,.0f} x faster",
            f">= {asked} x, gap <= 1e-6" if asked else "",
            run.seconds >= asked * ours and gap <= 1e-6 if asked else None,
        )


def twenty_limits_peers(options: Options) -> Iterator[Line]:
    """Twenty limits beside linear programming, and alone for more users."""
    large, small = options.users(100_000), options.users(10_000)
    for n, peer, asked in (
        (large, "PDLP", 30),
        (large, "HiGHS interior point", None),
        (small, "HiGHS simplex", None),
        (small, "CP-SAT", None),
    ):
        ours, gap, held, note = _under_limits(twenty_limits(n), options.repeats)
        run = race(peer, "twenty_limits", n, options.patience, gap=1e-4)
        yield Line(
            f"20 limits, {n:,} users ({note})",
            shown(ours),
            f"{peer} {run}",
            f"{'' if run.done else '> '}{run.seconds / ours:,.1f} x faster",
            f">= {asked} x, gap <= 1e-4, limits hold" if asked else "",
            held and gap <= 1e-4 and run.seconds >= asked * ours if asked else None,
        )
    n = options.users(1_000_000)
    problem = twenty_limits(n)
    ours, gap, held, note = _under_limits(problem, min(options.repeats, 3))
    [once] = medians(options.repeats, lambda: problem.value.sum() + problem.cost.sum())
    yield Line(
        f"20 limits, {n:,} users ({note})",
        shown(ours),
        f"one read of both tables {shown(once)}",
        f"{ours / once:,.0f} x the read",
        "<= 20 s, limits hold",
        held and ours <= 20,
    )


def _under_limits(problem: Problem, repeats: int) -> tuple[float, float, bool, str]:
    """Seconds, gap, whether the budget and every limit hold exactly, and both in words."""
    [seconds] = medians(repeats, lambda: solve(problem))
    solved = solve(problem)
    broken = len(broken_limits(problem, solved)) + (budget_excess(problem, solved) > 0)
    binding = sum(use.binding is not None for use in solved.limits)
    return seconds, solved.gap, broken == 0, f"gap {solved.gap:.1g}, {binding} bind, {broken} broken"


MEASURES = {
    "read": read,
    "growth": growth,
    "memory": memory,
    "frontier": frontiers,
    "peers": one_budget_peers,
    "limits": twenty_limits_peers,
}
