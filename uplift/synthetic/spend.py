"""A world of few buyers and a heavy tail of spend, as shops have it."""

from __future__ import annotations

import numpy as np

from uplift.seeds import stream
from uplift.synthetic.simulation import DOSES, Array, Simulation, check_size, composed, sigmoid, uniform, users

FEATURES = 10
LOG_SPREAD = 1.0  # standard deviation of the logarithm of a buyer's spend


def heavy_tail(n_users: int = 600_000, *, seed: int | np.random.Generator = 0) -> Simulation:
    """A randomised campaign in which 3% of the users buy and a few of them spend much.

    For user x and dose s in EUR, with h(x) > 0 and sigma the logistic function:

        buys            p(x, s) = .1 sigma(-1.6 + .8 x0 + .6 x1) + l(x) (1 - exp(-s / h(x)))
        lift            l(x)    = .04 sigma(-1.5 + 2 x4 - 1.5 x5 + 1.2 x3 x6) (1 + .5 [x7 > 0])
        scale of dose   h(x)    = 2 exp(.4 x9)
        spend of buyers m(x)    = 40 exp(.3 x0 + .4 x2 - .125) EUR in expectation
        idle redemption q(x)    = .03 sigma(x8), the probability to redeem without buying
        expected value p(x, s) m(x);   expected cost  s (p + (1 - p) q)

    All in EUR a user. A buyer's spend is lognormal with the mean m(x), its logarithm with the standard deviation 1,
    whatever the arm; who does not buy is worth 0. Every buyer redeems the incentive, also one who would have bought
    anyway. So the arm moves the probability of buying alone, concave in the dose and never down. 3.0% of the users
    of the log buy, 2.1% of control and 3.6% at 8 EUR; the spread of the value around its expectation (some 14 EUR)
    is more than thirty times the mean effect of a dose of 2 EUR. The five arms of `simulate` are drawn alike; the ten
    features are standard normal, but x7 = +-1.

    What there is to gain (measured on one draw of 100,000 users, seed 9): who knows the truth gains 0.39, 0.50 and
    0.59 EUR a user at budgets of 0.05, 0.10 and 0.20 EUR a user, the best mix of arms without targeting 0.29, 0.42
    and 0.55. For 70% of the users some dose brings in more than it costs, for the others none. The world is invented
    for tests. Raises InputError for `n_users` below 1.
    """
    check_size(n_users)
    rng = stream(seed, "heavy tail")
    X = users(rng, n_users, FEATURES)
    buys, spend, idle = _parts(X.astype(np.float64))
    dose, rows = np.asarray(DOSES), np.arange(n_users)
    treatment, propensity = uniform(rng, n_users)
    bought = rng.random(n_users) < buys[rows, treatment]
    redeemed = bought | (rng.random(n_users) < idle)
    drawn = spend * np.exp(LOG_SPREAD * rng.standard_normal(n_users) - LOG_SPREAD**2 / 2)
    truth = buys * spend[:, None], dose * (buys + (1 - buys) * idle[:, None])
    return composed(X, treatment, np.where(bought, drawn, 0.0), redeemed, propensity, truth)


def _parts(x: Array) -> tuple[Array, Array, Array]:
    """Probability of buying (n, K+1), expected spend of a buyer (n,), and of redeeming without buying (n,)."""
    base = 0.1 * sigmoid(-1.6 + 0.8 * x[:, 0] + 0.6 * x[:, 1])
    lift = 0.04 * sigmoid(-1.5 + 2 * x[:, 4] - 1.5 * x[:, 5] + 1.2 * x[:, 3] * x[:, 6]) * (1 + 0.5 * (x[:, 7] > 0))
    half = 2 * np.exp(0.4 * x[:, 9])
    buys = base[:, None] + lift[:, None] * (1 - np.exp(-np.asarray(DOSES) / half[:, None]))
    spend = 40 * np.exp(0.3 * x[:, 0] + 0.4 * x[:, 2] - 0.125)
    return buys, spend, 0.03 * sigmoid(x[:, 8])
