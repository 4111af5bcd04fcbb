"""The regimes in which methods are compared, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uplift.errors import InputError, nearest
from uplift.synthetic.linear import well_specified
from uplift.synthetic.simulation import Simulation
from uplift.synthetic.spend import heavy_tail
from uplift.synthetic.student import null, small_student
from uplift.synthetic.two_logs import TwoLogs, confounded_plus_rct
from uplift.synthetic.world import simulate


def scarce(n_users: int = 5_000, *, seed: int | np.random.Generator = 0) -> Simulation:
    """The world and the draws of `simulate` with few users, about 1,000 an arm: fine estimates drown in the noise.

    Units as there. Raises InputError for `n_users` below 1.
    """
    return simulate(n_users, seed=seed)


_WORLDS: dict[str, Callable[..., Simulation | TwoLogs]] = {
    "well_specified": well_specified,
    "small_student": small_student,
    "scarce": scarce,
    "heavy_tail": heavy_tail,
    "confounded_plus_rct": confounded_plus_rct,
    "null": null,
}
REGIMES = tuple(_WORLDS)
"""Names that `regime` knows: well_specified, small_student, scarce, heavy_tail, confounded_plus_rct, null."""


def regime(name: str, n_users: int | None = None, *, seed: int | np.random.Generator = 0) -> Simulation | TwoLogs:
    """The regime of this name, one of `REGIMES`; each is a function of this package, which says what it is.

    `n_users` None takes the regime's usual size. All give a `Simulation` but `confounded_plus_rct`, which gives
    `TwoLogs` and takes `n_users` as the size of its observed log. Raises InputError for another name.
    """
    if not isinstance(name, str) or name not in _WORLDS:
        raise InputError(f"{name!r} is no regime; one of {len(REGIMES)} names is expected.{nearest(name, REGIMES)}")
    world = _WORLDS[name]
    return world(seed=seed) if n_users is None else world(n_users, seed=seed)
