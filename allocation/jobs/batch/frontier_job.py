"""The frontier of all users in one pass: what every budget would buy, at what price, and who would get what."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.frontier import Frontier
from allocation.engine.money import new_register, register_of, register_total
from allocation.engine.stream.chunks import Arrays, Chunk, Chunks, Work
from allocation.engine.stream.heaps import KNOTS, heap_of_chunks
from allocation.jobs.batch.decide_job import Watch
from allocation.jobs.batch.given import given_plan
from allocation.jobs.batch.inputs import open_users
from allocation.jobs.batch.passes import Cut, LocalPasses
from allocation.jobs.plan import Plan
from uplift.errors import InputError

TENTHS = 10  # rungs of the ladder
GRID = 200  # points of a curve that is drawn


@dataclass(frozen=True, eq=False)
class FrontierResult:
    """The frontier of a plan's users, its limits not looked at.

    Attributes
    ----------
    plan : the plan, or one with a name and a table alone. arms : names, control first. frontier : of all users.
    control : value of everybody on control, exactly summed. budgets : (b,) money, rising; the plan's is among them.
    fingerprint : of what was read, None where nobody asked. seconds : what it took.
    """

    plan: Plan
    arms: tuple[str, ...]
    frontier: Frontier
    control: float
    budgets: NDArray[np.float64]
    fingerprint: dict[str, Any] | None
    seconds: float

    @cached_property
    def ends(self) -> float:
        """The budget from which on money buys nothing more."""
        return float(self.frontier.budget[-1])

    @cached_property
    def starts(self) -> float:
        """What the cheapest decision costs; no budget below can be kept."""
        return float(self.frontier.budget[0])

    def columns(self, budgets: NDArray[np.float64] | None = None) -> dict[str, NDArray[np.float64]]:
        """budget, value, gain, price and share.<arm> at some budgets, or at those of the result, (b,) each.

        Value and gain are -inf, price inf and shares NaN below the cheapest decision.
        """
        at = self.budgets if budgets is None else budgets
        value, price = self.frontier.at(at)
        mix = self.frontier.arm_mix(at)
        shares = {f"share.{arm}": mix[:, j] for j, arm in enumerate(self.arms)}
        return {"budget": at, "value": value, "gain": value - self.control, "price": price, **shares}

    def curve(self, *, own: bool = True) -> NDArray[np.float64]:
        """GRID budgets to draw a curve through, from the cheapest to the last of interest, and the result's own."""
        grid = np.linspace(self.starts, max(self.ends, float(self.budgets[-1])), GRID)
        return np.unique(np.concatenate([grid, self.budgets])) if own else grid


def frontier_plan(
    path: str | Path, *, responses: str | None = None, model: str | None = None, features: str | None = None
) -> Plan:
    """The plan in a TOML file, with what is given instead of its own, or a plan of a response table alone.

    Raises InputError as `given_plan` does, and for a table beside what would take its place.
    """
    if str(path).lower().endswith(".toml"):
        return given_plan(path, responses=responses, model=model, features=features)
    given = {"--responses": responses, "--model": model, "--features": features}
    for name, other in given.items():
        if other is not None:
            raise InputError(f"{path} is taken for a response table, and {name} names another; give one of them")
    return Plan(name=Path(path).name or str(path), responses=str(path))


def run_frontier(
    plan: Plan, budgets: Sequence[float] | None = None, watch: Watch | None = None, *, fingerprint: bool = False
) -> FrontierResult:
    """The frontier of the plan's users, in one pass; at `budgets` (money), or at ten that each buy a tenth more.

    Limits of the plan are not looked at: with them, a budget buys less. Steps are heaped by return, 512 bins for each
    doubling: between two knots the value is a chord, a hair below what `decide` promises.

    Raises InputError for a table that cannot be read and for budgets that are no finite numbers.
    """
    watch, began = watch or Watch(), time.perf_counter()
    for budget in budgets or ():
        if not math.isfinite(budget):
            raise InputError(f"a budget is {budget}; finite numbers are expected, in the unit of cost")
    source = open_users(plan, watch.step, ids=False)
    if fingerprint:
        source.start_fingerprint()
    chunks = _ControlToo(LocalPasses(source, Cut((), plan.part_rows), watch))
    found = Frontier(heap_of_chunks(chunks), source.n, KNOTS)
    asked = ladder(found) if budgets is None else np.array(budgets, dtype=np.float64)
    own = [] if plan.budget is None else [plan.budget]
    return FrontierResult(
        plan=plan,
        arms=source.arms,
        frontier=found,
        control=float(register_total(chunks.control)),
        budgets=np.unique(np.append(asked, own)),
        fingerprint=source.fingerprint() if fingerprint else None,
        seconds=time.perf_counter() - began,
    )


def ladder(frontier: Frontier) -> NDArray[np.float64]:
    """Budgets of three digits, of which each buys another tenth of all that money can buy; the last buys all."""
    start, end = float(frontier.value[0]), float(frontier.value[-1])
    targets = np.linspace(start, end, TENTHS + 1)[1:]
    return np.unique([_rounded_up(x) for x in np.interp(targets, frontier.value, frontier.budget)])


def _rounded_up(x: float) -> float:
    """The least number of three digits that is no less, but for what rounding may have added to x."""
    near = Decimal(x).normalize(Context(prec=9))
    return float(near.normalize(Context(prec=3, rounding=ROUND_CEILING)))


class _ControlToo:
    """Chunks on this machine that also sum what everybody is worth on control, exactly, as a pass goes by."""

    def __init__(self, chunks: Chunks) -> None:
        self.chunks, self.control = chunks, new_register()

    @property
    def arms(self) -> int:
        """K+1."""
        return self.chunks.arms

    @property
    def places(self) -> int:
        """How far the users' places go."""
        return self.chunks.places

    def each(self, work: Work, what: str) -> list[Arrays]:
        """See `Chunks`."""
        return self.chunks.each(work, what)

    def tree(self, work: Work, merge: Callable[[Arrays, Arrays], Arrays], what: str) -> Arrays | None:
        """See `Chunks`."""

        def both(chunk: Chunk) -> Arrays:
            """The work, and the sum beside it."""
            self.control += register_of(chunk.value[:, 0])
            return work(chunk)

        return self.chunks.tree(both, merge, what)
