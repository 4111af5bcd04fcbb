"""A log that was no experiment: activeness drives both the arm and the value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from uplift.errors import InputError
from uplift.seeds import stream
from uplift.synthetic.simulation import Simulation, assigned, check_size, gamma_log, sigmoid, tilted, users
from uplift.synthetic.world import expected

LARGEST_STRENGTH = 1e9
"""The largest `strength` of `confounded`, either way; from a few hundred on the assignment is certain."""


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

    In EUR a user. So active users get the larger doses, buy more anyway, and respond less: a comparison of arms
    overstates the effects. A is in `campaign.activeness`; X does not hold it unless `activeness_in_features` (then it
    is the last feature, `activeness`). Given A treatment is random: A blocks every backdoor path. The campaign states
    no propensity; the true one is `Simulation.propensity`. `strength` 0 randomises uniformly, negative values give
    active users the small doses. The world is invented for tests. Raises InputError for `n_users` below 1 or a
    strength that is no number from -1e9 to 1e9.
    """
    check_size(n_users)
    number = isinstance(strength, int | float | np.number) and not isinstance(strength, bool)
    if not (number and abs(strength) <= LARGEST_STRENGTH):
        raise InputError(
            f"strength is {strength!r}; a finite number is expected, 0 for a randomised log, at most "
            f"{LARGEST_STRENGTH:g} either way"
        )
    rng = stream(seed, "confounded simulation")
    X = users(rng, n_users)
    activeness = rng.poisson(np.exp(2 + 0.9 * rng.standard_normal(n_users))).astype(np.float64)
    u = np.log1p(activeness) - 2
    propensity = tilted(strength * u)
    truth = expected(X.astype(np.float64), of_base=np.exp(0.4 * u), of_effect=2 * sigmoid(-0.8 * u))
    drawn = gamma_log(rng, X, truth, assigned(rng, propensity), propensity)
    log = replace(drawn.campaign, propensity=None, activeness=activeness)
    if activeness_in_features:
        wider = np.column_stack([X, activeness.astype(np.float32)])
        log = replace(log, X=wider, features=(*log.features, "activeness"))
    return replace(drawn, campaign=log)
