"""Decides: which arm each user gets under a budget, and what that decision is worth.

A `Problem` (value and cost tables and a budget) is solved into an `Allocation`. A policy such as `TwoStage` is
fitted on a `uplift.Campaign` and decides for new users; `evaluate` estimates what policies are worth on held-out
users, `stability` how far another log would change their decisions, `next_experiment` how many users would settle it.

>>> import numpy as np
>>> from allocation import Problem, solve
>>> value = np.array([[0.0, 5.0], [0.0, 2.0]])
>>> cost = np.array([[0.0, 2.0], [0.0, 1.0]])
>>> solve(Problem(value, cost, budget=2.0)).decision
array([1, 0])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allocation.engine.frontier import Frontier, frontier
    from allocation.engine.limit import Limit
    from allocation.engine.problem import Allocation, Problem, ProblemError
    from allocation.engine.solve import solve
    from allocation.evaluation.curve import curve_area
    from allocation.evaluation.decided import decide_all
    from allocation.evaluation.estimators import off_policy
    from allocation.evaluation.evaluate import evaluate
    from allocation.evaluation.experiment import next_experiment
    from allocation.evaluation.nuisance import fit_outcomes
    from allocation.evaluation.repeated import evaluate_splits
    from allocation.evaluation.stability import stability
    from allocation.evaluation.support_by_arm import support_by_arm
    from allocation.jobs.batch.in_memory import decide
    from allocation.policies.base import Policy
    from allocation.policies.baselines import BestMix, BestSingleArm, Nobody, OutcomeTargeting, RandomArm
    from allocation.policies.end_to_end import EndToEnd
    from allocation.policies.saved import load_policy
    from allocation.policies.two_stage import TwoStage

# Loaded on first use: `earmark --help` must not wait for the numerical libraries.
_HOME = {
    "Allocation": "allocation.engine.problem",
    "BestMix": "allocation.policies.baselines",
    "BestSingleArm": "allocation.policies.baselines",
    "EndToEnd": "allocation.policies.end_to_end",
    "Frontier": "allocation.engine.frontier",
    "Limit": "allocation.engine.limit",
    "Nobody": "allocation.policies.baselines",
    "OutcomeTargeting": "allocation.policies.baselines",
    "Policy": "allocation.policies.base",
    "Problem": "allocation.engine.problem",
    "ProblemError": "allocation.engine.problem",
    "RandomArm": "allocation.policies.baselines",
    "TwoStage": "allocation.policies.two_stage",
    "curve_area": "allocation.evaluation.curve",
    "decide": "allocation.jobs.batch.in_memory",
    "decide_all": "allocation.evaluation.decided",
    "evaluate": "allocation.evaluation.evaluate",
    "evaluate_splits": "allocation.evaluation.repeated",
    "fit_outcomes": "allocation.evaluation.nuisance",
    "frontier": "allocation.engine.frontier",
    "load_policy": "allocation.policies.saved",
    "next_experiment": "allocation.evaluation.experiment",
    "off_policy": "allocation.evaluation.estimators",
    "solve": "allocation.engine.solve",
    "stability": "allocation.evaluation.stability",
    "support_by_arm": "allocation.evaluation.support_by_arm",
}

__all__ = [
    "Allocation",
    "BestMix",
    "BestSingleArm",
    "EndToEnd",
    "Frontier",
    "Limit",
    "Nobody",
    "OutcomeTargeting",
    "Policy",
    "Problem",
    "ProblemError",
    "RandomArm",
    "TwoStage",
    "curve_area",
    "decide",
    "decide_all",
    "evaluate",
    "evaluate_splits",
    "fit_outcomes",
    "frontier",
    "load_policy",
    "next_experiment",
    "off_policy",
    "solve",
    "stability",
    "support_by_arm",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'allocation' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
