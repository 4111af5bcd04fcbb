"""Small logs to evaluate on, by hand and by hypothesis, and the doubly robust family as textbook loops."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from uplift.campaign import Campaign

NAMES = ("none", "small", "big", "huge")


def log_of(treatment, value, propensity, cost=None, x=None, **others):
    """A campaign of the given columns."""
    treatment = np.asarray(treatment, dtype=np.int64)
    n = len(treatment)
    arms = NAMES[: np.shape(propensity)[1]] if propensity is not None else NAMES[:2]
    return Campaign(
        X=np.zeros((n, 1), dtype=np.float32) if x is None else np.asarray(x, dtype=np.float32).reshape(n, -1),
        treatment=treatment,
        value=np.asarray(value, dtype=float),
        cost=None if cost is None else np.asarray(cost, dtype=float),
        propensity=None if propensity is None else np.asarray(propensity, dtype=float),
        arms=arms,
        user_id=np.arange(n),
        features=("x",),
        **others,
    )


@st.composite
def logs(draw, least=1):
    """A log of up to 12 users and 2 to 4 arms, a decision for them, and model tables of value and cost."""
    n, arms = draw(st.integers(least, 12)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    log = log_of(
        rng.integers(0, arms, n), rng.normal(0, 5, n), rng.dirichlet(np.full(arms, 2.0), n), rng.gamma(2, 1, n)
    )
    return log, rng.integers(0, arms, n), rng.normal(0, 5, (n, arms))


def dr_total(decision, treatment, propensity, amount, model, largest=math.inf) -> float:
    """Doubly robust, user by user; beyond the largest weight the model alone (SWITCH)."""
    total = 0.0
    for i, (z, t) in enumerate(zip(decision, treatment, strict=True)):
        total += model[i][z]
        if z == t and 1 / propensity[i][t] <= largest:
            total += (amount[i] - model[i][t]) / propensity[i][t]
    return total


def clipped_total(decision, treatment, propensity, amount, largest) -> float:
    """Inverse propensity with weights cut at the largest."""
    matches = zip(decision, treatment, propensity, amount, strict=True)
    return sum(min(1 / p[t], largest) * a for z, t, p, a in matches if z == t)
