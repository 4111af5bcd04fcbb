"""The next experiment: how many users of each arm confirm the gain that one policy promises over another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.evaluation.checks import check_held_out
from allocation.evaluation.decided import Decided, Decider, decide_all
from allocation.evaluation.designs import AB, BEST, between_policies, check_design
from allocation.evaluation.estimators import FEW
from allocation.evaluation.experiment_result import NextExperiment, Row, experiment_frame
from allocation.evaluation.influence import standard_error
from allocation.evaluation.nuisance import fit_outcomes
from allocation.evaluation.outcomes import Outcomes, check_outcomes
from allocation.evaluation.pair_variance import PairVariance, cluster_effect, means_variance, pair_variance
from allocation.evaluation.power import factor, least_users
from allocation.evaluation.support import lacking, support
from allocation.evaluation.support_by_arm import arm_support
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.groups import label_codes

Array = NDArray[np.float64]
ESTIMATORS = ("dr", "sn", "ipw")
MEANS = "means"


def next_experiment(
    decided: Decided | Mapping[str, Decider],
    held_out: Campaign,
    *,
    policy: str,
    reference: str,
    budget: float,
    outcomes: Outcomes | None = None,
    power: float = 0.8,
    level: float = 0.95,
    design: str | Mapping[str, float] | None = None,
    predicted_gain: float | None = None,
    seed: int = 0,
    cluster: ArrayLike | None = None,
    allow_mismatch: bool = False,
) -> NextExperiment:
    """Users per arm with which a new log shows that `policy` is worth more than `reference`.

        n = sigma^2(q) (z_{1 - alpha/2} + z_power)^2 / gain^2

    sigma^2(q) is the variance of a user's share in the paired difference under the design q, estimated from the
    held-out log (`allocation.evaluation.pair_variance`).

    Parameters
    ----------
    decided : what `decide_all` gave for the held-out users, or policies by name, which then decide at `budget`.
    held_out : a randomised log with propensities, that no policy was fitted on; its noise is taken for the new one's.
    policy, reference : names of two of the policies.
    budget : money for all held-out users together, one of those decided at.
    outcomes : cross-fitted predictions on the held-out log; None fits them (`fit_outcomes` with `seed`, `cluster`).
    power : chance that the interval of the new log lies above 0 if the gain is as predicted.
    level : of that two-sided interval, 1 - alpha.
    design : of the new log, one of those below; None reports all but the last.
    predicted_gain : value units a user; None takes the difference of the policies' promises. A promise is optimistic
        (winner's curse), so a smaller number, such as the lower end of the verified interval, is safer.
    cluster : (users of `held_out`,) labels; the variance is multiplied by the design effect of clusters like these.
    allow_mismatch : go on, with a warning, where the arms' shares contradict the propensities.

    Returns a `NextExperiment`; print it, or take its `frame`, a row a design and estimator.

    Designs:

        "same"        arms drawn with this log's propensities
        "uniform"     every arm alike
        "best"        the shares, the same for everybody, that make the difference least noisy; an arm that neither
                      policy uses gets none, and one that is used at least a tenth of an equal share
        "a/b"         every user gets the arm of one of the two policies, half each; users whom both give the same
                      arm get it. Such a log compares these two policies and hardly any others
        {arm: share}  shares that sum to 1 (0 for an arm not named), "given" in the frame

    Estimators of the new log are "dr", "sn" and "ipw" of the paired difference, and for "a/b" also "means": the plain
    A/B test that compares the means of the two halves, users with the same arm included.

    Where both policies decide alike, the gain is not above 0, or fewer than 30 (effective) users of those whom the
    policies treat differently match either of them, there is no number and `note` says why.

    Assumes that the new users are like the held-out ones, with the same money each, that the policies are not
    refitted, and that the new log's outcome model is as good as this one's (with far fewer users it is worse, and dr
    needs more of them). Where the log shows no noise, or the gain would take more than 10^10 users, users are NaN.
    Misleads where the predicted gain is too high: half of the gain needs four times the users. The numbers themselves
    are estimates; those of "ipw" and of arms with few matched users (`caveats`) are the least sure.
    Raises InputError for names, a budget that was not decided at, shares, a power or a level that do not fit, a log
    without propensity or contradicting it, and decisions without a promise where `predicted_gain` is None; where
    policies are yet to decide, InputError and ProblemError as `decide_all` does.

    Source: the textbook formula for a normal mean; sources of the variances stand in `evaluation.pair_variance`.
    """
    check_held_out(held_out, allow_mismatch=allow_mismatch, cluster=cluster)
    assert held_out.propensity is not None
    factor(power, level)
    if not isinstance(decided, Decided):
        decided = decide_all(decided, held_out, [budget])
    cells = decided.cell(policy, budget), decided.cell(reference, budget)
    n = len(held_out)
    if decided.decision.shape[1] != n:
        raise InputError(f"the decisions are for {decided.decision.shape[1]:,} users and held_out has {n:,}")
    a, b = (decided.decision[cell].astype(np.int64) for cell in cells)
    gain = _gain(decided, cells, n, predicted_gain)
    designs = check_design(design, held_out.arms, (a, b))
    differ = a != b
    note = _no_number(policy, reference, gain, differ, (a, b), held_out, cluster)
    facts: dict[str, Any] = {"policy": policy, "reference": reference, "budget": float(budget)}
    facts |= {"predicted_gain": gain, "power": float(power), "level": float(level)}
    known = facts | {"users": n, "differing": int(differ.sum()), "promised": predicted_gain is None}
    if note:
        return NextExperiment(**known, frame=experiment_frame(facts, [], n, held_out.arms), note=note)

    fitted = fit_outcomes(held_out, cluster=cluster, seed=seed) if outcomes is None else outcomes
    expected = np.asarray(check_outcomes(fitted, held_out).value, dtype=np.float64)
    log = (held_out.treatment, held_out.value, held_out.propensity)
    pairs = {e: pair_variance((a, b), *log, estimator=e, expected=expected) for e in ESTIMATORS}
    rows = []
    for name, shares in designs.items():
        for e, pair in pairs.items():
            q = _chances(name, shares, pair, (a, b), held_out.propensity)
            rows.append(_row(name, e, pair.under(q), [pair.influence], q, (a, b), cluster))
        if name == AB:
            means = means_variance((a, b), *log)
            rows.append(_row(name, MEANS, means.variance, list(means.influence), q, (a, b), cluster))
    code = None if cluster is None else label_codes(cluster, n, "cluster")[1]
    return NextExperiment(
        **known,
        frame=experiment_frame(facts, rows, n, held_out.arms),
        caveats=tuple(_caveats((policy, reference), (a, b), differ, held_out)),
        verified=pairs["dr"].difference,
        verified_se=standard_error(pairs["dr"].influence, code),
    )


def _gain(decided: Decided, cells: tuple[int, int], n: int, given: float | None) -> float:
    """The gain a user that is to be found."""
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, int | float | np.number) or not math.isfinite(given):
            raise InputError(f"predicted_gain is {given!r}; a finite number of value units a user is expected")
        return float(given)
    promised = (decided.promised_value[cells[0]] - decided.promised_value[cells[1]]) / n
    if math.isnan(promised):
        raise InputError(
            "the policies do not both promise a value, so there is no predicted gain; give predicted_gain= in value "
            "units a user"
        )
    return float(promised)


def _no_number(
    policy: str,
    reference: str,
    gain: float,
    differ: NDArray[np.bool_],
    decisions: tuple[NDArray[np.int64], NDArray[np.int64]],
    held_out: Campaign,
    cluster: ArrayLike | None,
) -> str:
    """Why no number of users can be given, or ""."""
    assert held_out.propensity is not None
    if not differ.any():
        return f"{policy} and {reference} decide alike for every user: no experiment can tell them apart"
    if gain <= 0:
        return (
            f"{policy} is not predicted to be worth more than {reference} ({gain:,.4g} a user): there is no gain to "
            "confirm; swap the two, or give a predicted_gain above 0"
        )
    code = None if cluster is None else label_codes(cluster, len(differ), "cluster")[1][differ]
    treated_differently = held_out.take(np.flatnonzero(differ))
    for name, decision in zip((policy, reference), decisions, strict=True):
        matched, effective = support(decision[differ], treated_differently, code)
        words = lacking(matched, effective, int(differ.sum()), "users" if cluster is None else "clusters")
        if words:
            enough = least_users(decisions, held_out.propensity, FEW)
            if effective > 0:
                enough = max(enough, math.ceil(len(differ) * FEW / effective))
            return (
                f"of the users whom the two treat differently, too few received what {name} decides ({words}); a log "
                f"like this one of about {enough:,} users would do"
            )
    return ""


def _row(
    design: str,
    estimator: str,
    variance: float,
    influences: list[Array],
    q: Array,
    decisions: tuple[NDArray[np.int64], NDArray[np.int64]],
    cluster: ArrayLike | None,
) -> Row:
    effect = 1.0 if cluster is None else cluster_effect(influences, cluster)
    shares = np.atleast_2d(q).mean(axis=0)
    return Row(design, estimator, variance, effect, least_users(decisions, q, FEW), shares)


def _chances(
    name: str,
    shares: Array | None,
    pair: PairVariance,
    decisions: tuple[NDArray[np.int64], NDArray[np.int64]],
    propensity: Array,
) -> Array:
    """The chances of a design, (K+1,) for everybody or (n, K+1)."""
    if name == BEST:
        used = np.isin(np.arange(propensity.shape[1]), np.concatenate(decisions))
        return pair.best_shares(used)
    if name == AB:
        return between_policies(decisions, propensity.shape[1])
    return propensity if shares is None else shares


def _caveats(
    names: tuple[str, str],
    decisions: tuple[NDArray[np.int64], NDArray[np.int64]],
    differ: NDArray[np.bool_],
    held_out: Campaign,
) -> list[str]:
    """The arms whose noise is known from fewer than 30 users only, in words."""
    assert held_out.propensity is not None
    words = []
    for name, decision in zip(names, decisions, strict=True):
        found = arm_support(decision[differ], held_out.treatment[differ], held_out.propensity[differ])
        words += [
            f"the noise of arm {held_out.arms[j]!r} under {name} is known from {found.matched[j]:,} of "
            f"{found.decided[j]:,} users only"
            for j in np.flatnonzero((found.decided > 0) & (found.matched < FEW))
        ]
    return words
