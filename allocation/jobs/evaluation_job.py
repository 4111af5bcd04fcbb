"""The evaluation job: log, policies fitted or from files, and what each is worth on held-out users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

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
from allocation.jobs.policies_filed import (
    Filed,
    index_file,
    read_filed,
    read_saved,
    refuse_seen,
    seen_by,
    take,
    unknowable,
)
from allocation.jobs.policies_named import fit_named
from allocation.jobs.source import Source, load
from allocation.jobs.summary import per_user
from allocation.policies.base import Policy
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.files import expanded

if TYPE_CHECKING:
    from allocation.policies.saved import SavedPolicy

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
    checksums : SHA-256 of each policy's file; of a saved policy's index, which holds those of its other files.
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

    With more than one split that is done as often and averaged; where only files and folders give policies nothing
    is fitted and every user of the log is held out. With `plan.unseen` those users are held out whom no saved policy
    was fitted on, and the named policies are fitted on the others. Raises InputError or ProblemError for a plan that
    cannot be run, as early as that can be known.
    """
    asked = check_plan(plan)
    progress(f"reading {plan.data}")
    source = load(plan.data, users=plan.users, seed=plan.seed, roles=plan.roles, randomised=False)
    told = check_shares(source, plan.allow_mismatch)
    own_numbers = bool(source.roles) and bool(source.campaign.source)
    filed = read_filed(plan.decisions, plan.responses, source.campaign, own_numbers)
    saved = read_saved(plan.saved, filed, source.campaign)
    told += unknowable(saved, source.campaign)
    reference = reference_of(plan.reference, all_names(asked, filed, saved))
    budgets, note = budgets_of(plan, source, fixed=not (asked or plan.responses or saved))
    task = _Task(plan, source, asked, filed, saved, reference, budgets, progress)
    told += task.check()
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
        checksums={name: checksum(expanded(path)) for name, path in {**plan.decisions, **plan.responses}.items()}
        | {name: checksum(index_file(folder)) for name, folder in plan.saved.items()},
    )


@dataclass(frozen=True, eq=False)
class _Task:
    """A plan of which everything is known that can be known before anything is fitted."""

    plan: EvaluationPlan
    source: Source
    asked: tuple[str, ...]
    filed: dict[str, Filed]
    saved: dict[str, SavedPolicy]
    reference: str | list[str] | None
    budgets: tuple[float, ...]
    progress: Callable[[str], None]

    def check(self) -> list[str]:
        """Refuse, before anything is fitted, a saved policy that would be verified on users whom it has seen.

        What is to be said of the users held out.
        """
        log = self.source.campaign
        if not self.saved:
            return []
        if not self.plan.unseen:
            # Random splits hold everybody out sooner or later.
            whole = self.plan.splits > 1 or not self.asked
            refuse_seen(self.saved, log if whole else log.take(self.parts[1]), log)
            return []
        names = ", ".join(self.saved)
        if unknowable(self.saved, log):
            raise InputError(
                f"--unseen needs to know whom {names} was fitted on, and the users of this log cannot be compared "
                "with those, because a log without --user-id has its rows numbered; give --user-id in both, or leave "
                "--unseen out"
            )
        seen = seen_by(self.saved, log)
        if seen.all():
            raise InputError(
                f"--unseen leaves nobody to verify on: {names} {'was' if len(self.saved) == 1 else 'were'} fitted on "
                "every user of this log; fit on a part, `earmark fit --share 0.5`, or give another log"
            )
        if self.asked and not seen.any():
            raise InputError(
                f"--unseen leaves nobody to fit {', '.join(self.asked)} on: no user of this log trained {names}; "
                "leave --unseen out"
            )
        held_out, cluster = ~seen, self.source.cluster
        part = replace(
            self.source, campaign=log.take(held_out), cluster=None if cluster is None else cluster[held_out]
        )
        return check_shares(part, self.plan.allow_mismatch)

    @cached_property
    def parts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows of the users to fit on and of those held out."""
        log = self.source.campaign
        if self.plan.unseen:
            seen = seen_by(self.saved, log)
            return np.flatnonzero(seen), np.flatnonzero(~seen)
        return log.split_rows(1 - HELD_OUT_SHARE, self.plan.seed, cluster=self.source.cluster)

    def _fitted(self, train: Campaign, seed: int, progress: Callable[[str], None]) -> dict[str, Policy]:
        return fit_named(self.asked, train, seed, progress, self.budgets)

    def one_split(self) -> pd.DataFrame:
        """The frame of one split, or of the whole log where nothing is fitted."""
        held_out, cluster, filed = self.source.campaign, self.source.cluster, self.filed
        policies: dict[str, Policy] = {}
        if self.asked or self.plan.unseen:
            first, rows = self.parts
            train, held_out = held_out.take(first), held_out.take(rows)
            policies |= self._fitted(train, self.plan.seed, self.progress)
            filed, cluster = take(filed, rows), None if cluster is None else cluster[rows]
        self._verifying(len(held_out))
        return evaluate(
            {**policies, **self.saved, **filed},
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
            policies = self._fitted(train, seed, lambda step: self.progress(split + step))
            rows = self._rows_without(train)
            self._verifying(len(rows), split)
            return {**policies, **self.saved, **take(self.filed, rows)}

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
