"""Backdoor adjustment: average effects of each arm from a log in which treatment followed what was known of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.campaign import Campaign, check_campaign
from uplift.causal.assignment import covariates, default_outcome_model, estimate_propensity
from uplift.causal.crossfit import (
    assign_folds,
    check_classifier,
    check_outcome_model,
    cross_fit_outcome,
    seeded_clone,
)
from uplift.causal.estimate import (
    TARGETS,
    Array,
    Estimate,
    arm_position,
    check_target,
    effective_size,
    estimates_frame,
    treated_position,
    user_mask,
)
from uplift.causal.scores import score_table
from uplift.errors import InputError
from uplift.groups import label_codes
from uplift.words import counted, wrapped

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("aipw", "ipw")
RARE = 5.0  # times the trim: an arm with a smaller share of the users has typical weights near the largest allowed


@dataclass(frozen=True, eq=False)
class Adjustment:
    """The nuisances of one log, fitted once, and every average effect that follows from them.

    Attributes
    ----------
    value (n,), treatment (n,), arms : of the log. cluster : (n,) or None, for the standard errors.
    propensity : (n, K+1), p_j(x_i). outcome : (n, K+1), m_j(x_i), out of fold, in value units.
    trim : the largest weight that a user may carry is 1 / trim.

    Notes
    -----
    For the target population g with weight w_g(x) (all: 1; those who received arm g: p_g(x)) and members h
    (all: 1; else 1[t = g]), the mean of arm j in the target is

        ipw   sum_i o_ij y_i / sum_i o_ij,                               o_ij = w_g(x_i) 1[t_i = j] / p_j(x_i)
        aipw  sum_i (h_i m_j(x_i) + o_ij (y_i - m_j(x_i))) / sum_i h_i

    Effects are differences of such means. Standard errors come from the influence functions; for ipw the
    propensities are taken as known. Where they are estimated, that errs on the wide side for the effect on all; for
    the treated and the untreated it may err on either, and claim too little: take aipw there.

    Assumes that given the covariates treatment is as good as random (the backdoor criterion: all common causes of
    treatment and value are among them, and nothing that follows the treatment is), and that every user of the target
    could have received each arm compared. Neither can be read off the data: look at `overlap` for the second, at
    `uplift.causal.refutation` and `sensitivity` for what can be said of the first.

    Sources: Robins, Rotnitzky and Zhao 1994, JASA 89(427) (augmentation); Hirano, Imbens and Ridder 2003,
    Econometrica 71(4) (weighted populations); Chernozhukov et al. 2018, Econometrics Journal (cross-fitting).
    The formulas were derived and are tested against closed forms and simulated truth here, not copied from a
    numbered equation.
    """

    treatment: NDArray[np.int64]
    value: Array
    propensity: Array
    outcome: Array
    arms: tuple[str, ...]
    trim: float
    cluster: NDArray[Any] | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where the trim leaves users out because an arm is rare, not because it does not reach them; in words.

        Of the effect on all: an arm with a share below 5 x trim while somebody falls out. Empty when there is none.
        """
        return rare_arms(self, "all")

    def __str__(self) -> str:
        users = np.bincount(self.treatment, minlength=len(self.arms))
        arms = ", ".join(f"{arm} ({count:,})" for arm, count in zip(self.arms, users, strict=True))
        out = int((~self.supported()).sum())
        lines = [
            wrapped(f"Adjustment of {counted(len(self.value), 'user')} in the arms {arms}"),
            wrapped(f"outside the support of the effect on all, at trim {self.trim:g}: {out:,}", "  "),
        ]
        try:
            lines += [wrapped(str(one), "  ") for one in self.effects()]
        except InputError as error:
            lines.append(wrapped(f"no effect on all: {error}", "  "))
        return "\n".join([*lines, *(wrapped(f"- {text}") for text in self.warnings)])

    def __repr__(self) -> str:
        return str(self)

    @property
    def scores(self) -> Array:
        """Doubly robust scores Gamma_ij = m_j(x_i) + 1[t_i = j] / p_j(x_i) (y_i - m_j(x_i)), (n, K+1), value units.

        Their mean over any group of users that is fixed beforehand is unbiased for the group's mean value under arm
        j, when either the propensities or the outcomes are right. Nobody is trimmed: take the rows of `supported()`.
        A single cell is no prediction: its variance is that of y / p.
        """
        return score_table(self.outcome, self.value, self.treatment, self.propensity)

    def supported(self, target: str = "all", arm: str | int = 1) -> NDArray[np.bool_]:
        """Who may be compared, (n,): no weight w_g(x) / p_j(x) above 1 / trim.

        For "all" j runs over every arm, so that all effects speak for the same users (trim <= p_j for each j); for
        "treated" and "untreated" over control and `arm`. A trim of 0 keeps everybody. Raises InputError for an
        unknown target or arm.
        """
        weight, _ = self.target_weights(target, arm)
        compared = self.propensity if target == "all" else self.propensity[:, [0, treated_position(arm, self.arms)]]
        return np.asarray((compared >= self.trim * weight[:, None]).all(axis=1))

    def mean(self, arm: str | int, *, users: ArrayLike | None = None, method: str = "aipw") -> Estimate:
        """Mean value a user if everybody (or of `users`, a mask (n,) fixed by what was known) received `arm`.

        `method` as in `effect`; control may be the arm. Speaks for the users who are `supported()`. Raises
        InputError as `effect` does.
        """
        j = arm_position(arm, self.arms)
        rows, dropped = self._rows("all", j, users)
        weight, member = self.target_weights("all", j)
        mean, influence, size = self._mean(j, weight[rows], member[rows], rows, method)
        return self._estimate(f"mean value under {self.arms[j]}", mean, influence, rows, len(rows), size, dropped)

    def effect(
        self,
        arm: str | int = 1,
        target: str = "all",
        *,
        users: ArrayLike | None = None,
        method: str = "aipw",
    ) -> Estimate:
        """Average effect of `arm` against control, in value units a user.

        Parameters
        ----------
        arm : name or position of the arm.
        target : "all" (average effect on all, ATE), "treated" (on those who received `arm`, ATT) or "untreated" (on
            those who received control).
        users : mask (n,): only these, a group fixed by what was known before the treatment, such as a stratum.
        method : "aipw", or "ipw", which ignores the outcome models.

        Raises InputError for an unknown arm, target or method, control as the arm, `users` that is no mask, and when
        there is no supported user of either arm.
        """
        j = treated_position(arm, self.arms)
        rows, dropped = self._rows(target, j, users)
        weight, member = (column[rows] for column in self.target_weights(target, j))
        treated, of_treated, size = self._mean(j, weight, member, rows, method)
        control, of_control, other = self._mean(0, weight, member, rows, method)
        words = {"all": "on all", "treated": "on the treated", "untreated": "on the untreated"}[target]
        return self._estimate(
            f"effect of {self.arms[j]} {words}",
            treated - control,
            of_treated - of_control,
            rows,
            int(member.sum()),
            min(size, other),
            dropped,
        )

    def effects(self, target: str = "all", **options: Any) -> tuple[Estimate, ...]:
        """`effect` of each arm but control on `target`, in their order; `options` are its `users` and `method`."""
        return tuple(self.effect(j, target, **options) for j in range(1, len(self.arms)))

    def frame(self, level: float = 0.95) -> pd.DataFrame:
        """Tidy frame of the effects, one row an arm, target and method, with their intervals of this level.

        Raises InputError where one of them cannot be told (see `effect`), and for a level outside (0, 1).
        """
        import pandas as pd

        parts = []
        for target in TARGETS:
            for method in METHODS:
                part = estimates_frame(self.effects(target, method=method), level)
                part.insert(0, "arm", self.arms[1:])
                part.insert(1, "target", target)
                part.insert(2, "method", method)
                parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def target_weights(self, target: str, arm: str | int = 1) -> tuple[Array, Array]:
        """w_g(x) and h of the target population (see the notes of the class), (n,) each; for "all" the same whatever
        the `arm`, which must be one of the log all the same. Raises InputError for another target or arm."""
        check_target(target)
        if target == "all":
            arm_position(arm, self.arms)
            ones = np.ones(len(self.value))
            return ones, ones
        j = treated_position(arm, self.arms)
        g = j if target == "treated" else 0
        return self.propensity[:, g], (self.treatment == g).astype(np.float64)

    def check_log(self, campaign: Campaign) -> None:
        """Raise InputError for a campaign whose users, treatments or values are not those that were adjusted."""
        if self.propensity.shape != (len(campaign), len(campaign.arms)):
            raise InputError(
                f"the adjustment is of {len(self.value):,} users and {len(self.arms)} arms, the campaign has "
                f"{len(campaign):,} and {len(campaign.arms)}; adjust(campaign) first"
            )
        for name in ("treatment", "value"):
            if not np.array_equal(getattr(self, name), getattr(campaign, name)):
                raise InputError(
                    f"the adjustment is of a log with another {name} than the campaign's; adjust(campaign) first"
                )

    def _rows(self, target: str, j: int, users: ArrayLike | None) -> tuple[NDArray[np.int64], int]:
        """Indices of the users compared, and how many of the target are outside the support."""
        chosen = user_mask(users, len(self.value))
        inside = self.supported(target, j)
        member = self.target_weights(target, j)[1] > 0
        rows = np.flatnonzero(chosen & inside)
        for arm in dict.fromkeys((0, j)):
            if not (self.treatment[rows] == arm).any():
                raise InputError(
                    f"no user of arm {self.arms[arm]!r} is among the {len(rows):,} compared "
                    f"({int(chosen.sum()):,} chosen, {int((chosen & ~inside).sum()):,} of them outside the support "
                    f"at trim={self.trim:g}); the arms do not overlap here: choose other users, a smaller trim, or "
                    "no comparison"
                )
        return rows, int((chosen & ~inside & member).sum())

    def _mean(
        self, j: int, weight: Array, member: Array, rows: NDArray[np.int64], method: str
    ) -> tuple[float, Array, float]:
        """Mean of arm j in the target, its influence function over `rows`, and the effective size of its weights."""
        if method not in METHODS:
            raise InputError(f"method is {method!r}; one of {', '.join(METHODS)} is expected")
        y, m, p = self.value[rows], self.outcome[rows, j], self.propensity[rows, j]
        o = np.divide(weight, p, out=np.zeros(len(rows)), where=self.treatment[rows] == j)
        if method == "ipw":
            mean = float(o @ y / o.sum())
            return mean, o * (y - mean) / o.mean(), effective_size(o)
        part = member * m + o * (y - m)
        mean = float(part.sum() / member.sum())
        return mean, (part - mean * member) / member.mean(), effective_size(o)

    def _estimate(
        self, quantity: str, estimate: float, influence: Array, rows: Any, n: int, size: float, dropped: int
    ) -> Estimate:
        cluster = None if self.cluster is None else self.cluster[rows]
        return Estimate.of(quantity, estimate, influence, n=n, effective_n=size, dropped=dropped, cluster=cluster)


def adjust(
    campaign: Campaign,
    *,
    propensity_model: Any = None,
    outcome_model: Any = None,
    n_folds: int = 5,
    trim: float = 0.01,
    cluster: ArrayLike | None = None,
    seed: int | np.random.Generator = 0,
) -> Adjustment:
    """Fit what backdoor adjustment needs, cross-fitted: the propensities, unless the campaign states them, and an
    outcome model an arm, both on `covariates(campaign)`.

    Parameters
    ----------
    propensity_model : scikit-learn classifier, asked only where the campaign states no propensities. None: small
        boosted trees.
    outcome_model : regressor or classifier, fitted once an arm, or a response learner such as `SLearner()`, fitted
        once; its averages are then corrected for confounding and for its own shrinkage. None: boosted trees an arm.
    n_folds, seed : of the cross-fitting; random states that a model leaves open follow from the seed.
    cluster : (n,), rows of a cluster share a fold and count once in the standard errors.
    trim : users who would carry a weight above 1 / trim are left out of the estimates, and counted
        (`Estimate.dropped`). For the effect on all these are the users with a propensity below trim for some arm:
        the fixed-threshold rule of Crump, Hotz, Imbens and Mitnik 2009, Biometrika 96(1), whose abstract recommends
        .1 to .9; .01 keeps more users and more variance. Trimming changes whom the answer is about. Where an arm
        is rare (a share below 5 x trim) users fall out for that alone: `Adjustment.warnings` says so.

    Misleads where the models are too smooth for the assignment: the intervals know of sampling alone, not of the
    confounding that is left in (`tests/benchmarks/adjustment.py` measures both on simulated logs).
    Raises InputError for a log of one arm, a trim outside [0, .5), folds as in `assign_folds`, models of another
    kind, estimated propensities of 0, and where a model cannot learn, as boosted trees cannot from one user of an
    arm, nor a classifier from spend.

    Examples
    --------
    >>> from uplift import synthetic
    >>> adjusted = adjust(synthetic.confounded(500, seed=0).campaign)
    >>> adjusted.scores.shape
    (500, 5)
    """
    check_campaign(campaign)
    if not (isinstance(trim, int | float | np.number) and 0 <= trim < 0.5):
        raise InputError(f"trim is {trim!r}; a propensity from 0 to below 0.5 is expected, such as 0.01")
    n, arms = len(campaign), campaign.arms
    group = None if cluster is None else label_codes(cluster, n, "cluster")[1]
    fold = assign_folds(campaign.treatment, n_folds, seed=seed, cluster=group)
    p = campaign.propensity
    if propensity_model is not None:
        check_classifier(propensity_model)  # also where the campaign states propensities and it is not asked
    if p is None:
        p = estimate_propensity(campaign, model=propensity_model, fold=fold, seed=seed)
    received = p[np.arange(n), campaign.treatment]
    if received.min() <= 0:
        raise InputError(
            f"{int((received <= 0).sum()):,} of {n:,} users have propensity 0 for the arm that they received; no "
            "weight can stand for them: take a smoother propensity_model, or drop these users"
        )
    model = default_outcome_model(n) if outcome_model is None else outcome_model
    check_outcome_model(model)
    m = cross_fit_outcome(
        seeded_clone(model, seed), covariates(campaign), campaign.value, campaign.treatment, fold, len(arms)
    )
    return Adjustment(campaign.treatment, campaign.value, p, m, arms, float(trim), group)


def rare_arms(adjustment: Adjustment, target: str, arm: int = 1) -> tuple[str, ...]:
    """A sentence for each arm that the support asks for and whose users weigh much because they are few.

    The typical weight of arm j is (share of the target's own arm, 1 for "all") / (share of j); the sentence comes
    where that is above 1 / (5 trim) and somebody falls out.
    """
    share = np.bincount(adjustment.treatment, minlength=len(adjustment.arms)) / len(adjustment.treatment)
    own = {"all": None, "treated": arm, "untreated": 0}[target]
    least = RARE * adjustment.trim * (1.0 if own is None else share[own])
    asked = range(len(share)) if target == "all" else (0, arm)
    rare = [j for j in asked if j != own and share[j] < least]
    members = adjustment.target_weights(target, arm)[1] > 0
    out = int((members & ~adjustment.supported(target, arm)).sum())
    if not out:
        return ()
    return tuple(
        f"Arm {adjustment.arms[j]!r} has {share[j]:.2%} of the users, few for a trim of {adjustment.trim:g}: {out:,} "
        f"of {counted(int(members.sum()), 'user')} of the target fall out, perhaps only because the arm is rare; "
        f'take the target "{"treated" if j else "untreated"}", which needs no such weights, or a smaller trim.'
        for j in rare
    )
