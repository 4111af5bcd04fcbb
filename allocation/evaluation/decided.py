"""What every policy decides for the held-out users at every budget, and what it promises."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from allocation.engine.problem import Allocation, Problem, ProblemError, check_budget
from allocation.engine.solve import solve
from allocation.evaluation.checks import check_arms, check_decision, check_unseen
from uplift.campaign import Campaign, check_campaign
from uplift.errors import InputError, check_unique, nearest
from uplift.response import Response
from uplift.seen import alike


class Decides(Protocol):
    """What is evaluated of a policy: the arms that it counts, and its decision; how it was fitted does not matter."""

    @property
    def arms_(self) -> tuple[str, ...]:
        """Names of the arms that decisions count, control first."""
        ...

    def decide(self, users: Any, budget: float | None) -> Allocation:
        """The arm of each user; `Allocation.value` and `.cost` are the promised totals."""
        ...


# A fitted policy; predictions, solved at every budget; or arms already decided, (n,) whole numbers.
Decider = Decides | Response | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Decided:
    """Decisions of several policies for the same users; a cell is one policy at one budget.

    Attributes
    ----------
    names : of the policies. budgets : money for all users together.
    decision : (m, n) arms; cells in the order of the budgets, and of the policies within a budget.
    promised_value, promised_spend, price : (m,), as the policy itself says, NaN where it does not. All of them follow
        from predictions: no outcome of these users has been looked at.
    """

    names: tuple[str, ...]
    budgets: tuple[float, ...]
    decision: NDArray[np.integer]
    promised_value: NDArray[np.float64]
    promised_spend: NDArray[np.float64]
    price: NDArray[np.float64]

    def cell(self, policy: str, budget: float) -> int:
        """The row of `decision` of one policy at one budget; raises InputError for another name or budget."""
        if policy not in self.names:
            raise InputError(f"policy {policy!r} is none of those decided.{nearest(policy, self.names)}")
        if budget not in self.budgets:
            known = ", ".join(f"{b:,.6g}" for b in self.budgets)
            raise InputError(f"budget {budget!r} is none of those decided at: {known}")
        return self.budgets.index(budget) * len(self.names) + self.names.index(policy)


def decide_all(policies: Mapping[str, Decider], held_out: Campaign, budgets: Sequence[float]) -> Decided:
    """Let every policy decide for the users of `held_out` at every budget.

    Parameters
    ----------
    policies : by name, as in `evaluate`: fitted policies, a `Response` or arms already decided.
    held_out : whose features are decided on; no outcome is looked at.
    budgets : money for all its n users together; one given twice counts once.

    Returns `Decided`: the arms (m, n) of the m cells, a policy at a budget each, and what every cell promises.

    Each predicts once. A policy with `users_` (what it was fitted on; see `uplift.seen.Seen`) is refused where it has
    seen one of the users. Warns when a policy promises to spend more than the budget. Raises InputError for policies
    that are not fitted, know other arms, want an arm that the log never gave, or decide in another form than one arm
    a user; ProblemError for budgets that are no finite amounts, or that a policy cannot meet.
    """
    check_campaign(held_out)
    amounts = check_budgets(budgets)
    names = check_names(policies)
    X = held_out.X.view()
    X.flags.writeable = False  # the log is the user's, and the next policy's
    deciders = {
        name: _decider(name, policy, held_out, X) for name, policy in zip(names, policies.values(), strict=True)
    }
    kind = np.int8 if len(held_out.arms) < 128 else np.int64
    decision = np.empty((len(amounts) * len(deciders), len(held_out)), dtype=kind)
    promised = np.empty((3, len(decision)))
    cells = [(name, decider, budget) for budget in amounts for name, decider in deciders.items()]
    for k, (name, decider, budget) in enumerate(cells):
        allocation = decider(budget)
        decision[k] = check_decision(name, allocation.decision, held_out, budget)
        promised[:, k] = allocation.value, allocation.cost, allocation.price
        if allocation.cost > budget:
            warnings.warn(
                f"policy {name!r} promises to spend {allocation.cost:,.6g} of a budget of {budget:,.6g}; "
                "it is not compared at an equal budget",
                stacklevel=3,
            )
    return Decided(tuple(deciders), amounts, decision, *promised)


def check_names(policies: Mapping[str, Decider]) -> list[str]:
    """The policies' names as text; raises InputError for no policy, and for names that are the same as text."""
    if not isinstance(policies, Mapping) or not policies:
        raise InputError("no policy to evaluate; give {name: fitted policy}")
    names = [str(name) for name in policies]
    check_unique(names, "policy", "policies: the", "give each a name of its own")
    return names


def check_budgets(budgets: Sequence[float]) -> tuple[float, ...]:
    """Finite budgets as a tuple without repetitions; raises ProblemError for anything else."""
    if not np.iterable(budgets):
        raise ProblemError(f"budgets is {budgets!r}; a list is expected, such as [{budgets!r}]")
    checked = [check_budget(budget) for budget in budgets]
    if not checked or None in checked:
        raise ProblemError("budgets must be finite numbers, at least one, in the unit of cost")
    return tuple(dict.fromkeys(float(budget) for budget in checked if budget is not None))


def _decider(name: str, policy: Decider, held_out: Campaign, X: NDArray[np.float32]) -> Any:
    """A function from a budget to an allocation, whatever the policy is."""
    if isinstance(policy, Response):
        response = _aligned(name, policy, held_out)
        return lambda budget: solve(Problem(response.value, response.cost, budget))
    if isinstance(policy, np.ndarray | list | tuple) or hasattr(policy, "__array__"):
        fixed = Allocation(_array(name, policy))
        return lambda _: fixed
    if isinstance(policy, type) or not callable(getattr(policy, "decide", None)):
        what = policy.__name__ if isinstance(policy, type) else type(policy).__name__
        raise InputError(
            f"policy {name!r} is {'the class ' if isinstance(policy, type) else 'a '}{what}, which cannot decide; a "
            "fitted policy, a Response or an array of arms is expected, such as TwoStage(learner).fit(train)"
        )
    arms = getattr(policy, "arms_", None)
    if arms is None:
        raise InputError(
            f"policy {name!r} is not fitted; call .fit(campaign) first (the fit of a class of your own ends with "
            "self.arms_ = campaign.arms)"
        )
    check_arms(name, arms, held_out)
    check_unseen(f"policy {name!r}", getattr(policy, "users_", None), held_out)
    users = policy.predict(X) if hasattr(policy, "predict") else X

    def _decide(budget: float) -> Allocation:
        decided = policy.decide(users, budget)
        return decided if isinstance(decided, Allocation) else Allocation(_array(name, decided))

    return _decide


def _array(name: str, decision: Any) -> NDArray[Any]:
    try:
        return np.asarray(decision)
    except ValueError:
        raise InputError(f"policy {name!r} decided in rows of several lengths; one arm a user is expected") from None


def _aligned(name: str, response: Response, held_out: Campaign) -> Response:
    """The predictions, if they are for these users in this order."""
    check_arms(name, response.arms, held_out)
    mend = "predict for held_out, or bring them in its order by user_id"
    if len(response) != len(held_out):
        raise InputError(
            f"the predictions {name!r} are not for the users of the held-out log in their order: {len(response):,} "
            f"users, where it has {len(held_out):,}; {mend}"
        )
    if response.user_id is not None:
        mine, theirs = alike(np.asarray(response.user_id), held_out.user_id)
        if (mine != theirs).any():
            row = int(np.argmax(mine != theirs))
            raise InputError(
                f"the predictions {name!r} are not for the users of the held-out log in their order: row {row:,} is "
                f"user {mine[row]}, where it has {theirs[row]}; {mend}"
            )
    return response
