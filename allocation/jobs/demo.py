"""The main job end to end: log, response model, budgets, decisions, and what they are worth on held-out users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocation.engine.money import amount_text
from allocation.engine.price import margins
from allocation.engine.problem import Allocation, ProblemError, check_budget
from allocation.evaluation.evaluate import evaluate
from allocation.jobs.source import Source, load
from allocation.jobs.summary import BASELINES, CHALLENGER, HEADLINE, Summary
from allocation.policies.base import ArmMeans, Policy
from allocation.policies.baselines import BestMix, BestSingleArm, Nobody, OutcomeTargeting, RandomArm
from allocation.policies.two_stage import TwoStage
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import SLearner
from uplift.propensity import share_mismatch

HELD_OUT_SHARE = 0.5
REFUSED_BELOW = 1e-6  # p-value of the log's arm counts under the stated propensities
BUDGET_MULTIPLES = (0.25, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True, eq=False)
class DemoPlan:
    """What to run: the arguments of `earmark demo`; `budget_per_user` is money per user, None for the data's own."""

    data: str = "thornton_hiv"
    users: int | None = None
    budget_per_user: float | None = None
    seed: int = 0
    n_bootstrap: int = 1000
    roles: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What came of it.

    Attributes
    ----------
    plan, source : what was run on which log; budget_per_user : the budget that was decided at, money per user.
    held_out : the users decided for, half of the log; the other half fitted the models.
    allocation : the two-stage decision for `held_out`; expected_value, expected_cost, margin : (n,), of each
        user's arm, as predicted; the margin in value units (see `engine.price.margins`).
    against_nobody : verified value of two-stage minus that of nobody at that budget, per user: difference, low, high.
    warnings : what `evaluate` warned of.
    evaluation : the frame of `evaluate`, totals over `held_out`, budgets as totals.
    """

    plan: DemoPlan
    source: Source
    budget_per_user: float
    held_out: Campaign
    allocation: Allocation
    expected_value: NDArray[np.float64]
    expected_cost: NDArray[np.float64]
    margin: NDArray[np.float64]
    against_nobody: tuple[float, float, float]
    warnings: tuple[str, ...]
    evaluation: pd.DataFrame

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
            n_bootstrap=self.plan.n_bootstrap,
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
            against_nobody=self.against_nobody,
            warnings=self.warnings,
            evaluation=self.evaluation,
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
    per_user = plan.budget_per_user
    if per_user is None:
        per_user = default_budget(train) if source.budget_per_user is None else source.budget_per_user
    per_user = float(per_user)
    control = float(ArmMeans.of(train).cost[0])
    if per_user < control:
        raise ProblemError(
            f"the budget of {amount_text(per_user)} a user cannot be met: control alone costs "
            f"{amount_text(control)} a user; give at least that"
        )
    progress(f"fitting on {len(train):,} users, {len(train.arms)} arms, {len(train.features)} features")
    policies = fit_policies(train, plan.seed)
    budgets = sorted({share * len(held_out) for share in budget_grid(train, per_user)})
    times = "1 budget" if len(budgets) == 1 else f"{len(budgets)} budgets"
    progress(f"deciding for {len(held_out):,} held-out users at {times}, and verifying")
    settings: dict[str, int] = {"n_bootstrap": plan.n_bootstrap, "seed": plan.seed}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        evaluation = evaluate(policies, held_out, budgets=budgets, reference=BASELINES, **settings)
        pair = {name: policies[name] for name in (CHALLENGER, "nobody")}
        gain = evaluate(pair, held_out, budgets=[per_user * len(held_out)], reference="nobody", **settings)
    row = gain[(gain["policy"] == CHALLENGER) & (gain["estimator"] == HEADLINE)].iloc[0]
    difference, low, high = (float(row[f"difference{end}"]) / len(held_out) for end in ("", "_low", "_high"))
    two_stage = policies[CHALLENGER]
    assert isinstance(two_stage, TwoStage)
    problem = two_stage.problem(held_out.X, per_user * len(held_out))
    allocation = two_stage.decide(held_out.X, problem.budget)
    rows = np.arange(len(held_out))
    return DemoResult(
        plan=plan,
        source=source,
        budget_per_user=per_user,
        held_out=held_out,
        allocation=allocation,
        expected_value=problem.value[rows, allocation.decision].astype(np.float64),
        expected_cost=problem.cost[rows, allocation.decision].astype(np.float64),
        margin=margins(problem, allocation),
        against_nobody=(difference, low, high),
        warnings=tuple(dict.fromkeys([*([mismatch.text] if mismatch else []), *(str(w.message) for w in caught)])),
        evaluation=evaluation,
    )


def default_budget(train: Campaign) -> float:
    """Half-way from control to the dearest arm for everybody, money per user; the way above control to two digits."""
    cost = ArmMeans.of(train).cost
    low, high = max(float(cost[0]), 0.0), max(float(cost.max()), 0.0)
    half = (high - low) / 2
    return low + (float(f"{half:.1e}") if half > 0 else 0.0)


def budget_grid(train: Campaign, per_user: float) -> list[float]:
    """Budgets per user around the chosen one: 1/4 to 2 times what it has above the mean cost of control."""
    control = max(0.0, float(ArmMeans.of(train).cost[0]))
    if per_user <= control:
        return [per_user]
    return [per_user if m == 1 else control + m * (per_user - control) for m in BUDGET_MULTIPLES]


def fit_policies(train: Campaign, seed: int) -> dict[str, Policy]:
    """The two-stage policy and the baselines, fitted on the same users."""
    return {
        CHALLENGER: TwoStage(SLearner(seed=seed)).fit(train),
        "best single arm": BestSingleArm(seed).fit(train),
        "best mix of arms": BestMix(seed).fit(train),
        "outcome targeting": OutcomeTargeting(SLearner(seed=seed)).fit(train),
        "random": RandomArm(seed).fit(train),
        "nobody": Nobody().fit(train),
    }
