"""A simulated campaign with its truth, and the parts that worlds share: arms, users, a log drawn around the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.response import Response
from uplift.seen import fingerprint

N_FEATURES = 20
"""Features of the world of `simulate`, and of those that name no other number."""
DOSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""EUR that a redeemed incentive of each arm pays; the first is control."""
ARMS = ("none", "1 EUR", "2 EUR", "4 EUR", "8 EUR")
"""Names of the arms, one a dose; the first is control."""
NOISE_SHAPE = 9.0
"""Shape of the gamma noise around the expected value: its standard deviation is a third of the mean."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated log and what it was drawn from; row i of each is the same user, whose `user_id` is i.

    campaign : the log as an analyst gets it. truth : expected value and cost of every arm, (n, K+1) each, in EUR.
    propensity : (n, K+1), the true probability of each arm, also where the log does not state it.
    """

    campaign: Campaign
    truth: Response
    propensity: Array


def check_size(n_users: int, what: str = "n_users") -> None:
    """Refuse what is no whole number of at least one user."""
    if isinstance(n_users, bool) or not isinstance(n_users, int | np.integer) or n_users < 1:
        raise InputError(f"{what} is {n_users!r}; a whole number, at least 1 user, is expected")


def users(rng: np.random.Generator, n_users: int, n_features: int = N_FEATURES) -> NDArray[np.float32]:
    """Independent standard normal features but x7 = +-1, (n_users, n_features)."""
    X = rng.standard_normal((n_users, n_features)).astype(np.float32)
    X[:, 7] = np.where(X[:, 7] > 0, 1, -1)
    return X


def uniform(rng: np.random.Generator, n_users: int) -> tuple[NDArray[np.int64], Array]:
    """Arms (n,) drawn at random, all alike, and their propensities (n, K+1)."""
    return rng.integers(0, len(ARMS), n_users), np.full((n_users, len(ARMS)), 1 / len(ARMS))


def tilted(lean: Array) -> Array:
    """Propensities (n, K+1) proportional to exp(lean (j - 2)): a large lean (n,) tends to the larger doses."""
    score = lean[:, None] * (np.arange(len(ARMS)) - 2)
    odds = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def assigned(rng: np.random.Generator, propensity: Array) -> NDArray[np.int64]:
    """Arms (n,) drawn with the given propensities (n, K+1)."""
    below = np.cumsum(propensity, axis=1)[:, :-1]  # without the last edge, which rounding may leave short of 1
    return np.asarray((rng.random((len(propensity), 1)) >= below).sum(axis=1))


def gamma_log(
    rng: np.random.Generator,
    X: NDArray[np.float32],
    truth: tuple[Array, Array, Array],
    treatment: NDArray[np.int64],
    propensity: Array,
) -> Simulation:
    """Draw the log around a truth (value, cost, redemption): gamma values, and the dose paid where it is redeemed."""
    value, cost, redemption = truth
    rows = np.arange(len(X))
    redeemed = rng.random(len(X)) < redemption[rows, treatment]
    logged = rng.gamma(NOISE_SHAPE, value[rows, treatment] / NOISE_SHAPE)
    return composed(X, treatment, logged, redeemed, propensity, (value, cost))


def composed(
    X: NDArray[np.float32],
    treatment: NDArray[np.int64],
    value: Array,
    redeemed: NDArray[np.bool_],
    propensity: Array,
    truth: tuple[Array, Array],
) -> Simulation:
    """The simulation of a log whose users got these arms and values (n,), and were paid the dose where they redeemed.

    `truth` holds the expected value and cost of every arm, (n, K+1) each.
    """
    rows = np.arange(len(X))
    campaign = Campaign(
        X=X,
        treatment=treatment,
        value=value,
        cost=np.asarray(DOSES)[treatment] * redeemed,
        propensity=propensity,
        arms=ARMS,
        user_id=rows,
        features=tuple(f"x{j}" for j in range(X.shape[1])),
        source=fingerprint(X, treatment),
    )
    return Simulation(campaign, Response(*truth, ARMS, rows), propensity)


def sigmoid(z: Array) -> Array:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-z)))
