"""The main job end to end: log, response model, budgets, decisions, and what they are worth on held-out users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from allocation.engine.money import amount_text
from allocation.engine.price import margins
from allocation.engine.problem import Allocation, ProblemError, check_budget
from allocation.evaluation.checks import check_held_out
from allocation.evaluation.decided import decide_all
from allocation.evaluation.estimators import default_largest
from allocation.evaluation.evaluate import check_resamples, verify_decided, warn_of_few
from allocation.evaluation.frame import tidy
from allocation.evaluation.nuisance import fit_outcomes
from allocation.evaluation.scores import SPEND, VALUE, score_tables
from allocation.jobs.analyst.compared import Compared, compared_of
from allocation.jobs.analyst.evidence import Checks, Known, checks_of
from allocation.jobs.demo_end_to_end import Tuned, fit_end_to_end
from allocation.jobs.source import Source, load
from allocation.jobs.summary import BASELINES, CHALLENGER, END_TO_END, HEADLINE, Summary
from allocation.policies.base import ArmMeans, Policy
from allocation.policies.baselines import BestMix, BestSingleArm, Nobody, OutcomeTargeting, RandomArm
from allocation.policies.two_stage import TwoStage
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import ResponseLearner, SLearner
from uplift.propensity import share_mismatch
from uplift.response import Response

HELD_OUT_SHARE = 0.5
REFUSED_BELOW = 1e-6  # p-value of the log's arm counts under the stated propensities
ESTIMATORS = ("ipw", "sn", HEADLINE)
LEVEL = 0.95
RESAMPLES, LARGE = 1000, 200_000
BUDGET_MULTIPLES = (0.25, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True, eq=False)
class DemoPlan:
    """What to run: the arguments of `earmark demo`; `budget_per_user` is money per user, None for the data's own.

    `end_to_end` : fit that policy too, half a minute for some thousand users. `n_bootstrap` : resamples, 0 for
    intervals in closed form; None takes RESAMPLES, and 0 from LARGE held-out users on, whom resampling takes hours.
    """

    data: str = "thornton_hiv"
    users: int | None = None
    budget_per_user: float | None = None
    seed: int = 0
    n_bootstrap: int | None = None
    roles: Mapping[str, Any] | None = None
    end_to_end: bool = False

    def resamples(self, users: int) -> int:
        """How many resamples so many held-out users are verified with."""
        if self.n_bootstrap is not None:
            return self.n_bootstrap
        return RESAMPLES if users < LARGE else 0


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What came of it.

    Attributes
    ----------
    plan, source : what was run on which log; budget_per_user : the budget that was decided at, money per user.
    held_out : the users decided for, half of the log; the other half fitted the models.
    response : what two-stage predicts for `held_out`; value_score, spend_score : (n, K+1) of the headline estimator
        for the same users (see `evaluation.scores`).
    allocation : the two-stage decision for `held_out`; expected_value, expected_cost, margin : (n,), of each
        user's arm, as predicted; the margin in value units (see `engine.price.margins`).
    warnings : what the reader must know first.
    evaluation : the frame of `evaluate`, totals over `held_out`, budgets as totals. compared : any two policies.
    tuning : what the end-to-end fit says of itself, empty where it was left out. checks : why to believe it, or not.
    """

    plan: DemoPlan
    source: Source
    budget_per_user: float
    held_out: Campaign
    response: Response
    value_score: NDArray[np.float64]
    spend_score: NDArray[np.float64]
    allocation: Allocation
    expected_value: NDArray[np.float64]
    expected_cost: NDArray[np.float64]
    margin: NDArray[np.float64]
    warnings: tuple[str, ...]
    evaluation: pd.DataFrame
    compared: Compared
    tuning: str
    checks: Checks

    def summary(self) -> Summary:
        """What is told about the run."""
        chosen, arms = self.allocation, self.held_out.arms
        counts = np.bincount(chosen.decision, minlength=len(arms)).tolist()
        return Summary(
            name=self.source.name,
            about=self.source.about,
            value_name=self.source.value_name,
            currency=self.source.currency,
            users=len(self.held_out),
            budget_per_user=self.budget_per_user,
            n_bootstrap=self.plan.resamples(len(self.held_out)),
            arm_users=dict(zip(arms, counts, strict=True)),
            totals={
                "promised_value": chosen.value,
                "promised_gain": chosen.gain,
                "promised_spend": chosen.cost,
                "price": chosen.price,
                "bound": chosen.bound,
                "gap": chosen.gap,
                "slack": chosen.slack,
            },
            warnings=self.warnings,
            evaluation=self.evaluation,
            tuning=self.tuning,
        )


def run_demo(plan: DemoPlan, progress: Callable[[str], None] = lambda _: None) -> DemoResult:
    """Split the log in half, fit every policy on one half, decide and verify on the other.

    Raises InputError or ProblemError for a plan that cannot be run, as early as that can be known.
    """
    if plan.budget_per_user is not None and check_budget(plan.budget_per_user) is None:
        raise ProblemError("the budget per user is infinite; a finite amount of money is expected")
    progress(f"reading {plan.data}")
    source = load(plan.data, users=plan.users, seed=plan.seed, roles=plan.roles)
    mismatch = share_mismatch(source.campaign)
    if mismatch is not None and mismatch.chance < REFUSED_BELOW:
        raise InputError(mismatch.text)
    train, held_out = source.campaign.split(1 - HELD_OUT_SHARE, plan.seed)
    means = ArmMeans.of(train)
    control = float(means.cost[0])
    default = default_budget(means) if source.budget_per_user is None else source.budget_per_user
    per_user = default if plan.budget_per_user is None else float(plan.budget_per_user)
    if per_user < control:
        raise ProblemError(
            f"the budget of {amount_text(per_user)} a user cannot be met: control alone costs "
            f"{amount_text(control)} a user; give at least that"
        )
    progress(f"fitting on {len(train):,} users, {len(train.arms)} arms, {len(train.features)} features")
    two_stage = TwoStage(SLearner(seed=plan.seed)).fit(train)
    grid = budget_grid(control, per_user)
    above = [share for share in grid if share > control]
    tuned = fit_end_to_end(train, above, plan.seed, progress) if plan.end_to_end else Tuned(None)
    policies: dict[str, Policy] = {CHALLENGER: two_stage}
    policies |= ({} if tuned.policy is None else {END_TO_END: tuned.policy}) | fit_baselines(
        train, two_stage.learner_, plan.seed
    )
    budgets = sorted({share * len(held_out) for share in grid})
    times = "1 budget" if len(budgets) == 1 else f"{len(budgets)} budgets"
    progress(f"deciding for {len(held_out):,} held-out users at {times}, and verifying")
    outcomes, resamples = fit_outcomes(held_out, seed=plan.seed), plan.resamples(len(held_out))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        if resamples:
            check_resamples(resamples)
            warn_of_few(resamples, LEVEL)
        check_held_out(held_out, allow_mismatch=True)  # refused or told above, of the whole log
        decided = decide_all(policies, held_out, budgets)
        cells, verified = verify_decided(decided, held_out, ESTIMATORS, resamples, plan.seed, None, outcomes, None)
        evaluation = tidy(cells, verified, BASELINES, LEVEL, plan.seed)
    response = two_stage.predict(held_out)
    problem = two_stage.problem(response, per_user * len(held_out))
    allocation = two_stage.decide(response, problem.budget)
    scores = score_tables(held_out, [HEADLINE], outcomes, default_largest(len(held_out)))
    rows, chances = np.arange(len(held_out)), held_out.propensity
    assert chances is not None
    progress("checking the evidence")
    known = Known(
        source.campaign,
        train,
        held_out,
        two_stage,
        response,
        outcomes,
        scores[HEADLINE, VALUE],
        decided,
        per_user * len(held_out),
        evaluation,
    )
    told = [*([mismatch.text] if mismatch else []), *([tuned.warning] if tuned.warning else [])]
    return DemoResult(
        plan=plan,
        source=source,
        budget_per_user=per_user,
        held_out=held_out,
        response=response,
        value_score=scores[HEADLINE, VALUE],
        spend_score=scores[HEADLINE, SPEND],
        allocation=allocation,
        expected_value=problem.value[rows, allocation.decision].astype(np.float64),
        expected_cost=problem.cost[rows, allocation.decision].astype(np.float64),
        margin=margins(problem, allocation),
        warnings=tuple(dict.fromkeys([*told, *(str(w.message) for w in caught)])),
        evaluation=evaluation,
        compared=compared_of(
            decided,
            cells,
            verified[ESTIMATORS.index(HEADLINE)],
            scores[HEADLINE, VALUE],
            scores[HEADLINE, SPEND],
            chances,
        ),
        tuning=tuned.words,
        checks=checks_of(known, plan.seed),
    )


def default_budget(means: ArmMeans) -> float:
    """Half-way from control to the dearest arm for everybody, money per user; the way above control to two digits."""
    low, high = max(float(means.cost[0]), 0.0), max(float(means.cost.max()), 0.0)
    half = (high - low) / 2
    return low + (float(f"{half:.1e}") if half > 0 else 0.0)


def budget_grid(control: float, per_user: float) -> list[float]:
    """Budgets per user around the chosen one: 1/4 to 2 times what it has above the mean cost of control."""
    floor = max(0.0, control)
    if per_user <= floor:
        return [per_user]
    return [per_user if m == 1 else floor + m * (per_user - floor) for m in BUDGET_MULTIPLES]


def fit_baselines(train: Campaign, response_model: ResponseLearner, seed: int) -> dict[str, Policy]:
    """The baselines, fitted on the same users; outcome targeting shares the fitted model, not one more fit."""
    fitted: dict[str, Policy] = {
        "best single arm": BestSingleArm(seed).fit(train),
        "best mix of arms": BestMix(seed).fit(train),
        "outcome targeting": OutcomeTargeting(FrozenEstimator(response_model)).fit(train),
        "random": RandomArm(seed).fit(train),
        "nobody": Nobody().fit(train),
    }
    return {name: fitted[name] for name in BASELINES}
