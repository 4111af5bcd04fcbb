"""Every budget answered at once: promised and verified figures of a run, from one pass over its users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocation.engine.frontier import Frontier, frontier
from allocation.evaluation.verified_decision import total_of
from allocation.evaluation.verified_path import Estimated, VerifiedPath, verified_path
from allocation.jobs.analyst.compared import CURRENT
from allocation.jobs.analyst.run import Evidence, Run
from uplift.errors import InputError

Array = NDArray[np.float64]
POINTS = 100  # of a curve
NEXT = 10_000.0  # money that the next step is told for, or what a hundredth of all is where that is less
REPLICATES = 100  # of the users, for the band of a promise that no log verifies
RANDOM, SINGLE = "random", "best single arm"
UNKNOWN = Estimated(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Answer:
    """What a budget buys; amounts are totals over all users, gain and extra spend are above everybody on control.

    promised_gain, spend, price : by the response table itself, value units, money in all, value per money.
    promised_extra : that spend above control's. promised_average : promised gain per promised_extra, NaN where that
    is nothing. next_money, next_gain : what so much more buys. gain, extra_spend, average, marginal : verified, with
    intervals, NaN where the log cannot tell; average is gain per extra spend, marginal the same of the users around
    the budget. lacking : why there is no verified figure, empty where there is.
    """

    budget: float
    promised_gain: float
    spend: float
    promised_extra: float
    promised_average: float
    price: float
    next_money: float
    next_gain: float
    gain: Estimated
    extra_spend: Estimated
    average: Estimated
    marginal: Estimated
    lacking: str


class Drawn(NamedTuple):
    """The frames of `Answers.curve`, `Answers.mix` and `rival_lines`; to be read only."""

    curve: pd.DataFrame
    mix: pd.DataFrame
    rivals: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Answers:
    """A run's frontier, its verified path, and the rivals; made by `answers_of` once, asked as often as one likes.

    control : value and cost of everybody on control. rivals : name, extra spend and gain above control, verified.
    """

    run: Run
    frontier: Frontier
    path: VerifiedPath | None
    control: tuple[float, float]
    rivals: tuple[tuple[str, float, Estimated], ...]

    @cached_property
    def drawn(self) -> Drawn:
        """What is drawn of all budgets, worked out once: seconds for a million users."""
        return Drawn(self.curve(), self.mix(), rival_lines(self))

    @property
    def span(self) -> tuple[float, float]:
        """The least budget there can be and the one at which all is bought, money."""
        return self.frontier.span

    def at(self, budget: float) -> Answer:
        """The figures of one budget; InputError below what the cheapest decision costs."""
        least, most = self.span
        if not math.isfinite(budget) or budget < least:
            raise InputError(f"budget is {budget:,.6g}; the cheapest decision costs {least:,.6g}: give at least that")
        value, price = self.frontier.at(budget)
        further = min(NEXT, max((most - least) / 100, 1e-9))
        more = self.frontier.at(budget + further)[0] - value
        verified = (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
        lacking = "no log of these users is there"
        if self.path is not None:
            known = bool(self.path.supported(budget)[0])
            lacking = "" if known else "too few logged users received what is decided for them"
            if known:
                gained, spent = (Estimated(*(float(x[0]) for x in own)) for own in self.path.totals(budget).values())
                verified = (gained, spent, self.path.average_return(budget), self.path.marginal_return(budget))
        gain, spend = value - self.control[0], min(budget, most)
        extra = spend - self.control[1]
        average = gain / extra if extra > 0 else math.nan
        return Answer(budget, gain, spend, extra, average, price, further, more, *verified, lacking)

    def shares(self, budget: float) -> dict[str, float]:
        """Share of the users on each arm as it is drawn: in proportion between two points of `drawn.mix`."""
        mix = self.drawn.mix
        rows = {arm: mix[mix["arm"] == arm] for arm in self.run.arms}
        return {arm: float(np.interp(budget, own["budget"], own["share"])) for arm, own in rows.items()}

    def curve(self, points: int = POINTS) -> pd.DataFrame:
        """`budget`, `promised` gain, verified `gain`, `low`, `high`, `supported`; a row a budget, evenly spread."""
        budget = np.linspace(*self.span, points)
        frame = {"budget": budget, "promised": self.frontier.at(budget)[0] - self.control[0]}
        if self.path is not None:
            gain, low, high = self.path.totals(budget)["gain"]
            frame |= {"gain": gain, "low": low, "high": high, "supported": self.path.supported(budget)}
        elif self.frontier.replicates is not None:
            low, high = self.frontier.band(budget)
            frame |= {"low": low - self.control[0], "high": high - self.control[0]}
        return pd.DataFrame(frame)

    def mix(self, points: int = POINTS) -> pd.DataFrame:
        """`budget`, `arm`, `share` of the users; a row a budget and arm."""
        budget = np.linspace(*self.span, points)
        shares = self.frontier.arm_mix(budget)
        frame = pd.DataFrame(shares, columns=list(self.run.arms)).assign(budget=budget)
        return frame.melt("budget", var_name="arm", value_name="share")


def answers_of(run: Run) -> Answers:
    """Walk every user's steps once: seconds for a million users, and some 60 bytes a step beside the run's own."""
    exact = run.evidence is not None
    curve = frontier(run.value, run.cost, eligible=run.eligible, replicates=0 if exact else REPLICATES)
    value, cost = (float(table[:, 0].sum(dtype=np.float64)) for table in (run.value, run.cost))
    control = (value, cost)
    if run.evidence is None:
        return Answers(run, curve, None, control, ())
    e = run.evidence
    path = verified_path(run.value, run.cost, e.value_score, e.spend_score, e.treatment, e.propensity, run.eligible)
    return Answers(run, curve, path, control, tuple(_rivals(run.arms, e)))


def rival_lines(answers: Answers, points: int = POINTS) -> pd.DataFrame:
    """`policy`, `budget`, verified `gain` of random and of the best single arm, for as many as there is money for.

    Both are straight lines from nothing to everybody, for users are drawn without looking; the arm is the best at
    each budget by its verified gain, which errs in its favour.
    """
    least, most = answers.span
    budget = np.linspace(least, most, points)
    money = np.maximum(budget - answers.control[1], 0.0)
    lines = {name: _line(money, spend, gain.estimate) for name, spend, gain in answers.rivals}
    single = [line for name, line in lines.items() if name not in (CURRENT, RANDOM)]
    drawn = {RANDOM: lines[RANDOM]} if RANDOM in lines else {}
    if single:
        drawn[SINGLE] = np.max(single, axis=0)
    frames = [pd.DataFrame({"policy": name, "budget": budget, "gain": line}) for name, line in drawn.items()]
    return pd.concat(frames) if frames else pd.DataFrame({"policy": [], "budget": [], "gain": []})


def _line(money: Array, spend: float, gain: float) -> Array:
    """The gain of giving to as many users as money allows, where everybody costs `spend` in all and gains `gain`."""
    if spend <= 0:
        return np.full(len(money), gain)
    return np.asarray(gain * np.minimum(money / spend, 1.0))


def _rivals(arms: Sequence[str], e: Evidence) -> list[tuple[str, float, Estimated]]:
    """By name: extra spend and gain, verified, of the log's own policy, of arms at random, of each arm for all."""
    gain = e.value_score - e.value_score[:, :1]
    spend = e.spend_score - e.spend_score[:, :1]
    treated = np.full(len(arms), 1.0)
    treated[0] = 0
    chances = [(CURRENT, e.propensity), (RANDOM, np.broadcast_to(treated / max(treated.sum(), 1), gain.shape))]
    chances += [(arm, np.broadcast_to(np.eye(len(arms))[j], gain.shape)) for j, arm in enumerate(arms) if j]
    found = []
    for name, chance in chances:
        g, c = ((table * chance).sum(axis=1, dtype=np.float64) for table in (gain, spend))
        found.append((name, float(c.sum()), total_of(g)))
    return found
