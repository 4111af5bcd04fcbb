"""Checks of the decision: would another log decide alike, and how large a log would prove its gain?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.problem import ProblemError
from allocation.evaluation.decided import Decided
from allocation.evaluation.experiment import next_experiment
from allocation.evaluation.outcomes import Outcomes
from allocation.evaluation.stability import stability
from allocation.jobs.analyst.evidence_log import Floats, floats
from allocation.jobs.summary import HEADLINE
from allocation.policies.base import Policy
from uplift.campaign import Campaign
from uplift.errors import InputError

REFITS = 5
MOST_REFITTED = 50_000  # users of a log; the refits of a larger one take too long


@dataclass(frozen=True)
class Refits:
    """What refits on random halves of the training log decide; see `evaluation.stability`. Shares are 0 to 1.

    stays : (R,) share of users whose arm stays, in each refit. by_chance : where the arms were dealt out blindly.
    quarters : the mean over refits among the users whose choice was closest, to those where it was clearest, by the
    margin; empty where there is none. note : why there are no refits, or "".
    """

    stays: Floats
    by_chance: float
    quarters: Floats
    note: str = ""


@dataclass(frozen=True)
class Experiment:
    """How many users confirm what the decision is worth more than a baseline; see `evaluation.experiment`.

    reference : the best baseline at the budget. gain : to be found, value units a user. promised : whether it is the
    model's own promise, for lack of a verified one above 0. verified, error : this log's own estimate, value units a
    user. users : of this log. power : of the experiment. designs, needed : users, NaN where out of reach.
    note : why there is no number, or "". caveats : what makes them unsure.
    """

    reference: str
    gain: float
    promised: bool
    verified: float
    error: float
    users: int
    power: float
    designs: tuple[str, ...]
    needed: Floats
    note: str = ""
    caveats: tuple[str, ...] = ()


def refits(
    policy: Policy, train: Campaign, held_out: Campaign, budget: float, seed: int, largest: int = MOST_REFITTED
) -> Refits:
    """REFITS refits, where the log has up to `largest` users, else a note."""
    if len(train) + len(held_out) > largest:
        return Refits((), math.nan, (), f"left out for logs above {largest:,} users, to save time")
    try:
        found = stability(policy, train, held_out, [budget], refits=REFITS, seed=seed)
    except (InputError, ProblemError) as error:
        return Refits((), math.nan, (), str(error))
    stays, quarters = floats(1 - found.changed[:, 0]), floats(1 - found.by_margin["changed"])
    return Refits(stays, float(1 - found.by_chance[0]), quarters)


def experiment(
    decided: Decided,
    held_out: Campaign,
    outcomes: Outcomes,
    rival: tuple[str, str, float],
    verified: float,
    promised: float,
) -> Experiment:
    """The next experiment of one policy against another at one budget, `rival`.

    `verified`, `promised` : the difference of the two, value units a user; the verified one is sought where it is
    above 0, for a promise is optimistic.
    """
    gain, trusted = (verified, True) if verified > 0 else (promised, False)
    policy, reference, budget = rival
    found = next_experiment(
        decided,
        held_out,
        policy=policy,
        reference=reference,
        budget=budget,
        outcomes=outcomes,
        predicted_gain=gain,
        allow_mismatch=True,
    )
    frame = found.frame[found.frame["estimator"] == HEADLINE] if len(found.frame) else found.frame
    return Experiment(
        reference,
        gain,
        not trusted,
        found.verified,
        found.verified_se,
        len(held_out),
        found.power,
        tuple(map(str, frame["design"])),
        floats(frame["users"]),
        found.note,
        found.caveats,
    )


def promised_difference(value: NDArray[Any], decisions: tuple[NDArray[Any], NDArray[Any]]) -> float:
    """What the predictions `value` (n, K+1) say the one decision is worth more than the other, value units a user."""
    rows = np.arange(len(value))
    return float((value[rows, decisions[0]].astype(np.float64) - value[rows, decisions[1]]).mean())
