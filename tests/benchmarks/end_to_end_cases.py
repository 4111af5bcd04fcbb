"""The logs of the end-to-end comparison, the budgets, and what a decision is truly worth.

Training logs are drawn with the seed, fresh users with 10,000 + seed, and the one draw that fixes the budgets of some
regimes with 9,999: none of the three is ever another's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from allocation import frontier
from allocation.engine.frontier import Frontier
from allocation.policies.base import Policy
from uplift import synthetic
from uplift.campaign import Campaign
from uplift.learners import TLearner
from uplift.response import Response

ROWS = {  # of the training log, where none are asked for
    "small_student": (20_000, 60_000, 200_000, 600_000, 2_000_000),
    "well_specified": (50_000,),
    "scarce": (5_000,),
    "heavy_tail": (600_000, 2_000_000),
    "null": (100_000,),
    "confounded_plus_rct": (200_000,),
}
FIXED = (0.25, 0.5, 1.0)  # money a user
OF_THE_ORACLE = ("heavy_tail", "confounded_plus_rct")  # budgets as shares of what the oracle spends without one
SHARES = (0.10, 0.25, 0.50)
FRESH = 100_000
NOTHING = 1e-9  # of everybody's value under control: a gain that rounding could be
FRESH_SEED, REFERENCE_SEED = 10_000, 9_999


@dataclass(frozen=True, eq=False)
class Case:
    """One draw of a regime: the log to fit on, fresh users to decide for, and their truth.

    randomised : the small experiment beside a log that was none (`confounded_plus_rct`), or None.
    """

    regime: str
    rows: int
    seed: int
    log: Campaign
    fresh: Campaign
    truth: Response
    randomised: Campaign | None = None

    @classmethod
    def of(cls, regime: str, rows: int, seed: int) -> Case:
        """Draw the log and the fresh users."""
        drawn, fresh = synthetic.regime(regime, rows, seed=seed), unseen(regime, FRESH_SEED + seed)
        if isinstance(drawn, synthetic.Simulation):
            return cls(regime, rows, seed, drawn.campaign, fresh.campaign, fresh.truth)
        log, small = drawn.observed.campaign, drawn.randomised.campaign
        return cls(regime, rows, seed, log, fresh.campaign, fresh.truth, small)

    @cached_property
    def budgets(self) -> tuple[float, ...]:
        """Money a user."""
        return budgets(self.regime)

    @cached_property
    def oracle(self) -> Frontier:
        """The best that can be had for every budget, on the truth."""
        return frontier(self.truth.value, self.truth.cost)

    @cached_property
    def cost_of_t_learner(self) -> np.ndarray:
        """Predicted cost of the fresh users, (n, K+1), for models that predict returns alone."""
        log = self.log
        model = TLearner(seed=self.seed)
        model.fit(log.X, log.value, treatment=log.treatment, cost=log.cost, propensity=log.propensity, arms=log.arms)
        return np.asarray(model.predict(self.fresh.X).cost)

    def worth(self, policy: Policy) -> dict[str, list[float | None]]:
        """What the policy's decisions truly gain and cost, a figure a budget.

        gain, spend : value and money per user. oracle_gain : what the oracle gains for that same true spend.
        share : gain / oracle_gain; 0 where the decisions cost too little to gain anything, None where nobody could
        gain anything with the whole budget.
        """
        n = len(self.fresh)
        rows, base = np.arange(n), float(self.truth.value[:, 0].sum())
        users = policy.predict(self.fresh.X) if hasattr(policy, "predict") else self.fresh.X
        found: dict[str, list[float | None]] = {"gain": [], "spend": [], "oracle_gain": [], "share": []}
        for budget in self.budgets:
            decision = policy.decide(users, budget * n).decision
            spend = float(self.truth.cost[rows, decision].sum())
            gain = math.fsum(self.truth.value[rows, decision] - self.truth.value[:, 0])
            best, most = (float(self.oracle.at(money)[0]) - base for money in (spend, budget * n))
            something = NOTHING * abs(base)
            share = gain / best if best > something else 0.0
            found["gain"].append(gain / n)
            found["spend"].append(spend / n)
            found["oracle_gain"].append(best / n)
            found["share"].append(share if most > something else None)
        return found


def unseen(regime: str, seed: int) -> synthetic.Simulation:
    """Users for whom only decisions are wanted."""
    drawn = synthetic.regime(regime, FRESH, seed=seed)
    return drawn if isinstance(drawn, synthetic.Simulation) else drawn.observed


@lru_cache
def budgets(regime: str) -> tuple[float, ...]:
    """Three budgets, money a user: fixed, or shares of the oracle's spend without a budget in one reference draw."""
    if regime not in OF_THE_ORACLE:
        return FIXED
    truth = unseen(regime, REFERENCE_SEED).truth
    spent = float(frontier(truth.value, truth.cost).budget[-1]) / len(truth)
    return tuple(float(f"{share * spent:.2g}") for share in SHARES)
