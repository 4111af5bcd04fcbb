"""Rules that map features to arms once and for all, logs of three designs to verify them on, and their true worth.

The world is that of `uplift.synthetic.simulate`; only the chances of the arms differ. A rule is learned and its price
is fixed on other users, so that it does not depend on who is in a log, and its worth is a property of the population.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import Ridge

from allocation.engine.problem import Allocation, Problem
from allocation.engine.solve import solve
from allocation.policies.baselines import BestSingleArm, OutcomeTargeting
from allocation.policies.two_stage import TwoStage
from uplift import synthetic
from uplift.campaign import Campaign
from uplift.learners import SLearner, TLearner
from uplift.response import Response
from uplift.seeds import stream
from uplift.synthetic import simulation
from uplift.synthetic.world import expected

ARMS = synthetic.ARMS
# EUR a user. From .37 on the cheapest arm goes to everybody and the rules of thumb no longer differ.
BUDGETS_PER_USER = (0.1, 0.2, 0.3)
UNEQUAL = (0.4, 0.3, 0.15, 0.1, 0.05)
SMALLEST = 0.04  # chance of any arm where covariates drive it
DESIGNS = ("uniform", "unequal", "by covariates")
REFERENCE = "best single arm"
RULES = (REFERENCE, "outcome targeting", "two-stage S", "two-stage T linear")
NO_INFLUENCE = 19  # a feature that drives nothing: an order by it is as good as random, and fixed


@dataclass(frozen=True, eq=False)
class Given:
    """A policy whose decisions are known beforehand, (n,) at each budget."""

    by_budget: dict[float, np.ndarray]
    arms_: tuple[str, ...] = ARMS

    def decide(self, users: object, budget: float | None) -> Allocation:
        """What was given for this budget."""
        return Allocation(self.by_budget[budget])


@dataclass(frozen=True, eq=False)
class Users:
    """Users and what is true of them: features (n, d), and (value, cost, redemption), each (n, K+1)."""

    X: np.ndarray
    truth: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def draw(cls, n: int, rng: np.random.Generator) -> Users:
        """Users of the simulated campaign."""
        X = simulation.users(rng, n)
        return cls(X, expected(X.astype(np.float64)))

    def propensity(self, design: str) -> np.ndarray:
        """The chances of the arms, (n, K+1).

        "by covariates": .04 + .8 softmax(s), where s_j is linear in x0 (drives the base value), x4 and x5 (drive the
        effect) and x8 (drives redemption), so that what is logged depends on what it is worth.
        """
        n, K1 = len(self.X), len(ARMS)
        if design == "uniform":
            return np.full((n, K1), 1 / K1)
        if design == "unequal":
            return np.tile(UNEQUAL, (n, 1))
        step = np.arange(K1) - (K1 - 1) / 2
        x = self.X.astype(np.float64)
        score = np.outer(0.5 * x[:, 0] + 0.3 * x[:, 4] + 0.3 * x[:, 8], step) + np.outer(x[:, 5], step == 0)
        odds = np.exp(score - score.max(axis=1, keepdims=True))
        return SMALLEST + (1 - K1 * SMALLEST) * odds / odds.sum(axis=1, keepdims=True)

    def log(self, design: str, rng: np.random.Generator) -> Campaign:
        """A log of these users, with known propensities."""
        p = self.propensity(design)
        below = np.cumsum(p, axis=1)[:, :-1]
        treatment = (rng.random((len(p), 1)) >= below).sum(axis=1)
        return simulation.gamma_log(rng, self.X, self.truth, treatment, p).campaign


@dataclass(frozen=True, eq=False)
class Rules:
    """`RULES` at `BUDGETS_PER_USER`, learned once; `single_arm` and the ends of the others are one a budget."""

    two_stage: tuple[TwoStage, ...]
    price: np.ndarray
    single_arm: tuple[int, ...]
    single_below: tuple[float, ...]
    outcome_from: tuple[float, ...]

    @classmethod
    def learn(cls, seed: int, users: int = 40_000) -> Rules:
        """Models on one log; prices, shares and thresholds on the predictions for other users."""
        train = synthetic.simulate(users, seed=stream(seed, "rules")).campaign
        other = Users.draw(users, stream(seed, "prices")).X
        two_stage = tuple(TwoStage(learner).fit(train) for learner in (SLearner(seed=seed), TLearner(Ridge())))
        single = BestSingleArm(seed).fit(train)
        outcome = OutcomeTargeting(SLearner(seed=seed)).fit(train)
        predicted = [policy.predict(other) for policy in two_stage]
        price, arm, below, threshold = [], [], [], []
        for budget in BUDGETS_PER_USER:
            total = budget * users
            price.append([solve(Problem(r.value, r.cost, total)).price for r in predicted])
            arm.append(single.arm(users, total))
            below.append(float(norm.ppf((single.decide(other, total).decision > 0).mean())))
            targeted = outcome.decide(predicted[0], total).decision > 0
            threshold.append(float(predicted[0].value[targeted, 0].min()))
        return cls(two_stage, np.array(price), tuple(arm), tuple(below), tuple(threshold))

    def predict(self, X: np.ndarray) -> list[Response]:
        """What the two-stage rules predict."""
        return [policy.predict(X) for policy in self.two_stage]

    def decide(self, X: np.ndarray, predicted: list[Response]) -> np.ndarray:
        """The arms of every rule at every budget, (rules, budgets, n)."""
        decision = np.empty((len(RULES), len(BUDGETS_PER_USER), len(X)), dtype=np.int8)
        for b in range(len(BUDGETS_PER_USER)):
            arm = self.single_arm[b]
            decision[0, b] = np.where(X[:, NO_INFLUENCE] <= self.single_below[b], arm, 0)
            decision[1, b] = np.where(predicted[0].value[:, 0] >= self.outcome_from[b], arm, 0)
            for k, response in enumerate(predicted):
                decision[2 + k, b] = (response.value - self.price[b, k] * response.cost).argmax(axis=1)
        return decision


def worth(users: Users, decision: np.ndarray) -> np.ndarray:
    """Expected value, spend and difference in value to the reference, (3, rules, budgets, n)."""
    value, cost, _ = users.truth
    rows = np.arange(len(users.X))
    of_value = value[rows, decision]
    return np.stack([of_value, cost[rows, decision], of_value - of_value[RULES.index(REFERENCE)]])


def cheap_model() -> Ridge:
    """The outcome model of the many logs: quick to fit, and wrong in a world that is not linear."""
    return Ridge()


def decided(decision: np.ndarray, budgets: list[float]) -> dict[str, Given]:
    """The rules' decisions (rules, budgets, n) as policies."""
    return {name: Given(dict(zip(budgets, decision[k], strict=True))) for k, name in enumerate(RULES)}


def solved(predicted: list[Response], n: int) -> dict[str, Response]:
    """The two-stage rules' predictions, to be solved for the users of the log themselves."""
    return {
        name: replace(response, user_id=np.arange(n)) for name, response in zip(RULES[2:], predicted, strict=True)
    }
