"""The policies that can be asked for by name, and their fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from sklearn.frozen import FrozenEstimator

from allocation.policies.base import Policy
from allocation.policies.baselines import BestMix, BestSingleArm, Nobody, OutcomeTargeting, RandomArm
from allocation.policies.two_stage import TwoStage
from uplift.campaign import Campaign
from uplift.errors import InputError, check_unique, nearest
from uplift.learners.base import ResponseLearner

# What is typed, and how it is called in every table and picture.
RULES = {
    "nobody": "nobody",
    "single": "best single arm",
    "mix": "best mix of arms",
    "random": "random",
    "outcome": "outcome targeting",
}
MODELS = {
    "s": "two-stage S",
    "t": "two-stage T",
    "x": "two-stage X",
    "dr": "two-stage DR",
    "forest": "two-stage forest",
    "neural": "two-stage neural",
    "end-to-end": "end-to-end",
}
NAMES = RULES | MODELS
USUAL = ("nobody", "single", "mix", "random", "outcome", "s", "t", "dr")
LEARNERS = {
    "s": "SLearner",
    "t": "TLearner",
    "x": "XLearner",
    "dr": "DRLearner",
    "forest": "CausalForest",
    "neural": "NeuralResponse",
}
_TWO_STAGE = "value and cost of every arm predicted by {}, then the budget solved on the predictions"
MEANINGS = {
    "nobody": "control for everybody",
    "best single arm": "one arm to as many random users as the budget allows",
    "best mix of arms": "the arms dealt out at random so that the whole budget is spent as well as averages allow",
    "random": "random arms to random users until the budget is spent",
    "outcome targeting": "the best single arm to the users of highest predicted value",
    "two-stage S": _TWO_STAGE.format("one model with the arm as a feature"),
    "two-stage T": _TWO_STAGE.format("a model for each arm"),
    "two-stage X": _TWO_STAGE.format("an X-learner, which imputes effects across arms"),
    "two-stage DR": _TWO_STAGE.format("a doubly robust learner of effects"),
    "two-stage forest": _TWO_STAGE.format("a causal forest"),
    "two-stage neural": _TWO_STAGE.format("a neural network"),
    "end-to-end": "a neural network that predicts value and cost, tuned for what its decisions are worth",
}


def check_names(asked: Sequence[str]) -> tuple[str, ...]:
    """The short names as they are; raises InputError for one that is unknown or stands twice, and for none."""
    if not asked:
        raise InputError(f"no policy is named; give names such as {','.join(USUAL)}")
    for name in asked:
        if name not in NAMES:
            raise InputError(f"policy {name!r} is not known.{nearest(name, NAMES)}")
    check_unique(asked, "policy", "policies: the", "name each policy once")
    return tuple(asked)


def fit_named(
    asked: Sequence[str],
    train: Campaign,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
    budgets_per_user: Sequence[float] | None = None,
) -> dict[str, Policy]:
    """Fit the policies of these short names on `train`: {name in tables: fitted policy}, in the order asked for.

    The end-to-end policy is tuned for `budgets_per_user`, money per user; None leaves them to it. Outcome targeting
    takes the S-learner's fit where both are asked for: one model less to fit, and what differs between the two is
    then the rule and not the model.
    """
    learners: dict[str, ResponseLearner] = {}
    policies: dict[str, Policy] = {}
    for name in sorted(asked, key=lambda name: name not in MODELS):  # models first: outcome targeting shares one
        if name in LEARNERS:
            progress(f"fitting {NAMES[name]} on {len(train):,} users")
            two_stage = TwoStage(make_learner(name, seed)).fit(train)
            learners[name], policies[name] = two_stage.learner_, two_stage
        elif name == "outcome":
            shared = FrozenEstimator(learners["s"]) if "s" in learners else make_learner("s", seed)
            policies[name] = OutcomeTargeting(shared).fit(train)
        elif name in MODELS:
            progress(f"fitting {NAMES[name]} on {len(train):,} users")
            budgets = None if budgets_per_user is None else [budget * len(train) for budget in budgets_per_user]
            policies[name] = make_end_to_end(seed, budgets=budgets, progress=progress).fit(train)
        else:
            policies[name] = _rule(name, seed).fit(train)
    return {NAMES[name]: policies[name] for name in asked}


def make_learner(name: str, seed: int, **arguments: Any) -> ResponseLearner:
    """The learner of a short name, not fitted; `arguments` are further ones of its constructor."""
    # By name, so that a run loads EconML or torch only for a policy that needs them.
    made: ResponseLearner = getattr(import_module("uplift.learners"), LEARNERS[name])(seed=seed, **arguments)
    return made


def make_end_to_end(seed: int, *, hidden: tuple[int, ...] | None = None, **arguments: Any) -> Policy:
    """The end-to-end policy, not fitted, on a net of these widths; `arguments` are further ones of `EndToEnd`."""
    net = make_learner("neural", seed) if hidden is None else make_learner("neural", seed, hidden=hidden)
    made: Policy = import_module("allocation.policies.end_to_end").EndToEnd(net, seed=seed, **arguments)
    return made


def _rule(name: str, seed: int) -> Policy:
    rules: dict[str, Callable[[], Policy]] = {
        "nobody": Nobody,
        "single": lambda: BestSingleArm(seed),
        "mix": lambda: BestMix(seed),
        "random": lambda: RandomArm(seed),
    }
    return rules[name]()
