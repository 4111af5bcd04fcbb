"""Simulated campaigns whose true response is known: the yardstick for estimates, decisions and intervals.

A world is a truth (expected value and cost of every arm), a rule of assignment (the propensities) and the noise that
all of them share; each public function composes one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.response import Response
from uplift.seeds import stream
from uplift.seen import fingerprint

N_FEATURES = 20
DOSES = (0.0, 1.0, 2.0, 4.0, 8.0)  # money a redeemed incentive pays; the first is control
ARMS = ("none", "1 EUR", "2 EUR", "4 EUR", "8 EUR")
LARGEST_STRENGTH = 1e9  # of confounding; from a few hundred on the assignment is certain
NOISE_SHAPE = 9.0  # of the gamma noise around the expected value: standard deviation = mean / 3

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated log and what it was drawn from; row i of each is the same user, whose `user_id` is i.

    campaign : the log as an analyst gets it. truth : expected value and cost of every arm.
    propensity : (n, K+1), the true probability of each arm, also where the log does not state it.
    """

    campaign: Campaign
    truth: Response
    propensity: Array


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
    _check_size(n_users)
    rng = stream(seed, "simulation")
    X = _features(rng, n_users)
    treatment = rng.integers(0, len(ARMS), n_users)
    propensity = np.full((n_users, len(ARMS)), 1 / len(ARMS))
    return _simulation(rng, X, _truth(X.astype(np.float64)), treatment, propensity)


def confounded(
    n_users: int = 100_000,
    *,
    seed: int | np.random.Generator = 0,
    strength: float = 0.7,
    activeness_in_features: bool = False,
) -> Simulation:
    """The world of `simulate` with an assignment that was no experiment: activeness drives both arm and value.

    Activeness A counts past behaviours and is Poisson with the mean exp(2 + .9 N(0, 1)); with u = log(1 + A) - 2,
    b, a and h as in `simulate`, arms j = 0..4 and sigma the logistic function:

        propensity     p_j(u)  proportional to  exp(strength u (j - 2))
        base value     b(x) exp(.4 u)
        effect         2 sigma(-.8 u) a(x) (1 - exp(-s / h(x)))

    So active users get the larger doses, buy more anyway, and respond less: a comparison of arms overstates the
    effects. A is in `campaign.activeness`; X does not hold it unless `activeness_in_features` (then it is the last
    feature, `activeness`). Given A treatment is random: A blocks every backdoor path. The campaign states no
    propensity; the true one is `Simulation.propensity`. `strength` 0 randomises uniformly, negative values give
    active users the small doses. The world is invented for tests. Raises InputError for `n_users` below 1 or a
    strength that is no number from -1e9 to 1e9.
    """
    _check_size(n_users)
    number = isinstance(strength, int | float | np.number) and not isinstance(strength, bool)
    if not (number and abs(strength) <= LARGEST_STRENGTH):
        raise InputError(
            f"strength is {strength!r}; a finite number is expected, 0 for a randomised log, at most "
            f"{LARGEST_STRENGTH:g} either way"
        )
    rng = stream(seed, "confounded simulation")
    X = _features(rng, n_users)
    activeness = rng.poisson(np.exp(2 + 0.9 * rng.standard_normal(n_users))).astype(np.float64)
    u = np.log1p(activeness) - 2
    score = strength * u[:, None] * (np.arange(len(ARMS)) - 2)
    odds = np.exp(score - score.max(axis=1, keepdims=True))
    propensity = odds / odds.sum(axis=1, keepdims=True)
    truth = _truth(X.astype(np.float64), of_base=np.exp(0.4 * u), of_effect=2 * _sigmoid(-0.8 * u))
    below = np.cumsum(propensity, axis=1)[:, :-1]  # without the last edge, which rounding may leave short of 1
    treatment = (rng.random((n_users, 1)) >= below).sum(axis=1)
    drawn = _simulation(rng, X, truth, treatment, propensity)
    log = replace(drawn.campaign, propensity=None, activeness=activeness)
    if activeness_in_features:
        wider = np.column_stack([X, activeness.astype(np.float32)])
        log = replace(log, X=wider, features=(*log.features, "activeness"))
    return replace(drawn, campaign=log)


def _check_size(n_users: int) -> None:
    if not isinstance(n_users, int | np.integer) or n_users < 1:
        raise InputError(f"n_users is {n_users!r}; a whole number, at least 1 user, is expected")


def _features(rng: np.random.Generator, n_users: int) -> NDArray[np.float32]:
    """Standard normal features but x7 = +-1, (n, 20)."""
    X = rng.standard_normal((n_users, N_FEATURES)).astype(np.float32)
    X[:, 7] = np.where(X[:, 7] > 0, 1, -1)
    return X


def _simulation(
    rng: np.random.Generator,
    X: NDArray[np.float32],
    truth: tuple[Array, Array, Array],
    treatment: NDArray[np.int64],
    propensity: Array,
) -> Simulation:
    """Draw the logged value and cost of the arms received around the truth (value, cost, redemption)."""
    value, cost, redemption = truth
    rows = np.arange(len(X))
    redeemed = rng.random(len(X)) < redemption[rows, treatment]
    logged_value = rng.gamma(NOISE_SHAPE, value[rows, treatment] / NOISE_SHAPE)
    logged_cost = np.asarray(DOSES)[treatment] * redeemed
    campaign = Campaign(
        X=X,
        treatment=treatment,
        value=logged_value,
        cost=logged_cost,
        propensity=propensity,
        arms=ARMS,
        user_id=rows,
        features=tuple(f"x{j}" for j in range(N_FEATURES)),
        source=fingerprint(X, treatment),
    )
    return Simulation(campaign, Response(value, cost, ARMS, rows), propensity)


def _truth(x: Array, of_base: Array | float = 1.0, of_effect: Array | float = 1.0) -> tuple[Array, Array, Array]:
    """Expected value, expected cost and probability of redemption, each (n, K+1); factors (n,) of base and effect."""
    dose = np.asarray(DOSES)
    base = 4 * np.exp(0.5 * x[:, 0] + 0.4 * np.abs(x[:, 1]) + 0.2 * x[:, 2] * x[:, 3] - 0.3)
    responds = _sigmoid(2.4 * x[:, 4] - 1.6 * x[:, 5] + 1.4 * x[:, 0] * x[:, 6] - 0.5)
    reach = 10 * responds * (1 + 0.5 * (x[:, 7] > 0))
    half = 1.5 * np.exp(0.4 * x[:, 9])
    redemption = _sigmoid(-1 + 0.8 * x[:, [8]] + 0.5 * x[:, [4]] + 0.35 * np.sqrt(dose))
    redemption[:, 0] = 0
    value = (base * of_base)[:, None] + (reach * of_effect)[:, None] * (1 - np.exp(-dose / half[:, None]))
    return value, dose * redemption, redemption


def _sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))
