"""A world that a small net represents exactly: value linear in the features in every arm."""

from __future__ import annotations

import numpy as np

from uplift.seeds import stream
from uplift.synthetic.simulation import DOSES, Simulation, check_size, composed, sigmoid, uniform, users

FEATURES = 10
NOISE = 5.0  # standard deviation of the value around its expectation, EUR


def well_specified(n_users: int = 50_000, *, seed: int | np.random.Generator = 0) -> Simulation:
    """A randomised campaign whose expected value is linear in the features, arm by arm, with normal noise.

    For user x and dose s in EUR, with sigma the logistic function:

        base value     b(x)    = 20 + 2 x0 + 1.5 x1 - x2 + .5 x7
        slope of dose  m(x)    = .05 + .4 x4 - .3 x5 + .2 x6
        effect         4 (1 - exp(-s / 3)) + m(x) s
        redemption     r(x, s) = sigma(-1 + .6 x8 + .3 x4 + .1 s), 0 for control
        expected value b(x) + effect;   expected cost  s r(x, s)

    All in EUR a user. The effect is concave in the dose for every user, and negative for some: at 8 EUR for about
    one in six. Only two linear functions of the features, b and m, matter to value. Value is normal around its
    expectation with standard deviation 5 and may be negative; cost is s with probability r and else 0. The five arms
    of `simulate` are drawn alike; the ten features are standard normal, but x7 = +-1; x3 and x9 have no influence.
    The world is invented for tests: no method should lose here to one that fits the levels. Raises InputError for
    `n_users` below 1.
    """
    check_size(n_users)
    rng = stream(seed, "well specified")
    X = users(rng, n_users, FEATURES)
    x, dose, rows = X.astype(np.float64), np.asarray(DOSES), np.arange(n_users)
    base = 20 + 2 * x[:, [0]] + 1.5 * x[:, [1]] - x[:, [2]] + 0.5 * x[:, [7]]
    slope = 0.05 + 0.4 * x[:, [4]] - 0.3 * x[:, [5]] + 0.2 * x[:, [6]]
    value = base + 4 * (1 - np.exp(-dose / 3)) + slope * dose
    redemption = sigmoid(-1 + 0.6 * x[:, [8]] + 0.3 * x[:, [4]] + 0.1 * dose)
    redemption[:, 0] = 0
    treatment, propensity = uniform(rng, n_users)
    redeemed = rng.random(n_users) < redemption[rows, treatment]
    logged = value[rows, treatment] + NOISE * rng.standard_normal(n_users)
    return composed(X, treatment, logged, redeemed, propensity, (value, dose * redemption))
