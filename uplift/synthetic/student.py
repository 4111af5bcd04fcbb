"""A world too rich for a small net, and the same world without any effect."""

from __future__ import annotations

import numpy as np

from uplift.seeds import stream
from uplift.synthetic.simulation import DOSES, Array, Simulation, check_size, gamma_log, sigmoid, uniform, users

FEATURES = 10


def small_student(n_users: int = 600_000, *, seed: int | np.random.Generator = 0) -> Simulation:
    """A randomised campaign whose base value is large and rough, so that a small net spends itself on it.

    For user x and dose s in EUR, with h(x) > 0 and sigma the logistic function:

        base value     b(x)    = 12 exp(.6 x0 + .5 |x1| + .4 x2 x3 + .4 sin(2 x4) - .4)
        effect         a(x) (1 - exp(-s / h(x)))
                       a(x)    = 10 sigma(2.4 x4 - 1.6 x5 + 1.4 x0 x6 + 1.2 |x2| - 1.5) (1 + .5 [x7 > 0])
        scale of dose  h(x)    = 1.5 exp(.6 x9 - .4 x1)
        redemption     r(x, s) = sigma(-1 + .8 x8 + .5 x4 + .35 s^.5), 0 for control
        expected value b(x) + effect;   expected cost  s r(x, s)

    All in EUR a user. The five arms of `simulate` are drawn alike. Value is drawn from a gamma distribution with
    shape 9 and the expected value as its mean; cost is s with probability r and else 0. The ten features are standard
    normal, but x7 = +-1. Levels and effects need other features and other bends: a net of 6 to 8 hidden units that
    fits the levels has little left for the effects, which alone decide. The world is invented for tests, to show
    where training for the decision can pay at all: that it pays here is no sign that it pays elsewhere.
    Raises InputError for `n_users` below 1.
    """
    check_size(n_users)
    rng = stream(seed, "small student")
    X = users(rng, n_users, FEATURES)
    return gamma_log(rng, X, expected(X.astype(np.float64)), *uniform(rng, n_users))


def null(n_users: int = 100_000, *, seed: int | np.random.Generator = 0) -> Simulation:
    """The world of `small_student` in which no arm has any effect on value: there is nothing to gain.

    Expected value b(x) and expected cost s r(x, s) in EUR a user, as there; the truth of the value is the same number
    in every arm, to the last bit. Every euro spent is lost, so a method that promises a gain here is wrong. The users
    are not those of `small_student` with the same seed. Raises InputError for `n_users` below 1.
    """
    check_size(n_users)
    rng = stream(seed, "null")
    X = users(rng, n_users, FEATURES)
    value, cost, redemption = expected(X.astype(np.float64))
    base = np.repeat(value[:, :1], len(DOSES), axis=1)
    return gamma_log(rng, X, (base, cost, redemption), *uniform(rng, n_users))


def expected(x: Array) -> tuple[Array, Array, Array]:
    """Expected value, expected cost and probability of redemption, each (n, K+1)."""
    dose = np.asarray(DOSES)
    base = 12 * np.exp(
        0.6 * x[:, 0] + 0.5 * np.abs(x[:, 1]) + 0.4 * x[:, 2] * x[:, 3] + 0.4 * np.sin(2 * x[:, 4]) - 0.4
    )
    responds = sigmoid(2.4 * x[:, 4] - 1.6 * x[:, 5] + 1.4 * x[:, 0] * x[:, 6] + 1.2 * np.abs(x[:, 2]) - 1.5)
    reach = 10 * responds * (1 + 0.5 * (x[:, 7] > 0))
    half = 1.5 * np.exp(0.6 * x[:, 9] - 0.4 * x[:, 1])
    redemption = sigmoid(-1 + 0.8 * x[:, [8]] + 0.5 * x[:, [4]] + 0.35 * np.sqrt(dose))
    redemption[:, 0] = 0
    value = base[:, None] + reach[:, None] * (1 - np.exp(-dose / half[:, None]))
    return value, dose * redemption, redemption
