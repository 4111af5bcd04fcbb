"""Two logs of one world: a large one that was no experiment, its cause hidden, and a small randomised one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from uplift.response import Response
from uplift.seeds import stream
from uplift.synthetic.simulation import ARMS, Array, Simulation, assigned, check_size, gamma_log, tilted, users
from uplift.synthetic.world import expected

LEAN, OF_BASE, OF_EFFECT = 0.8, 0.6, 0.6  # how strongly the hidden trait drives the dose, the base value, the effect


@dataclass(frozen=True, eq=False)
class TwoLogs:
    """Logs of different users of one world.

    observed : large, not randomised; its campaign states no propensity, `observed.propensity` is the true one.
    randomised : small, all arms alike; its campaign states the propensity.
    """

    observed: Simulation
    randomised: Simulation


def confounded_plus_rct(
    n_users: int = 200_000, *, n_randomised: int | None = None, seed: int | np.random.Generator = 0
) -> TwoLogs:
    """One world logged twice: much data with a hidden cause of the dose, and a little randomised data.

    A trait u, standard normal, independent of X and in neither log, changes the world of `simulate` (b, a and h as
    there, 20 features; arms j = 0..4 of dose s; money in EUR a user):

        base value      b(x) exp(.6 u - .18)
        effect          a(x) exp(-.6 u - .18) (1 - exp(-s / h(x)))
        propensity      observed log: p_j(u) proportional to exp(.8 u (j - 2));   randomised log: 1/5

    As the trait is not in X, adjusting for X does not cure the observed log: users of large doses buy more anyway and
    respond less. The effect of 8 EUR is overstated by more than 3 EUR where the base value is large and few respond
    (x0 > .5, x4 < -.5), and understated where it is small and many do (x0 < -.5, x4 > .5). The log still tells the
    shape of the base value, the costs, and much of who responds.

    `truth` is the expectation given X alone, which is all that a policy sees: both factors have the mean 1, so it is
    b(x) + a(x) (1 - exp(-s / h(x))), in closed form. The logged value is gamma with shape 9 around the expectation
    given X and u. `observed.propensity` is that given u; its campaign states none.
    Cost does not depend on u. The users of the two logs are different people. `n_users` is the size of the observed
    log, `n_randomised` None a twentieth of it, rounded up. The world is invented for tests: how much either log helps
    is a consequence of the strengths chosen.
    Raises InputError for a size below 1.
    """
    check_size(n_users)
    few = math.ceil(n_users / 20) if n_randomised is None else n_randomised
    check_size(few, "n_randomised")
    return TwoLogs(
        observed=_log(stream(seed, "observed of two logs"), n_users, LEAN),
        randomised=_log(stream(seed, "randomised of two logs"), few, 0.0),
    )


def _log(rng: np.random.Generator, n_users: int, lean: float) -> Simulation:
    """A log of new users; with a `lean` of 0 all arms are alike and the propensity is stated."""
    X = users(rng, n_users)
    x, hidden = X.astype(np.float64), rng.standard_normal(n_users)
    propensity = tilted(lean * hidden)
    given_hidden = expected(
        x, of_base=_factor(OF_BASE * hidden, OF_BASE), of_effect=_factor(-OF_EFFECT * hidden, OF_EFFECT)
    )
    drawn = gamma_log(rng, X, given_hidden, assigned(rng, propensity), propensity)
    value, cost, _ = expected(x)  # the factors have the mean 1
    log = replace(drawn.campaign, propensity=None) if lean else drawn.campaign
    return replace(drawn, campaign=log, truth=Response(value, cost, ARMS, log.user_id))


def _factor(z: Array, spread: float) -> Array:
    """exp(z) over its mean, for normal z (n,) of mean 0 and this standard deviation."""
    return np.asarray(np.exp(z - spread**2 / 2))
