"""The fitting job: a log in, a fitted policy out, and who stays unseen to verify it on."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.frozen import FrozenEstimator

from allocation.jobs.engines import LOCAL
from allocation.jobs.evaluation_plan import check_shares, distinct_budgets
from allocation.jobs.fit_plan import FitPlan, check_fit
from allocation.jobs.policies_named import MODELS, make_end_to_end, make_learner
from allocation.jobs.source import Source, load
from allocation.policies.base import Policy
from allocation.policies.two_stage import TwoStage
from uplift.campaign import Campaign


@dataclass(frozen=True, eq=False)
class FitResult:
    """What came of it.

    Attributes
    ----------
    plan, source : what was fitted on which log. policy : the fitted policy; name : what tables call its kind.
    users : how many it was fitted on; unseen : the users of the log kept out. seconds : what the fit took.
    warnings : what the reader must know first.
    """

    plan: FitPlan
    source: Source
    policy: Policy
    name: str
    users: int
    unseen: int
    seconds: float
    warnings: tuple[str, ...]

    @property
    def words(self) -> str:
        """What the fit says of itself; empty for a method that judges nothing."""
        return str(self.policy.result_) if hasattr(self.policy, "result_") else ""


def run_fit(plan: FitPlan, progress: Callable[[str], None] = lambda _: None) -> FitResult:
    """Fit the policy on `plan.share` of the users of the log, drawn at random within each arm, or whole clusters.

    Of the same log `earmark evaluate` with the same seed holds out just the users whom a share of .5 leaves unseen.
    Raises InputError or ProblemError for a plan that cannot be run, as early as that can be known.
    """
    check_fit(plan)
    progress(f"reading {plan.data}")
    roles = dict(plan.roles or {})
    if plan.groups is not None:
        roles["activeness"] = plan.groups
    # The end-to-end gate verifies, so an own log must say how its arms were drawn, as in an evaluation.
    randomised = plan.method == "two-stage"
    source = load(plan.data, users=plan.users, seed=plan.seed, roles=roles, randomised=randomised)
    told = check_shares(source, plan.allow_mismatch)
    train = source.campaign
    if plan.share < 1:
        train = train.take(train.split_rows(plan.share, plan.seed, cluster=source.cluster)[0])
    name, policy = _made(plan, train, progress)
    progress(f"fitting {name} on {len(train):,} users")
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        policy = policy.fit(train) if plan.engine == LOCAL else _fitted_on_spark(plan, policy, train)
    seconds = time.perf_counter() - began
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    unseen = len(source.campaign) - len(train)
    return FitResult(plan, source, policy, name, len(train), unseen, seconds, tuple(dict.fromkeys([*told, *said])))


def _fitted_on_spark(plan: FitPlan, policy: Any, train: Campaign) -> Policy:
    from allocation.jobs.spark_training import fit_on_spark  # pyspark is an extra

    net = fit_on_spark(policy.learner, train, master=plan.master, processes=plan.shared_by)
    fitted = TwoStage(FrozenEstimator(net)).fit(train)
    fitted.learner, fitted.learner_ = policy.learner, net
    return fitted


def _made(plan: FitPlan, train: Campaign, progress: Callable[[str], None]) -> tuple[str, Policy]:
    """What tables call the policy, and the policy, not fitted."""
    if plan.method == "two-stage":
        learner = plan.learner or "s"
        layers: dict[str, Any] = {} if plan.hidden is None else {"hidden": plan.hidden}
        return MODELS[learner], TwoStage(make_learner(learner, plan.seed, **layers))
    budgets = None if plan.budgets_per_user is None else distinct_budgets(plan.budgets_per_user)
    given = {
        "scores": plan.scores,
        "estimator": plan.estimator,
        "budgets": budgets and [budget * len(train) for budget in budgets],
        "groups": None if plan.groups is None else "activeness",
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    made = make_end_to_end(plan.seed, hidden=plan.hidden, gate=plan.gate, progress=progress, **chosen)
    return "end-to-end", made
