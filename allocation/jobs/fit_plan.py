"""What to fit: the arguments of `earmark fit`, and what of them is refused before anything is read or fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from allocation.jobs.engines import LOCAL, PROCESSES, check_engine
from allocation.jobs.evaluation_plan import distinct_budgets
from allocation.jobs.policies_named import LEARNERS
from allocation.jobs.source import NAMED
from uplift.errors import InputError, nearest

METHODS = ("two-stage", "end-to-end")
NET = "neural"  # the learner that is a net, and the only one with layers


@dataclass(frozen=True, eq=False)
class FitPlan:
    """What to fit: the arguments of `earmark fit`; None leaves a choice to the method.

    `learner` is a short name of `policies_named.LEARNERS`, for two-stage. `hidden` are the widths of a net's layers.
    `scores`, `estimator`, `budgets_per_user` (money per user), `gate` and `groups` (the column of activeness in an
    own log) belong to end-to-end. `share` of the users are fitted on, the others stay unseen. `engine` "spark" fits
    the net of two-stage by `processes` processes (None: two) on the executors of `master` (None: as Spark is
    configured).
    """

    data: str = "thornton_hiv"
    method: str = "two-stage"
    learner: str | None = None
    hidden: tuple[int, ...] | None = None
    scores: str | None = None
    estimator: str | None = None
    budgets_per_user: tuple[float, ...] | None = None
    gate: bool = True
    groups: str | None = None
    share: float = 1.0
    seed: int = 0
    users: int | None = None
    allow_mismatch: bool = False
    roles: Mapping[str, Any] | None = None
    engine: str = LOCAL
    master: str | None = None
    processes: int | None = None

    @property
    def shared_by(self) -> int:
        """By how many processes the model is fitted: one, but for a fit on Spark."""
        if self.engine == LOCAL:
            return 1
        return PROCESSES if self.processes is None else self.processes


def check_fit(plan: FitPlan) -> None:
    """Refuse what is wrong whatever the log holds: unknown names, options of the other method, shares, budgets."""
    if plan.method not in METHODS:
        raise InputError(f"method {plan.method!r} is not known.{nearest(plan.method, METHODS)}")
    if plan.learner is not None and plan.learner not in LEARNERS:
        raise InputError(f"learner {plan.learner!r} is not known.{nearest(plan.learner, LEARNERS)}")
    _check_options(plan)
    if not 0 < plan.share <= 1:
        raise InputError(f"share is {plan.share:g}; a number above 0 and at most 1 is expected, such as 0.5")
    if plan.budgets_per_user is not None:
        distinct_budgets(plan.budgets_per_user)
    if plan.groups is not None and plan.data in NAMED:
        raise InputError(
            f"--groups names a column of your own log; {plan.data} counts no past behaviours: leave it out"
        )


def _check_options(plan: FitPlan) -> None:
    """Refuse options that the method does not look at, instead of fitting something else than was meant."""
    tuned = {
        "--scores": plan.scores,
        "--estimator": plan.estimator,
        "--budgets-per-user": plan.budgets_per_user,
        "--no-gate": None if plan.gate else True,
        "--groups": plan.groups,
    }
    given = [option for option, value in tuned.items() if value is not None]
    if plan.method == "two-stage" and given:
        raise InputError(
            f"{', '.join(given)}: for --method end-to-end only; two-stage fits a model of the response and looks at "
            "no decision: leave out what it does not use, or add --method end-to-end"
        )
    if plan.method == "end-to-end" and plan.learner is not None:
        raise InputError(
            f"--learner {plan.learner}: for --method two-stage only; end-to-end tunes a net of its own, whose layers "
            "--hidden gives: leave --learner out"
        )
    check_engine(plan.engine, {"--master": plan.master, "--processes": plan.processes})
    if plan.engine != LOCAL and (plan.method != "two-stage" or plan.learner != NET):
        raise InputError(
            f"--engine {plan.engine}: for the net of --method two-stage --learner {NET} only; leave it out, or ask "
            "for that net"
        )
    if plan.processes is not None and plan.processes < 1:
        raise InputError(f"--processes is {plan.processes}; a whole number of at least 1 is expected")
    if plan.hidden is not None and plan.method == "two-stage" and plan.learner != NET:
        raise InputError(f"--hidden: the layers of a net, and learner {plan.learner or 's'} is none; --learner {NET}")
