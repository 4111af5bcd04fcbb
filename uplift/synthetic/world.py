"""The first world: a uniformly randomised campaign of money in four doses, with 20 features."""

from __future__ import annotations

import numpy as np

from uplift.seeds import stream
from uplift.synthetic.simulation import DOSES, Array, Simulation, check_size, gamma_log, sigmoid, uniform, users


def simulate(n_users: int = 100_000, *, seed: int | np.random.Generator = 0) -> Simulation:
    """A uniformly randomised campaign: 5 arms (control and 4 doses of money), 20 features, gamma-distributed value.

    For user x and dose s in EUR, with h(x) > 0 and sigma the logistic function:

        base value     b(x)    = 4 exp(.5 x0 + .4 |x1| + .2 x2 x3 - .3)
        effect         a(x) (1 - exp(-s / h(x))),  a(x) = 10 sigma(2.4 x4 - 1.6 x5 + 1.4 x0 x6 - .5) (1 + .5 [x7 > 0])
        scale of dose  h(x)    = 1.5 exp(.4 x9)
        redemption     r(x, s) = sigma(-1 + .8 x8 + .5 x4 + .35 s^.5)
        expected value b(x) + effect;   expected cost  s r(x, s);   control costs nothing

    All in EUR a user. The base value is large and heterogeneous, the response concave in the dose, and the cost is
    paid only when the user redeems. Value is drawn from a gamma distribution with shape 9 and the expected value as
    its mean; cost is s with probability r and else 0. The arms are drawn alike, as the campaign states. Features are
    standard normal, but x7 = +-1; x10..x19 have no influence.
    The world is invented for tests; no real campaign is behind its numbers. Its effects differ strongly between
    users on purpose, so that a gain of targeting shows at 20,000 users: that it pays here is no sign that it pays
    elsewhere. Raises InputError for `n_users` below 1.
    """
    check_size(n_users)
    rng = stream(seed, "simulation")
    X = users(rng, n_users)
    return gamma_log(rng, X, expected(X.astype(np.float64)), *uniform(rng, n_users))


def expected(x: Array, of_base: Array | float = 1.0, of_effect: Array | float = 1.0) -> tuple[Array, Array, Array]:
    """Expected value, expected cost and probability of redemption, each (n, K+1); factors (n,) of base and effect."""
    dose = np.asarray(DOSES)
    base = 4 * np.exp(0.5 * x[:, 0] + 0.4 * np.abs(x[:, 1]) + 0.2 * x[:, 2] * x[:, 3] - 0.3)
    responds = sigmoid(2.4 * x[:, 4] - 1.6 * x[:, 5] + 1.4 * x[:, 0] * x[:, 6] - 0.5)
    reach = 10 * responds * (1 + 0.5 * (x[:, 7] > 0))
    half = 1.5 * np.exp(0.4 * x[:, 9])
    redemption = sigmoid(-1 + 0.8 * x[:, [8]] + 0.5 * x[:, [4]] + 0.35 * np.sqrt(dose))
    redemption[:, 0] = 0
    value = (base * of_base)[:, None] + (reach * of_effect)[:, None] * (1 - np.exp(-dose / half[:, None]))
    return value, dose * redemption, redemption
