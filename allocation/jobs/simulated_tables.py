"""Simulated users block by block, as tables: a campaign log, their responses, or their features alone."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from uplift import synthetic
from uplift.errors import InputError, nearest
from uplift.synthetic import Simulation

BLOCK = 200_000  # users that are drawn together; another number would be other users for the same seed
WHATS = ("log", "responses", "features")
TWO_LOGS = "confounded_plus_rct"  # left out: it is two logs of different users
REGIMES = ("simulate", *(name for name in synthetic.REGIMES if name != TWO_LOGS))
HEAD = 0.8416  # of x0, standard normal: a fifth of the users are above it
REGIONS = ("north", "south", "east", "west")
REGION_SHARES = (0.4, 0.3, 0.2, 0.1)
LONGEST_SIMULATION = 10_000_000_000


@dataclass(frozen=True)
class Simulated:
    """Which users are simulated, and what is told of them.

    what : "log", what an analyst has after a randomised campaign; "responses", the true expected value and cost of
    every arm; "features", what is known before. `users` of the `regime`, drawn with `seed`. `float32`: amounts in
    single precision (features always are).
    """

    what: str = "log"
    users: int = 100_000
    regime: str = "simulate"
    seed: int = 0
    float32: bool = False


def check_simulated(asked: Simulated) -> None:
    """Raise InputError for a name that is not known, no user, or too many, and for a negative seed."""
    for name, given, known in (("what", asked.what, WHATS), ("regime", asked.regime, REGIMES)):
        if given not in known:
            two = (name, given) == ("regime", TWO_LOGS)
            why = " It is two logs of different users, and one is written." if two else nearest(given, known)
            raise InputError(f"{name} is {given!r}; one of {len(known)} names is expected.{why}")
    if not 1 <= asked.users <= LONGEST_SIMULATION:
        raise InputError(f"users is {asked.users:,}; a number from 1 to {LONGEST_SIMULATION:,} is expected")
    if asked.seed < 0:
        raise InputError(f"seed is {asked.seed}; a whole number of at least 0 is expected")


def simulated_tables(asked: Simulated) -> Iterator[pa.Table]:
    """Tables of up to 200,000 users each, one after another, the users numbered from 0 in `user_id`.

    Each block is drawn whole from the seed and its own number, and then cut: a longer simulation begins with the same
    users, and the log, the responses and the features of one seed are of the same users. Columns:

        log        user_id, x0, x1, ..., arm, value, cost, propensity.<arm> of every arm
        responses  user_id, value.<arm>, cost.<arm>, resource.minutes.<arm> of every arm, segment, region
        features   user_id, x0, x1, ..., segment, region

    Value and cost are those of `uplift.synthetic`, in EUR: drawn in the log, in expectation in the responses.
    `segment` is "head" for the fifth of the users with the largest x0 and else "tail"; `region` is drawn, whatever
    the features. `resource.minutes` are minutes of a call: 0 for control, 4.5 on average for the first arm and a
    third of that more for each further one.
    """
    for number in range(-(-asked.users // BLOCK)):
        first = number * BLOCK
        yield _TABLES[asked.what](_drawn(asked, number), asked, number, first).slice(0, asked.users - first)


def _drawn(asked: Simulated, number: int) -> Simulation:
    world = synthetic.simulate if asked.regime == "simulate" else getattr(synthetic, asked.regime)
    simulation: Simulation = world(BLOCK, seed=_stream(asked, number, "users"))
    return simulation


def _stream(asked: Simulated, number: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([asked.seed, zlib.crc32(f"simulated {purpose} {asked.regime}".encode()), number])


def _log(drawn: Simulation, asked: Simulated, number: int, first: int) -> pa.Table:
    campaign = drawn.campaign
    return pa.table(
        {
            **_features(drawn, first),
            "arm": _text(campaign.treatment, campaign.arms),
            "value": _amounts(campaign.value, asked),
            "cost": _amounts(campaign.cost, asked),
            **{f"propensity.{arm}": pa.array(drawn.propensity[:, j]) for j, arm in enumerate(campaign.arms)},
        }
    )


def _responses(drawn: Simulation, asked: Simulated, number: int, first: int) -> pa.Table:
    truth = drawn.truth
    tables = {"value": truth.value, "cost": truth.cost, "resource.minutes": _minutes(len(truth.arms), asked, number)}
    return pa.table(
        {
            "user_id": pa.array(np.arange(first, first + BLOCK)),
            **{
                f"{name}.{arm}": _amounts(table[:, j], asked)
                for name, table in tables.items()
                for j, arm in enumerate(truth.arms)
            },
            **_attributes(drawn, asked, number),
        }
    )


def _before(drawn: Simulation, asked: Simulated, number: int, first: int) -> pa.Table:
    return pa.table({**_features(drawn, first), **_attributes(drawn, asked, number)})


_TABLES: dict[str, Callable[[Simulation, Simulated, int, int], pa.Table]] = {
    "log": _log,
    "responses": _responses,
    "features": _before,
}


def _features(drawn: Simulation, first: int) -> dict[str, pa.Array]:
    campaign = drawn.campaign
    columns = {name: pa.array(np.ascontiguousarray(campaign.X[:, j])) for j, name in enumerate(campaign.features)}
    return {"user_id": pa.array(np.arange(first, first + BLOCK)), **columns}


def _attributes(drawn: Simulation, asked: Simulated, number: int) -> dict[str, pa.Array]:
    region = _stream(asked, number, "regions").choice(len(REGIONS), BLOCK, p=REGION_SHARES)
    return {"segment": _text(drawn.campaign.X[:, 0] > HEAD, ("tail", "head")), "region": _text(region, REGIONS)}


def _minutes(arms: int, asked: Simulated, number: int) -> NDArray[np.float64]:
    of_user = 3 * np.exp(0.5 * _stream(asked, number, "minutes").standard_normal(BLOCK) - 0.125)
    of_arm = np.where(np.arange(arms) > 0, 1 + 0.5 * np.arange(arms), 0)
    return np.outer(of_user, of_arm)


def _text(codes: NDArray[np.generic], names: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), list(names)).cast(pa.string())


def _amounts(values: NDArray[np.floating[Any]] | None, asked: Simulated) -> pa.Array:
    return pa.array(np.asarray(values, dtype=np.float32 if asked.float32 else np.float64))
