"""Why a demo's figures can be believed, or not: checked once, where log, model and decisions are at hand."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocation.evaluation.decided import Decided
from allocation.evaluation.outcomes import Outcomes
from allocation.jobs.analyst.evidence_log import Balance, Shares, Support, balance_of, shares_of, support_of
from allocation.jobs.analyst.evidence_model import Calibration, Ranking, calibrations, dealt, placebo, ranking
from allocation.jobs.analyst.evidence_next import Experiment, Refits, experiment, promised_difference, refits
from allocation.jobs.summary import CHALLENGER, HEADLINE
from allocation.policies.base import Policy
from uplift.campaign import Campaign
from uplift.response import Response


@dataclass(frozen=True)
class Checks:
    """All checks of a run, at the budget of its decision.

    arms : K+1 names. users : held-out ones. budget : money for all of them. shares : of the whole log, None without
    stated chances. The rest is of the held-out users. experiment : None where no baseline has a verified value.
    """

    arms: tuple[str, ...]
    users: int
    budget: float
    shares: Shares | None
    balance: Balance
    support: Support
    calibration: tuple[Calibration, ...]
    ranking: Ranking
    placebo: Ranking
    refits: Refits
    experiment: Experiment | None


@dataclass(frozen=True, eq=False)
class Known:
    """What a demo has at hand when it checks itself.

    log : whole; train, held_out : its halves. policy : fitted on `train`. response : predicted by it for `held_out`;
    outcomes, score : cross-fitted models there, and the headline estimator's scores of value, (n, K+1). decided : by
    all policies, at `budget` among others, money for all. evaluation : the frame of `evaluate`.
    """

    log: Campaign
    train: Campaign
    held_out: Campaign
    policy: Policy
    response: Response
    outcomes: Outcomes
    score: NDArray[np.float64]
    decided: Decided
    budget: float
    evaluation: pd.DataFrame

    def decision(self, policy: str) -> NDArray[np.integer[Any]]:
        """What a policy decides at the budget, (n,)."""
        found: NDArray[np.integer[Any]] = self.decided.decision[self.decided.cell(policy, self.budget)]
        return found


def checks_of(known: Known, seed: int) -> Checks:
    """Every check.

    All users count in every figure; of the curves some points are kept to be drawn.
    """
    held_out = known.held_out
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said by the evaluation already
        effect = np.asarray(known.response.effect, dtype=np.float64)
        score = known.score[:, 1:] - known.score[:, :1]
        return Checks(
            held_out.arms,
            len(held_out),
            known.budget,
            shares_of(known.log),
            balance_of(held_out, known.outcomes.value),
            support_of(held_out, known.decision(CHALLENGER)),
            calibrations(effect, score, held_out.arms),
            ranking(effect, score),
            placebo(effect, dealt(held_out, seed), known.outcomes),
            refits(known.policy, known.train, held_out, known.budget, seed),
            _experiment(known),
        )


def _experiment(known: Known) -> Experiment | None:
    """Against the best baseline at the budget, where one has a verified value."""
    frame = known.evaluation
    row = frame[(frame["estimator"] == HEADLINE) & (frame["policy"] == CHALLENGER)]
    row = row[row["budget"] == known.budget]
    reference = None if row.empty else row["reference"].iloc[0]
    if not isinstance(reference, str) or reference not in known.decided.names:
        return None
    held_out, decisions = known.held_out, (known.decision(CHALLENGER), known.decision(reference))
    verified = float(row["difference"].iloc[0]) / len(held_out)
    promised = promised_difference(known.response.value, decisions)
    rival = (CHALLENGER, reference, known.budget)
    return experiment(known.decided, held_out, known.outcomes, rival, verified, promised)
