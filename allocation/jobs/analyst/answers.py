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
from allocation.jobs.analyst.certainty import NO_LOG, TOO_FEW, UNVERIFIED
from allocation.jobs.analyst.compared import CURRENT
from allocation.jobs.analyst.run import Evidence, Run, Table
from uplift.errors import InputError

Array = NDArray[np.float64]
POINTS = 100  # of a curve
NEXT = 10_000.0  # money, at most a hundredth of all, for which it is told what so much more would buy
REPLICATES = 100  # of the users, for the band of a promise that no log verifies
RANDOM, SINGLE = "random", "best single arm"


@dataclass(frozen=True)
class Answer:
    """What a budget buys; amounts are totals over all users, gain and extra spend are above everybody on control.

    promised_gain, promised_extra, price : by the response table itself, value units, money, value per money.
    promised_average : gain per extra spend, NaN where that is nothing. next_money, next_gain : what so much more
    buys. gain, extra_spend, average, marginal : verified, with intervals, NaN where the log cannot tell; marginal is
    the average of the users around the budget. lacking : why there is no verified figure, empty where there is.
    """

    budget: float
    promised_gain: float
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
    """What is drawn of all budgets, POINTS of them, evenly spread; to be read only.

    curve : `budget`, `promised` gain, verified `gain`, `low`, `high`, `supported`, a row a budget. mix : `budget`,
    `arm`, `share` of the users, a row a budget and arm. rivals : `policy`, `budget`, verified `gain` of random and of
    the best single arm, for as many users as there is money for.
    """

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
        """The frames of the charts, worked out once: seconds for a million users."""
        budget = np.linspace(*self.span, POINTS)
        return Drawn(_curve(self, budget), _mix(self, budget), _rival_lines(self, budget))

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
        gain, extra = value - self.control[0], min(budget, most) - self.control[1]
        average = gain / extra if extra > 0 else math.nan
        verified, lacking = self._verified(budget)
        return Answer(budget, gain, extra, average, price, further, more, *verified, lacking)

    def _verified(self, budget: float) -> tuple[tuple[Estimated, Estimated, Estimated, Estimated], str]:
        """Gain, extra spend, average and marginal return, and why there are none."""
        none = (UNVERIFIED, UNVERIFIED, UNVERIFIED, UNVERIFIED)
        if self.path is None:
            return none, NO_LOG
        if not self.path.supported(budget)[0]:
            return none, TOO_FEW
        gained, spent = (Estimated(*(float(x[0]) for x in own)) for own in self.path.totals(budget).values())
        return (gained, spent, self.path.average_return(budget), self.path.marginal_return(budget)), ""

    def shares(self, budget: float) -> dict[str, float]:
        """Share of the users on each arm as it is drawn: in proportion between two points of `drawn.mix`."""
        money, shares = self._mixes
        return {arm: float(np.interp(budget, money, own)) for arm, own in zip(self.run.arms, shares, strict=True)}

    @cached_property
    def _mixes(self) -> tuple[Array, Array]:
        """The budgets of `drawn.mix`, and each arm's share at them, (K+1, budgets)."""
        mix = self.drawn.mix  # arm after arm
        return mix["budget"].to_numpy()[:POINTS], mix["share"].to_numpy().reshape(len(self.run.arms), POINTS)

    def current(self) -> tuple[float, Estimated]:
        """What the log's own policy spends in all, money, and its verified gain above control; needs a log."""
        spend, gain = next((spend, gain) for name, spend, gain in self.rivals if name == CURRENT)
        return self.control[1] + spend, gain


def answers_of(run: Run) -> Answers:
    """Walk every user's steps once: seconds for a million users, and some 60 bytes a step beside the run's own."""
    e, control = run.evidence, (_total(run.value), _total(run.cost))
    curve = frontier(run.value, run.cost, eligible=run.eligible, replicates=REPLICATES if e is None else 0)
    if e is None:
        return Answers(run, curve, None, control, ())
    path = verified_path(run.value, run.cost, e.value_score, e.spend_score, e.treatment, e.propensity, run.eligible)
    return Answers(run, curve, path, control, tuple(_rivals(run.arms, e)))


def _total(table: Table) -> float:
    """Of everybody on control."""
    return float(table[:, 0].sum(dtype=np.float64))


def _curve(answers: Answers, budget: Array) -> pd.DataFrame:
    """With the band of the promise where no log verifies it."""
    control = answers.control[0]
    frame = {"budget": budget, "promised": answers.frontier.at(budget)[0] - control}
    if answers.path is not None:
        gain, low, high = answers.path.totals(budget)["gain"]
        frame |= {"gain": gain, "low": low, "high": high, "supported": answers.path.supported(budget)}
    elif answers.frontier.replicates is not None:
        low, high = answers.frontier.band(budget)
        frame |= {"low": low - control, "high": high - control}
    return pd.DataFrame(frame)


def _mix(answers: Answers, budget: Array) -> pd.DataFrame:
    shares = answers.frontier.arm_mix(budget)
    frame = pd.DataFrame(shares, columns=list(answers.run.arms)).assign(budget=budget)
    return frame.melt("budget", var_name="arm", value_name="share")


def _rival_lines(answers: Answers, budget: Array) -> pd.DataFrame:
    """Straight lines from nothing to everybody, for users are drawn without looking.

    The single arm is the best at each budget by its verified gain, which errs in its favour.
    """
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
