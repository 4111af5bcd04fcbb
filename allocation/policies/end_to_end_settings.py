"""What an end-to-end fit is asked for, checked before any work; and the schedules of its phases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allocation.engine.problem import check_budget
from allocation.policies.gradients import ESTIMATORS
from allocation.policies.scored import KINDS
from uplift.causal.aggregation import Rule
from uplift.causal.aggregation import rule as named_rule
from uplift.errors import InputError, check_fraction, check_number, check_whole, nearest
from uplift.learners.base import ResponseLearner
from uplift.learners.neural import NeuralResponse
from uplift.learners.training import Schedule

WARM_STARTS = ("effects", "levels")
GROUPS = (None, "activeness")
TEMPERATURE = (0.05, 0.05)
EFFECTS = Schedule(epochs=10, batch_size=4096, lr=2e-2, weight_decay=1e-3)
DECISION = Schedule(epochs=4, batch_size=10_000, lr=1e-3, weight_decay=0.0, steps=48)


@dataclass(frozen=True, eq=False)
class Settings:
    """The checked arguments of `EndToEnd`; `rule` and `group_rule` are rules now, and None those left open."""

    net: NeuralResponse
    outcome_learner: ResponseLearner
    estimator: str
    scores: str
    budgets: tuple[float, ...] | None
    gamma: float
    rule: Rule | None
    warm_start: str
    grouped: bool
    group_rule: Rule
    level: float
    seed: int
    progress: Callable[[str], None]


def checked(
    *,
    net: Any,
    estimator: str,
    scores: str,
    budgets: Sequence[float] | None,
    gamma: float,
    rule: Rule | str | None,
    warm_start: str,
    groups: str | None,
    group_rule: Rule | str,
    outcome_learner: Any,
    level: float,
    seed: int,
    progress: Callable[[str], None] | None,
) -> Settings:
    """The settings; raises InputError or ProblemError for each that no fit can use, with what is expected."""
    if net is not None and not isinstance(net, NeuralResponse):
        raise InputError(
            f"net is {net!r}; a NeuralResponse is expected, such as NeuralResponse(hidden=(8,)), or None"
        )
    _one_of("estimator", estimator, tuple(ESTIMATORS))
    _one_of("scores", scores, KINDS)
    _one_of("warm_start", warm_start, WARM_STARTS)
    if groups not in GROUPS:
        raise InputError(f"groups is {groups!r}; 'activeness' or None is expected")
    check_number(gamma, "gamma", ", such as 1.0")
    check_whole(seed, "seed", 0)
    if progress is not None and not callable(progress):
        raise InputError(f"progress is {progress!r}; a function of a text is expected, or None")
    if outcome_learner is not None and not (hasattr(outcome_learner, "fit") and hasattr(outcome_learner, "predict")):
        raise InputError(
            f"outcome_learner is {outcome_learner!r}; a response learner is expected, such as SLearner(), or None"
        )
    check_fraction(level, "level", 0.95)
    return Settings(
        NeuralResponse(seed=int(seed)) if net is None else net,
        NeuralResponse(epochs=5, seed=int(seed)) if outcome_learner is None else outcome_learner,
        estimator,
        scores,
        None if budgets is None else _budgets(budgets),
        float(gamma),
        None if rule is None else _rule(rule, int(seed)),
        warm_start,
        groups is not None,
        _rule(group_rule, int(seed)),
        level,
        int(seed),
        progress or (lambda _: None),
    )


def _one_of(name: str, given: Any, known: tuple[str, ...]) -> None:
    if given not in known:
        raise InputError(f"{name} is {given!r}; one of {', '.join(known)} is expected.{nearest(str(given), known)}")


def _budgets(budgets: Sequence[float]) -> tuple[float, ...]:
    found = [check_budget(budget) for budget in budgets] if np.iterable(budgets) else []
    if not found:
        raise InputError(f"budgets is {budgets!r}; a list of money for all users of the log is expected, or None")
    if None in found:
        raise InputError("budgets holds None or an infinite amount; finite money for all users is expected")
    return tuple(float(budget) for budget in found if budget is not None)


def _rule(rule: Rule | str, seed: int) -> Rule:
    return rule if isinstance(rule, Rule) else named_rule(rule, seed=seed)
