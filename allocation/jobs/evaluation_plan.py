"""What to evaluate: the arguments of `earmark evaluate`, and what of them is refused before anything is fitted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from allocation.engine.money import amount_text
from allocation.engine.problem import ProblemError
from allocation.evaluation.estimators import check_estimators
from allocation.jobs.demo import budget_grid, default_budget
from allocation.jobs.numbers import decimals, number
from allocation.jobs.policies_named import NAMES, RULES, USUAL, check_names
from allocation.jobs.source import Source
from allocation.policies.base import ArmMeans
from uplift.errors import InputError, check_fraction, nearest
from uplift.groups import label_codes
from uplift.propensity import share_mismatch

ROUNDING = 1e-9  # share by which a mean cost may fall short of the budget that equals it


@dataclass(frozen=True, eq=False)
class EvaluationPlan:
    """What to evaluate: the arguments of `earmark evaluate`.

    `policies` are short names (`policies_named.NAMES`), None for the usual ones, or for none where files are given;
    `decisions` and `responses` map a name to a file, `saved` a name to the folder of a saved policy; `unseen`
    verifies on the users whom no saved policy was fitted on; `budgets_per_user` is money per user, None for the
    data's own.
    """

    data: str = "thornton_hiv"
    policies: tuple[str, ...] | None = None
    decisions: Mapping[str, str] = field(default_factory=dict)
    responses: Mapping[str, str] = field(default_factory=dict)
    saved: Mapping[str, str] = field(default_factory=dict)
    unseen: bool = False
    budgets_per_user: tuple[float, ...] | None = None
    splits: int = 1
    estimator: str = "dr"
    reference: str | None = None
    level: float = 0.95
    n_bootstrap: int = 1000
    seed: int = 0
    users: int | None = None
    allow_mismatch: bool = False
    roles: Mapping[str, Any] | None = None


def check_plan(plan: EvaluationPlan) -> tuple[str, ...]:
    """The short names to fit; refuses what is wrong whatever the log holds."""
    check_estimators([plan.estimator])
    check_fraction(plan.level, "level", 0.95)
    if plan.n_bootstrap < 2:
        raise InputError(f"bootstrap is {plan.n_bootstrap}; at least 2 resamples are expected, 1000 is usual")
    if plan.splits < 1:
        raise InputError(f"splits is {plan.splits}; at least 1 is expected")
    usual = () if plan.decisions or plan.responses or plan.saved else USUAL
    asked = usual if plan.policies is None else check_names(plan.policies)
    if plan.splits > 1 and not asked:
        raise InputError(
            f"{plan.splits} splits were asked for and no policy is to be fitted: policies from files are verified on "
            "the whole log; leave --splits out, or name --policies to fit"
        )
    if plan.unseen and not plan.saved:
        raise InputError("--unseen leaves out the users of saved policies, and none is given: --policy NAME=FOLDER")
    if plan.unseen and plan.splits > 1:
        raise InputError(
            f"--unseen verifies once, on the users whom no saved policy was fitted on; {plan.splits} splits at "
            "random would mix them up: leave one of the two out"
        )
    return asked


def check_shares(source: Source, allow_mismatch: bool) -> list[str]:
    """What contradicts the propensities; refused unless allowed."""
    code = None if source.cluster is None else label_codes(source.cluster, len(source.campaign), "cluster")[1]
    mismatch = share_mismatch(source.campaign, code)
    if mismatch is None:
        return []
    if not allow_mismatch:
        raise InputError(f"{mismatch.text}, or go on at your own risk with --allow-mismatch")
    return [mismatch.text]


def all_names(asked: tuple[str, ...], filed: Iterable[str], saved: Iterable[str]) -> list[str]:
    """The policies as tables call them; refuses a file's name that policies have which are fitted here.

    A saved policy may be called what it is, such as "end-to-end", where no other of that name is fitted.
    """
    fitted = [NAMES[name] for name in asked]
    rules = (*RULES, *RULES.values())
    for what, names, taken in (
        ("file", filed, (*NAMES, *NAMES.values())),
        ("saved policy", saved, (*rules, *asked, *fitted)),
    ):
        for name in names:
            if name in taken:
                raise InputError(
                    f"a {what} is named {name!r}, as a policy that is fitted here; give it a name of its own"
                )
    return [*fitted, *saved, *filed]


def reference_of(given: str | None, names: list[str]) -> str | list[str] | None:
    """The reference or its candidates: the rules of thumb, else the first policy; None for a single policy."""
    if given is not None:
        name = NAMES.get(given, given)
        if name not in names:
            raise InputError(f"reference {given!r} is none of the policies.{nearest(given, names)}")
        return name
    if len(names) < 2:
        return None
    return [name for name in names if name in RULES.values()] or names[0]


def budgets_of(plan: EvaluationPlan, source: Source, fixed: bool) -> tuple[tuple[float, ...], list[str]]:
    """Budgets per user, rising, each once, and what is to be said of them; `fixed`: no policy looks at the budget."""
    means = ArmMeans.of(source.campaign)
    control = float(means.cost[0])
    if plan.budgets_per_user is None:
        own = default_budget(means) if source.budget_per_user is None else source.budget_per_user
        if fixed:
            stands = f"{amount_text(own)} {source.currency}".strip()
            note = f"No budget was given: {stands} a user stands for one. Decisions from files do not depend on it."
            return (own,), [note]
        return tuple(budget_grid(control, own)), []
    budgets = distinct_budgets(plan.budgets_per_user)
    if budgets[0] < control and not fixed:
        raise ProblemError(
            f"the budget of {amount_text(budgets[0])} a user cannot be met: control alone costs "
            f"{amount_text(control)} a user; give at least that"
        )
    return budgets, [*_of_decisions(plan, budgets), *_beyond(budgets, source, float(means.cost.max()))]


def distinct_budgets(given: Sequence[float]) -> tuple[float, ...]:
    """Budgets per user, rising, each once; raises ProblemError for one that is negative or no finite amount."""
    for budget in given:
        if math.isnan(budget) or budget < 0:
            raise ProblemError(f"budget is {budget:g}; budgets per user are 0 or more, in the unit of cost")
    if not given or any(math.isinf(budget) for budget in given):
        raise ProblemError("the budgets per user must be finite amounts of money, at least one")
    return tuple(sorted({float(budget) for budget in given}))


def _of_decisions(plan: EvaluationPlan, budgets: Sequence[float]) -> list[str]:
    if not plan.decisions or len(budgets) < 2:
        return []
    names = ", ".join(plan.decisions)
    return [f"{names}: decisions from a file do not look at the budget, they are the same at each."]


def _beyond(budgets: Sequence[float], source: Source, dearest: float) -> list[str]:
    """What is asked where a budget is more than anybody could spend; `dearest` is the dearest arm's mean cost."""
    above = [budget for budget in budgets if budget > dearest * (1 + ROUNDING)]
    if source.campaign.cost is None or not above:
        return []
    which = f"A budget of {amount_text(above[0])}" if len(above) == 1 else f"Budgets from {amount_text(above[0])} up"
    everybody = f"{number(dearest, decimals(dearest))} {source.currency}".strip()
    return [
        f"{which} a user {'is' if len(above) == 1 else 'are'} more than giving everybody the dearest arm costs "
        f"({everybody} a user): is it a total? --budgets-per-user is money per user."
    ]
