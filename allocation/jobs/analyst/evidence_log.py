"""Checks of a log alone: were the arms drawn as stated, are their users alike, and how many speak for a decision?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from allocation.evaluation.estimators import FEW
from allocation.evaluation.support import support
from allocation.evaluation.support_by_arm import arm_support
from uplift.campaign import Campaign
from uplift.causal.adjustment import Adjustment
from uplift.causal.assignment import covariates
from uplift.causal.overlap import overlap
from uplift.propensity import share_test

Array = NDArray[np.float64]
Floats = tuple[float, ...]


@dataclass(frozen=True)
class Shares:
    """Arm counts of the whole log beside the stated chances; (K+1,) shares of the users, 0 to 1.

    error : standard error of a share under the stated chances. chance : p-value of all counts together. test : its
    name. own : whether the chances are the log's own shares, so that no count can contradict them.
    """

    users: int
    expected: Floats
    logged: Floats
    error: Floats
    chance: float
    test: str
    own: bool


@dataclass(frozen=True)
class Balance:
    """How alike the users of each arm and of control are, weighted by 1 / propensity; (K, d) by arm and feature.

    difference : of the means, in standard deviations. error : its standard error. chance : p-value of the largest
    difference, for so many comparisons. compared : how many.
    """

    features: tuple[str, ...]
    difference: tuple[Floats, ...]
    error: tuple[Floats, ...]
    chance: float
    compared: int

    def largest(self) -> list[tuple[int, int]]:
        """(arm less one, feature) of each feature's least likely difference, the least likely feature first."""
        z = _ratio(np.asarray(self.difference), np.asarray(self.error))
        arm = z.argmax(axis=0)
        order = np.argsort(-z.max(axis=0), kind="stable")
        return [(int(arm[k]), int(k)) for k in order]


@dataclass(frozen=True)
class Support:
    """Who speaks for the written decision, arm by arm, (K+1,); see `evaluation.support_by_arm.ArmSupport`.

    decided : users. effective : effective users among those who received the arm that is decided for them. more :
    further logged users of the arm that are needed. together : effective users of all arms. needed : effective users.
    """

    decided: tuple[int, ...]
    effective: Floats
    more: tuple[int, ...]
    together: float
    needed: int = FEW


def shares_of(log: Campaign) -> Shares | None:
    """The counts of a whole log; a half of it that was split within arms has no counts of its own.

    The standard error is sqrt(sum_i p_ij (1 - p_ij)) / n, exact for users drawn one by one. None without
    propensities.
    """
    found = share_test(log)
    if found is None:
        return None
    p, n = log.propensity, len(log)
    assert p is not None
    expected, logged = p.mean(axis=0), np.bincount(log.treatment, minlength=len(log.arms)) / n
    error = np.sqrt((p * (1 - p)).sum(axis=0)) / n
    own = bool(np.allclose(expected, logged, rtol=1e-9, atol=0))
    return Shares(n, floats(expected), floats(logged), floats(error), found.chance, found.test, own)


def balance_of(log: Campaign, outcome: Array) -> Balance:
    """Balance of a log of known propensities; `outcome` (n, K+1) are predictions, on which it does not depend.

        z_jk = (m_jk - m_0k) / sqrt(v_jk + v_0k),   v_jk = sum_i w_i^2 (x_ik - m_jk)^2 / (sum_i w_i)^2,   w = 1 / p

    over the users of arm j; the chance is that of the largest |z| times the number of comparisons (Bonferroni).
    Misleads for features that few users have: there z is far from normal.
    """
    assert log.propensity is not None
    adjusted = Adjustment(log.treatment, log.value, log.propensity, outcome, log.arms, trim=0.0)
    report = overlap(log, adjusted)
    difference, error = report.after[1:], _errors(log)
    z = _ratio(difference, error)
    compared = int((error > 0).sum() + np.isinf(z).sum())
    chance = min(1.0, 2 * float(ndtr(-z.max())) * max(compared, 1))
    return Balance(report.features, tuple(map(floats, difference)), tuple(map(floats, error)), chance, compared)


def support_of(log: Campaign, decision: NDArray[np.integer[Any]]) -> Support:
    """The support of one decision (n,) in its log."""
    assert log.propensity is not None
    found = arm_support(decision, log.treatment, log.propensity)
    decided, more = (tuple(map(int, column)) for column in (found.decided, found.more_logged))
    return Support(decided, floats(found.effective_size), more, support(decision, log)[1])


def _errors(log: Campaign) -> Array:
    """Standard errors of the standardised differences, (K, d); 0 for a feature that never varies."""
    assert log.propensity is not None
    X, means, spread = covariates(log), [], []
    for j in range(len(log.arms)):
        rows = np.flatnonzero(log.treatment == j)
        own, w = X[rows].astype(np.float64), 1 / log.propensity[rows, j]
        away = own - w @ own / w.sum()
        means.append((w**2) @ away**2 / w.sum() ** 2)
        spread.append(own.var(axis=0))
    wide = np.sqrt((np.array(spread[1:]) + spread[0]) / 2)
    error = np.sqrt(np.array(means[1:]) + means[0])
    found: Array = np.divide(error, wide, where=wide > 0, out=np.zeros(wide.shape))
    return found


def _ratio(difference: Array, error: Array) -> Array:
    """|z|; 0 where nothing varies nor differs."""
    sure = np.where(difference == 0, 0.0, math.inf)
    return np.divide(np.abs(difference), error, where=error > 0, out=sure)


def floats(cells: Any) -> Floats:
    """Numbers as JSON knows them."""
    return tuple(float(cell) for cell in cells)
