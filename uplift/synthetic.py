"""A simulated campaign whose true response is known: the yardstick for estimates, decisions and intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.response import Response
from uplift.seeds import stream

N_FEATURES = 20
DOSES = (0.0, 1.0, 2.0, 4.0, 8.0)  # money a redeemed incentive pays; the first is control
ARMS = ("none", "1 EUR", "2 EUR", "4 EUR", "8 EUR")
NOISE_SHAPE = 9.0  # of the gamma noise around the expected value: standard deviation = mean / 3


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated log and what it was drawn from; row i of both is the same user, whose `user_id` is i."""

    campaign: Campaign
    truth: Response


def simulate(n_users: int = 100_000, *, seed: int | np.random.Generator = 0) -> Simulation:
    """A uniformly randomised campaign: 5 arms (control and 4 doses of money), 20 features, gamma-distributed value.

    For user x and dose s in EUR, with h(x) > 0 and sigma the logistic function:

        base value     b(x)    = 4 exp(.5 x0 + .4 |x1| + .2 x2 x3 - .3)
        effect         a(x) (1 - exp(-s / h(x))),  a(x) = 10 sigma(2.4 x4 - 1.6 x5 + 1.4 x0 x6 - .5) (1 + .5 [x7 > 0])
        scale of dose  h(x)    = 1.5 exp(.4 x9)
        redemption     r(x, s) = sigma(-1 + .8 x8 + .5 x4 + .35 s^.5)
        expected value b(x) + effect;   expected cost  s r(x, s);   control costs nothing

    The base value is large and heterogeneous, the response concave in the dose, and the cost is paid only when the
    user redeems. Value is drawn from a gamma distribution with shape 9 and the expected value as its mean; cost is s
    with probability r and else 0. Features are standard normal, but x7 = +-1; x10..x19 have no influence.
    The world is invented for tests; no real campaign is behind its numbers. Its effects differ strongly
    between users on purpose, so that a gain of targeting shows at 20,000 users: that it pays here is no sign that it
    pays elsewhere.
    """
    if not isinstance(n_users, int | np.integer) or n_users < 1:
        raise InputError(f"n_users is {n_users!r}; a whole number, at least 1 user, is expected")
    rng = stream(seed, "simulation")
    X = rng.standard_normal((n_users, N_FEATURES)).astype(np.float32)
    X[:, 7] = np.where(X[:, 7] > 0, 1, -1)
    value, cost, redemption = _truth(X.astype(np.float64))
    treatment = rng.integers(0, len(ARMS), n_users)
    rows = np.arange(n_users)
    redeemed = rng.random(n_users) < redemption[rows, treatment]
    logged_value = rng.gamma(NOISE_SHAPE, value[rows, treatment] / NOISE_SHAPE)
    logged_cost = np.asarray(DOSES)[treatment] * redeemed
    user_id = np.arange(n_users)
    campaign = Campaign(
        X=X,
        treatment=treatment,
        value=logged_value,
        cost=logged_cost,
        propensity=np.full((n_users, len(ARMS)), 1 / len(ARMS)),
        arms=ARMS,
        user_id=user_id,
        features=tuple(f"x{j}" for j in range(N_FEATURES)),
    )
    return Simulation(campaign, Response(value, cost, ARMS, user_id))


def _truth(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected value, expected cost and probability of redemption, each (n, K+1)."""
    dose = np.asarray(DOSES)
    base = 4 * np.exp(0.5 * x[:, 0] + 0.4 * np.abs(x[:, 1]) + 0.2 * x[:, 2] * x[:, 3] - 0.3)
    responds = _sigmoid(2.4 * x[:, 4] - 1.6 * x[:, 5] + 1.4 * x[:, 0] * x[:, 6] - 0.5)
    reach = 10 * responds * (1 + 0.5 * (x[:, 7] > 0))
    half = 1.5 * np.exp(0.4 * x[:, 9])
    redemption = _sigmoid(-1 + 0.8 * x[:, [8]] + 0.5 * x[:, [4]] + 0.35 * np.sqrt(dose))
    redemption[:, 0] = 0
    value = base[:, None] + reach[:, None] * (1 - np.exp(-dose / half[:, None]))
    return value, dose * redemption, redemption


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-z)))
