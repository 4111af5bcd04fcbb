"""The evaluation job: log, policies fitted or from files, and what each is worth on held-out users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocation.evaluation.decided import Decider
from allocation.evaluation.estimators import ESTIMATORS
from allocation.evaluation.evaluate import evaluate
from allocation.evaluation.repeated import evaluate_splits
from allocation.jobs.evaluation_plan import (
    EvaluationPlan,
    all_names,
    budgets_of,
    check_plan,
    check_shares,
    reference_of,
)
from allocation.jobs.manifest import checksum
from allocation.jobs.policies_filed import Filed, read_filed, take
from allocation.jobs.policies_named import fit_named
from allocation.jobs.source import Source, load
from allocation.jobs.summary import per_user
from allocation.policies.base import Policy
from uplift.campaign import Campaign

HELD_OUT_SHARE = 0.5
CONTRADICTION = "the propensities contradict"


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """What came of it.

    Attributes
    ----------
    plan, source : what was evaluated on which log. budgets_per_user : money per user, rising.
    users : held-out users; train_users : those fitted on, 0 where nothing was fitted. Of one split.
    warnings : what the reader must know first.
    frame : the frame of `evaluate` for every estimator and the column `splits`; totals over the held-out users.
    checksums : SHA-256 of each policy's file.
    """

    plan: EvaluationPlan
    source: Source
    budgets_per_user: tuple[float, ...]
    users: int
    train_users: int
    warnings: tuple[str, ...]
    frame: pd.DataFrame
    checksums: Mapping[str, str] = field(default_factory=dict)

    def headline(self) -> pd.DataFrame:
        """The rows of the estimator that is shown, every amount per user instead of in total."""
        return per_user(self.frame, self.plan.estimator)


def run_evaluation(plan: EvaluationPlan, progress: Callable[[str], None] = lambda _: None) -> EvaluationResult:
    """Fit the named policies on one half of the users, and verify all of them at every budget on the other.

    With more than one split that is done as often and averaged; where only files give policies nothing is fitted and
    every user of the log is held out. Raises InputError or ProblemError for a plan that cannot be run, as early as
    that can be known.
    """
    asked = check_plan(plan)
    progress(f"reading {plan.data}")
    source = load(plan.data, users=plan.users, seed=plan.seed, roles=plan.roles, randomised=False)
    told = check_shares(source, plan.allow_mismatch)
    own_numbers = bool(source.roles) and bool(source.campaign.source)
    filed = read_filed(plan.decisions, plan.responses, source.campaign, own_numbers)
    reference = reference_of(plan.reference, all_names(asked, filed))
    budgets, note = budgets_of(plan, source, fixed=not asked and not plan.responses)
    task = _Task(plan, source, asked, filed, reference, budgets, progress)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        frame = task.several_splits() if plan.splits > 1 else task.one_split()
    if filed:
        told.append(
            f"{', '.join(filed)}: whether a policy from a file was made with these users' outcomes cannot be known "
            "here; if so, it looks better than it is."
        )
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    # Told above: of the whole log, and that decisions from a file do not look at the budget.
    known = (CONTRADICTION, *(f"policy {name!r} promises to spend" for name in plan.decisions))
    said = [text for text in said if not text.startswith(known)]
    users = int(frame["users"].iloc[0])
    return EvaluationResult(
        plan=plan,
        source=source,
        budgets_per_user=budgets,
        users=users,
        train_users=len(source.campaign) - users if asked else 0,
        warnings=tuple(dict.fromkeys([*told, *said, *note])),
        frame=frame,
        checksums={name: checksum(path) for name, path in {**plan.decisions, **plan.responses}.items()},
    )


@dataclass(frozen=True, eq=False)
class _Task:
    """A plan of which everything is known that can be known before anything is fitted."""

    plan: EvaluationPlan
    source: Source
    asked: tuple[str, ...]
    filed: dict[str, Filed]
    reference: str | list[str] | None
    budgets: tuple[float, ...]
    progress: Callable[[str], None]

    def one_split(self) -> pd.DataFrame:
        """The frame of one split, or of the whole log where nothing is fitted."""
        held_out, cluster, filed = self.source.campaign, self.source.cluster, self.filed
        policies: dict[str, Policy] = {}
        if self.asked:
            first, rows = held_out.split_rows(1 - HELD_OUT_SHARE, self.plan.seed, cluster=cluster)
            train, held_out = held_out.take(first), held_out.take(rows)
            policies |= fit_named(self.asked, train, self.plan.seed, self.progress)
            filed, cluster = take(filed, rows), None if cluster is None else cluster[rows]
        self._verifying(len(held_out))
        return evaluate(
            {**policies, **filed},
            held_out,
            budgets=[budget * len(held_out) for budget in self.budgets],
            n_bootstrap=self.plan.n_bootstrap,
            cluster=cluster,
            **self._arguments(),
        ).assign(splits=1)

    def several_splits(self) -> pd.DataFrame:
        """The frame averaged over the splits."""
        number = count(1)

        def _build(train: Campaign, seed: int) -> dict[str, Decider]:
            split = f"split {next(number)} of {self.plan.splits}: "
            policies = fit_named(self.asked, train, seed, lambda step: self.progress(split + step))
            rows = self._rows_without(train)
            self._verifying(len(rows), split)
            return {**policies, **take(self.filed, rows)}

        return evaluate_splits(
            _build,
            self.source.campaign,
            budgets_per_user=self.budgets,
            splits=self.plan.splits,
            share=1 - HELD_OUT_SHARE,
            cluster=self.source.cluster,
            **self._arguments(),
        )

    def _arguments(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "estimators": ESTIMATORS,
            "level": self.plan.level,
            "seed": self.plan.seed,
            "allow_mismatch": True,  # refused or told before, in the words of the command
        }

    def _rows_without(self, train: Campaign) -> NDArray[np.int64]:
        """The rows of the users who do not train, in the log's order."""
        return np.flatnonzero(~np.isin(self.source.campaign.user_id, train.user_id))

    def _verifying(self, users: int, split: str = "") -> None:
        times = "1 budget" if len(self.budgets) == 1 else f"{len(self.budgets)} budgets"
        self.progress(f"{split}deciding for {users:,} held-out users at {times}, and verifying")
