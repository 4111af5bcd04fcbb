"""A plan decided for the users of a run in memory: what it promises, what is verified, and what its limits cost."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from allocation.engine.limit import LimitUse
from allocation.engine.problem import ProblemError
from allocation.evaluation.verified_decision import supported, verified_total
from allocation.evaluation.verified_path import Estimated
from allocation.jobs.analyst.certainty import NO_LOG, TOO_FEW, UNVERIFIED
from allocation.jobs.analyst.held import held_source, is_filed
from allocation.jobs.analyst.run import Run
from allocation.jobs.batch.decide_job import Watch, solve_plan
from allocation.jobs.batch.names import check_names
from allocation.jobs.batch.passes import Cut, LocalPasses
from allocation.jobs.plan import Plan, PlanLimit, Share, parse_plan, plan_text
from allocation.jobs.where import mask_of
from uplift.errors import InputError
from uplift.words import counted

REMEMBERED = 40  # plans of a run, two bytes a user each: two a session, and the last ones


@dataclass(frozen=True, eq=False)
class DecidedPlan:
    """What a plan decides; amounts are totals over all users.

    decision : (n,) arms. users : (K+1,) of each arm. gain : promised, above everybody on control, value units. cost :
    promised spend, money. price : of money at the budget. slack : money that is left. limits : what each uses.
    verified_gain, verified_spend : above control, NaN where the log cannot tell; lacking : why not.
    """

    plan: Plan
    decision: NDArray[np.int16]
    users: tuple[int, ...]
    gain: float
    cost: float
    price: float
    slack: float
    limits: tuple[LimitUse, ...]
    verified_gain: Estimated = UNVERIFIED
    verified_spend: Estimated = UNVERIFIED
    lacking: str = ""

    @property
    def unspent(self) -> float:
        """Money that no decision within the plan has a use for; 0 where only the rounding of a user is left."""
        return self.slack if self.price == 0 and math.isfinite(self.slack) else 0.0


@dataclass(frozen=True)
class Refused:
    """Why a plan cannot be decided: what clashes, and what would mend it."""

    reason: str


Outcome = DecidedPlan | Refused

_kept: WeakKeyDictionary[Run, OrderedDict[Plan, Outcome]] = WeakKeyDictionary()
_one = threading.Lock()  # many plans at once would only wait for the same cores, and each takes memory


def outcome_of(run: Run, plan: Plan) -> Outcome:
    """What the plan decides for the run's users, or why it cannot be; the last REMEMBERED plans are kept.

    The decisions are, row for row, those of `earmark decide` on the same plan and table.
    """
    known = _kept.setdefault(run, OrderedDict())
    found = known.get(plan)
    if found is not None:
        return found
    with _one:
        if plan not in known:  # nobody else has decided it meanwhile
            known[plan] = _outcome(run, plan)
            while len(known) > REMEMBERED:
                known.popitem(last=False)
        return known[plan]


def is_known(run: Run, plan: Plan) -> bool:
    """Whether `outcome_of` answers at once."""
    return plan in _kept.get(run, ())


def decide_run(run: Run, plan: Plan) -> DecidedPlan:
    """Decide a plan for the run's users: seconds for a million users and a few limits.

    Raises InputError and ProblemError as `run_decide` does: for names that are none, for limits that clash.
    """
    parse_plan(plan_text(plan))  # what the nightly job would refuse
    if plan.limits and is_filed(run):
        check_names(plan)
    source = held_source(run, plan)
    for limit in plan.limits:
        _check_whole(limit, source.whole.attributes, len(run))
    passes = LocalPasses(source, Cut(plan.limits, plan.part_rows), Watch())
    solved = solve_plan(plan, passes, source)[1]
    blocks = source.stream(plan.part_rows)
    decision = np.concatenate([solved.rule.decide(passes.cut.chunk(block)).astype(np.int16) for block in blocks])
    found = DecidedPlan(
        plan=plan,
        decision=decision,
        users=tuple(np.bincount(decision, minlength=len(run.arms)).tolist()),
        gain=solved.gain,
        cost=solved.cost,
        price=solved.price,
        slack=solved.slack,
        limits=solved.limits,
        lacking=NO_LOG,
    )
    return _verified(run, found)


def cost_of_limits(run: Run, limited: DecidedPlan, free: DecidedPlan) -> tuple[float, Estimated]:
    """How much gain the limits take, value units: promised, and verified as a difference on the same users."""
    promised = free.gain - limited.gain
    if run.evidence is None or limited.lacking or free.lacking:
        return promised, UNVERIFIED
    return promised, verified_total(run.evidence.value_score, free.decision, limited.decision)


def without_limits(plan: Plan) -> Plan:
    """The same plan, nothing but its budget."""
    return replace(plan, limits=())


def _outcome(run: Run, plan: Plan) -> Outcome:
    try:
        return decide_run(run, plan)
    except (InputError, ProblemError) as error:
        return Refused(str(error))


def _verified(run: Run, found: DecidedPlan) -> DecidedPlan:
    e = run.evidence
    if e is None:
        return found
    if not supported(e.treatment, e.propensity, found.decision):
        return replace(found, lacking=TOO_FEW)
    gain, spend = (verified_total(score, found.decision) for score in (e.value_score, e.spend_score))
    return replace(found, verified_gain=gain, verified_spend=spend, lacking="")


def _check_whole(limit: PlanLimit, attributes: Mapping[str, pa.Array], n: int) -> None:
    """Refuse a share of users that is both floor and cap where it is no whole number of them, with the two next."""
    if limit.measure != "users" or not (isinstance(limit.min, Share) and isinstance(limit.max, Share)):
        return
    mask = mask_of(limit.where, attributes, n, f"limit {limit.name!r}")
    users = n if mask is None else int(mask.sum())
    low, high = limit.amounts(users, None)
    if users and low is not None and high is not None and low > high:
        raise InputError(
            f"limit {limit.name!r} wants from {limit.min} to {limit.max} of {counted(users, 'user')}, and no whole "
            f"number lies there; lock {high:,.0f} or {low:,.0f} users, or give a floor or a cap alone"
        )


def limit_rows(decided: DecidedPlan) -> pd.DataFrame:
    """A row a limit: `limit`, `measure`, `used`, `floor`, `cap`, `price`, `binding` ("floor", "cap" or empty).

    `share` and `floor_share` are `used` and `floor` as shares of the cap, or of the floor where there is no cap; NaN
    where that is not above 0.
    """
    uses = decided.limits
    frame = pd.DataFrame(
        {
            "limit": [use.name for use in uses],
            "measure": [use.measure for use in uses],
            **{
                name: np.array([getattr(use, name) for use in uses], dtype=float)
                for name in ("used", "min", "max", "price")
            },
            "binding": [{"min": "floor", "max": "cap", None: ""}[use.binding] for use in uses],
        }
    ).rename(columns={"min": "floor", "max": "cap"})
    bound = frame["cap"].fillna(frame["floor"])
    bound = bound.where(bound > 0)
    return frame.assign(share=frame["used"] / bound, floor_share=frame["floor"] / bound)
