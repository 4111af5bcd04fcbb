"""The variance of the difference of two policies in a new randomised log, by its design; arrays in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError
from uplift.groups import label_codes

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# An arm that a policy uses gets at least this part of an equal share: the design then costs at most 1 / .9 of the
# smallest variance, and an arm whose few matched users happened to agree is not left without any.
FLOOR = 0.1


@dataclass(frozen=True, eq=False)
class PairVariance:
    """Variance of the paired difference of two policies' values, per user, under any design q of a new log.

        sigma^2(q) = constant + mean_i energy_i / q_{i, t_i},        standard error of n users = sigma / sqrt(n)

    Attributes
    ----------
    difference : the log's own estimate of the difference, value units a user.
    constant : the part that no design changes, value units squared; may be negative (see `pair_variance`).
    energy : (n,) squared noise of each logged user's arm, divided by the chance with which it was logged.
    treatment : (n,) the logged arms. influence : (n,) of the log's own estimate, with mean 0.
    """

    difference: float
    constant: float
    energy: Array
    treatment: Integers
    influence: Array

    def under(self, design: Array) -> float:
        """sigma^2 of a design (n, K+1), or the same chances (K+1,) for everybody; infinite where an arm is missing.

        Under the log's own propensities it is the mean square of `influence`, exactly.
        """
        rows, t = np.arange(len(self.energy)), self.treatment
        q = np.broadcast_to(design, (len(rows), np.shape(design)[-1]))[rows, t]
        if ((q <= 0) & (self.energy > 0)).any():
            return math.inf
        return self.constant + float(np.divide(self.energy, q, where=q > 0, out=np.zeros(len(q))).mean())

    def best_shares(self, used: NDArray[np.bool_]) -> Array:
        """The shares (K+1,), the same for everybody, of the smallest sigma^2: Neyman's, with a floor.

            q_j  proportional to  sqrt(A_j),    A_j = mean_i 1[t_i = j] energy_i,    q_j >= .1 / #used for arms used

        because sum_j A_j / q_j is smallest there on sum_j q_j = 1 (Cauchy-Schwarz): (sum_j sqrt A_j)^2. Arms outside
        `used` (K+1,) get none. Equal shares where there is no noise at all. Source: Neyman 1934, the allocation named
        after him (not re-read).
        """
        A = np.bincount(self.treatment, weights=self.energy, minlength=len(used)) / len(self.energy)
        root = np.where(used, np.sqrt(np.maximum(A, 0.0)), 0.0)
        if not root.any():
            return np.asarray(used / used.sum(), dtype=np.float64)
        floor = FLOOR / used.sum()
        low = np.zeros(len(used), dtype=bool)
        while True:
            free = used & ~low
            q = np.where(low, floor, root * (1 - floor * low.sum()) / root[free].sum())
            q[~used] = 0.0
            below = free & (q < floor)
            if not below.any():
                return np.asarray(q)
            low |= below


def pair_variance(
    decisions: tuple[Integers, Integers],
    treatment: Integers,
    value: Array,
    propensity: Array,
    *,
    estimator: str = "dr",
    expected: Array | None = None,
) -> PairVariance:
    """The variance of value(a) - value(b) under any design, from a log with the propensities p (n, K+1).

    With a, b the two decisions (n,), D_i = 1[a_i != b_i], m the model's values `expected` (n, K+1) and
    s_i = 1[t_i = a_i] - 1[t_i = b_i], the difference is the mean of

        dr:   phi_i = m_{i,a} - m_{i,b} + s_i (y_i - m_{i,t}) / p_{i,t}            ipw:  the same with m = 0
        sn:   phi_i = 1[t_i = a_i] (y_i - V_a) / p_{i,t} - 1[t_i = b_i] (y_i - V_b) / p_{i,t},   mean 0

    and its variance under another design q is E_q[phi^2] - E[phi]^2. For dr

        E[d^2 + 2 d rho] - (E phi)^2  +  E[ D (s2_a / q_a + s2_b / q_b) ],    s2_j(x) = E[(y - m_j)^2 | x, j],

    with d = m_a - m_b and rho the weighted residual of the log. Where m is right, rho has mean 0 given x and the
    first terms are Var(d): the usual formula. Here m need not be right, whence the term 2 d rho and a constant that
    can be negative. Every expectation over arms is taken from the log by 1 / p. For sn the constant is 0 and users
    with a = b add (V_a - V_b)^2 / q_a: self-normalising does not cancel them.

    Assumes that the new users come from the same population, that the policies stay as they are, and that the new
    model m is as good as this one. Misleads where an arm has few matched users: residuals that nobody saw count as
    none. Raises InputError for an estimator of another name, or dr without `expected`.
    Source: the variance of the inverse-propensity and doubly robust means, Dudik et al. 2014, Statistical Science
    29(4), section 4 (not re-read); the re-weighting to another design is derived here.
    """
    if estimator not in ("dr", "sn", "ipw"):
        raise InputError(f"estimator is {estimator!r}; 'dr', 'sn' or 'ipw' is expected")
    a, b = decisions
    rows, t = np.arange(len(value)), treatment
    p = propensity[rows, t]
    of_a, of_b, differ = t == a, t == b, a != b
    if estimator == "sn":
        worth = [float(np.sum(value[m] / p[m]) / np.sum(1 / p[m])) for m in (of_a, of_b)]
        residual = of_a * (value - worth[0]) - of_b * (value - worth[1])
        return PairVariance(worth[0] - worth[1], 0.0, residual**2 / p, t, residual / p)
    if expected is None and estimator == "dr":
        raise InputError("the doubly robust difference needs expected, the modelled values (users, arms); got None")
    m = np.zeros_like(propensity) if expected is None or estimator == "ipw" else expected
    d = m[rows, a] - m[rows, b]
    residual = differ * (of_a.astype(np.float64) - of_b) * (value - m[rows, t])
    phi = d + residual / p
    difference = float(phi.mean())
    constant = float(np.mean(d**2 + 2 * d * residual / p)) - difference**2
    return PairVariance(difference, constant, residual**2 / p, t, phi - difference)


@dataclass(frozen=True, eq=False)
class MeansVariance:
    """Variance of a plain A/B test of two policies: users dealt half to each, the difference of the two means.

        sigma^2 = 2 (Var(Y under a) + Var(Y under b)),      standard error of n users together = sigma / sqrt(n)

    Attributes
    ----------
    variance : sigma^2, value units squared. influence : two arrays (n,), of each policy's mean in the log.
    """

    variance: float
    influence: tuple[Array, Array]


def means_variance(
    decisions: tuple[Integers, Integers], treatment: Integers, value: Array, propensity: Array
) -> MeansVariance:
    """What the plain A/B test of two policies would vary, from the log's users who match each (weights 1 / p)."""
    p = propensity[np.arange(len(value)), treatment]
    total, influence = 0.0, []
    for decision in decisions:
        w = (treatment == decision) / p
        off = value - np.sum(w * value) / w.sum()
        total += float(np.sum(w * off**2) / w.sum())
        influence.append(w * off)
    return MeansVariance(2 * total, (influence[0], influence[1]))


def cluster_effect(influences: list[Array], cluster: Any) -> float:
    """The design effect of clusters: variance of the cluster sums over that of independent users, at least 1.

        sum_g (sum_{i in g} phi_i)^2 G / (G - 1)  /  sum_i phi_i^2

    A ratio below 1 is taken for chance and gives no licence for fewer users. It holds for a new experiment whose
    clusters are of the same size and whose arms are drawn within them as in this log: a log randomised by user says
    little of one randomised by household. Raises InputError for missing labels or a single cluster.
    """
    single = float(sum(np.sum(phi**2) for phi in influences))
    names, code = label_codes(cluster, len(influences[0]), "cluster")
    G = len(names)
    if G < 2:
        raise InputError(f"cluster holds {G} label; the spread between clusters needs at least 2")
    sums = sum(float(np.sum(np.bincount(code, weights=phi) ** 2)) for phi in influences)
    return max(1.0, sums * G / (G - 1) / single) if single > 0 else 1.0
