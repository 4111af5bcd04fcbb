"""The core of a problem with limits: the few users whose arm is in doubt, and a search among them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from allocation.engine.choice import score_cells
from allocation.engine.dual import Dual
from allocation.engine.newton import CELLS
from allocation.engine.rows import Floats, Ints
from allocation.engine.scores import Scores
from allocation.engine.search import oscillate
from allocation.engine.undecided import first_of_each

WHOLE = 4096  # cells: smaller problems are their own core
NEAR = 40_000  # users that are looked at for the core
EACH = 60  # users of each row in the core, and
MORE = 4  # more for each typical amount by which the row is broken, but
MOST = 2000  # in all
CHOICES = 1000  # besides two for each user
WORK = 4e7  # choices times rows times rounds, and
MOST_WORK = 2e10  # where many rounds are asked for
SLIP = 1e-12  # of the largest amount: what a sum of changes may lose to rounding, where amounts are not whole


@dataclass(frozen=True, eq=False)
class Core:
    """Some users and the arms that they may change between.

    users : (k,) positions, rising. first : (k+1,) where each one's choices begin. arm : (c,), value : (c,), amount :
    (c, m) of the choices. own : (k,) the choice that the decision makes.
    """

    users: Ints
    first: Ints
    arm: Ints
    value: Floats
    amount: Floats
    own: Ints


def core_of(scores: Scores, dual: Dual, decision: Ints, broken: Floats, size: int) -> Core:
    """Those users of every row who are nearest to a change of arm, with their best arms.

    broken : (m,) by how many typical amounts the decision breaks each row. size : times as many as usual.
    """
    whole = scores.n * scores.width <= WHOLE * size
    users = np.arange(scores.n) if whole else _nearest(scores, dual, broken, size)
    value, score = scores.values(users), _scored(scores, users, dual.prices)
    behind = score.max(axis=1, keepdims=True) - score
    behind[np.arange(len(users)), decision[users]] = -np.inf
    wanted = size * CHOICES + 2 * len(users)
    limit = math.inf if whole or behind.size <= wanted else float(np.partition(behind.ravel(), wanted)[wanted])
    k, arm = np.nonzero((behind <= limit) & (behind < np.inf))
    first = np.searchsorted(k, np.arange(len(users) + 1))
    own = np.flatnonzero(arm == decision[users][k])
    return Core(users, first, arm, value[k, arm], scores.picks(users[k], arm), own)


def search(
    core: Core, above: Floats, below: Floats, weight: Floats, rounds: int, missing: float, exact_fit: bool
) -> tuple[Ints, bool]:
    """The best choice found for each of the core's users (k,), and whether with them all rows hold in floats.

    above, below : (m,) what is left to the caps and to the floors of the rows, negative where a row is broken.
    weight : (m,) value units that breaking a row by one unit costs at first. rounds : more than the core's size asks.
    missing : what no decision can win over the present one, value units: the search ends once that is won.
    exact_fit : give the rounding of sums the benefit of the doubt; else what is not clearly within is outside.
    """
    best = core.own.copy()
    if len(core.arm) == len(best) or len(above) == 0:
        return best, bool(min(above.min(initial=0.0), below.min(initial=0.0)) >= 0)
    rounds = int(min(max(WORK / core.amount.size, 200) + rounds, MOST_WORK / core.amount.size + 200, 20_000))
    rounded = (core.amount != np.floor(core.amount)).any(axis=0)
    slip = np.where(rounded, SLIP * np.abs(core.amount).max(axis=0), 0.0)
    room = (above + slip, below + slip) if exact_fit else (above - slip, below - slip)
    enough = math.fsum(core.value[core.own]) + missing
    args = (core.first, core.value, core.amount, core.own.copy(), *room, weight, rounds, enough, best)
    return best, bool(oscillate(*args) > -math.inf)


def _scored(scores: Scores, users: Ints, prices: Floats) -> Floats:
    """The scores of all arms of some users, (s, K+1), a few users at a time."""
    at_once = max(1, CELLS // (scores.width * max(len(prices), 1)))
    some = [users[first : first + at_once] for first in range(0, len(users), at_once)]
    parts = [score_cells(scores.values(few), scores.cells(few), prices) for few in some]
    return np.concatenate([np.empty((0, scores.width)), *parts])


def _nearest(scores: Scores, dual: Dual, broken: Floats, size: int) -> Ints:
    survey = dual.survey
    near = np.arange(scores.n)
    if scores.n > NEAR * size:
        near = np.sort(np.argpartition(survey.margin, NEAR * size)[: NEAR * size])
    near = near[np.argsort(survey.margin[near], kind="stable")]
    return np.sort(
        first_of_each(scores, survey, near, (size * np.minimum(EACH + MORE * broken, MOST)).astype(np.int64))
    )
