"""Off-policy estimators of a mean: what one policy is worth a user, from a log of other decisions; arrays in."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.evaluation.influence import standard_error
from uplift.errors import InputError, check_fraction, nearest
from uplift.groups import label_codes

Array = NDArray[np.float64]
ESTIMATORS = ("ipw", "sn", "dr", "switch", "clipped")
WITH_MODEL = ("dr", "switch")
TRIMMED = ("switch", "clipped")
FEW = 30  # effectively matched users below which normal theory and resampling both fail


def terms(
    estimator: str, weight: Any, amount: Any, expected: Any = None, fitted: Any = None, largest: float = np.inf
) -> tuple[Array, Array]:
    """What each user adds above and below the line, phi and omega; any shape, elementwise.

    The estimate is sum phi / sum omega, with w the weight pi(t | x) / p(t | x), a the amount, e the expected amount
    under the policy by a model, f the model's amount for the arm received, and L the largest weight:

        ipw      phi = w a                      omega = 1   unbiased; noisy where few users match
        sn       phi = w a                      omega = w   self-normalised (Hajek); less noise, a bias of order 1/n
        dr       phi = e + w (a - f)            omega = 1   unbiased for any cross-fitted model, which removes noise
        switch   phi = e + 1[w <= L] w (a - f)  omega = 1   where weights exceed L the model is believed
        clipped  phi = min(w, L) a              omega = 1   ipw with weights cut at L

    Sources: Horvitz and Thompson 1952; Hajek 1971; Dudik, Langford and Li 2011 (doubly robust); Wang, Agarwal and
    Dudik 2017 (switch); Ionides 2008 (clipped), by their usual form; not checked against a numbered equation.
    """
    if estimator == "clipped":
        weight = np.minimum(weight, largest)
    if estimator == "switch":
        weight = np.where(weight > largest, 0.0, weight)
    if estimator in WITH_MODEL:
        phi = np.asarray(expected + weight * (amount - fitted), dtype=np.float64)
    else:
        phi = np.asarray(weight * amount, dtype=np.float64)
    return phi, np.broadcast_to(weight, phi.shape) if estimator == "sn" else np.ones(phi.shape)


def bias_bound(estimator: str, beyond: Any, amount: Any, fitted: Any = 0.0) -> float:
    """How far trimming can bias the estimate at most, per user, in the amount's unit; 0 without trimming.

        clipped  E[(w - L)+] max |a|        switch  P(w > L) max |a - f|

    `beyond` is that first factor, under the policy. The largest amount (or residual) is that of the log: an amount
    beyond it elsewhere is not covered.
    """
    if estimator not in TRIMMED:
        return 0.0
    spread = np.abs(amount - fitted if estimator == "switch" else amount)
    return float(beyond * spread.max(initial=0.0))


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean a user under the policy, and how well the log knows it.

    Attributes
    ----------
    mean : the amount's unit a user; NaN where no user received what the policy would give.
    influence : (n,), n times how much user i moves the mean; centred: (phi - mean omega) / (mean of omega).
    effective_size : (sum w)^2 / sum w^2, as many equally weighted users would know as much (Kish).
    matched : users of positive weight. bias_bound : how far trimming can bias the mean at most, in its unit; 0
        without trimming.

    Assumes that the propensities are right and that users do not influence each other.
    """

    mean: float
    influence: Array
    effective_size: float
    matched: int
    bias_bound: float = 0.0

    def __str__(self) -> str:
        if not self.matched:
            return f"no estimate: none of {len(self.influence):,} users received what the policy would give"
        low, high = self.interval()
        text = f"{self.mean:.6g} a user (se {self.se():.2g}, 95% {low:.6g} to {high:.6g})"
        text += f"; matched: {self.matched:,} of {len(self.influence):,}, effectively {self.effective_size:,.0f}"
        if self.bias_bound:
            text += f"; trimming may bias it by up to {self.bias_bound:.3g}"
        return text + (f": below {FEW} no interval can be trusted" if self.effective_size < FEW else "")

    def __repr__(self) -> str:
        return f"Estimate({self})"

    def se(self, cluster: ArrayLike | None = None) -> float:
        """Closed-form standard error, sqrt(sum psi^2 / (n (n - 1))); added up within each of `cluster` (n,)."""
        code = None if cluster is None else label_codes(cluster, len(self.influence), "cluster")[1]
        return standard_error(self.influence, code)

    def interval(self, level: float = 0.95, cluster: ArrayLike | None = None) -> tuple[float, float]:
        """mean -+ z se, by the normal approximation: wrong where the effective size is small."""
        check_fraction(level, "level", 0.95)
        half = NormalDist().inv_cdf(0.5 + level / 2) * self.se(cluster)
        return self.mean - half, self.mean + half


def off_policy(
    amount: ArrayLike,
    weight: ArrayLike,
    *,
    estimator: str = "ipw",
    expected: ArrayLike | None = None,
    fitted: ArrayLike | None = None,
    largest_weight: float | None = None,
) -> Estimate:
    """Estimate a policy's mean amount a user from another policy's log; also for policies that draw their arm.

        sum_i phi_i / sum_i omega_i,    such as  phi = w a, omega = 1  for "ipw" and  omega = w  for "sn"

    Parameters
    ----------
    amount : (n,), logged value or cost.
    weight : (n,), pi(t_i | x_i) / p_i: the policy's probability of the arm that user i received over the logged one;
        for a decision z it is 1[t_i = z_i] / p_i.
    estimator : "ipw", "sn", "dr", "switch" or "clipped"; `evaluation.estimators.terms` has formulas and sources.
    expected, fitted : (n,) each, by a model that never saw user i: sum_a pi(a | x_i) m_a(x_i), and m_{t_i}(x_i); for
        "dr" and "switch".
    largest_weight : L of "switch" and "clipped"; None takes sqrt(n), so that bias and noise vanish together.

    Returns an `Estimate`: the mean in the amount's unit a user, its `se()` and `interval()`, who matched. Assumes
    that the logged probabilities are right and users do not influence each other; neither can be checked here.

    Misleads when the effective size is small: then the interval is too short, whatever the estimator. It says nothing
    of the bias of trimming; the bound of that has its first factor estimated from the weights that were cut, since
    those of arms that were not received are not known here: large weights that were not drawn are missed. Raises
    InputError for arrays that do not fit, negative weights, and a missing model.
    """
    check_estimators([estimator])
    w, a = _column(weight, "weight"), _column(amount, "amount")
    if len(w) != len(a) or not len(w):
        raise InputError(f"weight has {len(w):,} users and amount {len(a):,}; one of each for every user is expected")
    if (w < 0).any():
        raise InputError(f"weight is {w.min():.3g} in row {int(w.argmin()):,}; ratios of probabilities are 0 or more")
    e = f = np.zeros(len(w))
    if estimator in WITH_MODEL:
        if expected is None or fitted is None:
            raise InputError(f"estimator {estimator!r} needs expected= and fitted=, a model's amounts for each user")
        e, f = _column(expected, "expected"), _column(fitted, "fitted")
        if len(e) != len(w) or len(f) != len(w):
            raise InputError(
                f"expected has {len(e):,} and fitted {len(f):,} users, weight {len(w):,}; the same are expected"
            )
    largest = default_largest(len(w)) if largest_weight is None else check_largest(largest_weight)
    phi, omega = terms(estimator, w, a, e, f, largest)
    cut = np.maximum(w - largest, 0.0) if estimator == "clipped" else np.where(w > largest, w, 0.0)
    beyond = float(cut.mean())
    total, below = float(phi.sum()), float(omega.sum())
    matched = int((w > 0).sum())
    mean = total / below if matched else np.nan
    return Estimate(
        mean=mean,
        influence=(phi - mean * omega) * (len(w) / below if below else np.nan),
        effective_size=effective_size(w),
        matched=matched,
        bias_bound=bias_bound(estimator, beyond, a, f),
    )


def effective_size(weight: Array) -> float:
    """(sum w)^2 / sum w^2 of weights (n,), 0 without any; users, or clusters where w are sums of theirs."""
    largest = float(weight.max(initial=0.0))
    scaled = weight / largest if largest else weight  # squares of large weights must not overflow
    squares = float((scaled**2).sum())
    return float(scaled.sum()) ** 2 / squares if squares else 0.0


def default_largest(n: int) -> float:
    """The largest weight kept by default, sqrt(n)."""
    return float(np.sqrt(n))


def check_largest(largest: float) -> float:
    """The largest weight as a float; raises InputError for what is no positive number."""
    if isinstance(largest, bool) or not isinstance(largest, int | float | np.number) or not largest > 0:
        raise InputError(f"largest_weight is {largest!r}; a positive number is expected, such as 20")
    return float(largest)


def check_estimators(estimators: Any) -> tuple[str, ...]:
    """The names as a tuple; raises InputError for one that is unknown, or none."""
    if not isinstance(estimators, str) and not np.iterable(estimators):
        raise InputError(f"estimators is {estimators!r}; a list of {', '.join(ESTIMATORS)} is expected")
    names = (estimators,) if isinstance(estimators, str) else tuple(estimators)
    if not names:
        raise InputError(f"estimators is empty; at least one of {', '.join(ESTIMATORS)} is expected")
    for name in names:
        if name not in ESTIMATORS:
            raise InputError(f"estimator {name!r} is unknown.{nearest(str(name), ESTIMATORS)}")
    return tuple(dict.fromkeys(names))


def _column(given: ArrayLike, name: str) -> Array:
    try:
        column = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is a {type(given).__name__} that holds no numbers; (users,) is expected") from None
    if column.ndim != 1:
        raise InputError(f"{name} has shape {column.shape}; one number for each user, (users,), is expected")
    if not np.isfinite(column).all():
        row = int(np.argmin(np.isfinite(column)))
        raise InputError(f"{name} is {column[row]} in row {row:,}; a finite number for every user is expected")
    return column
