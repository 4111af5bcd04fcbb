"""An estimate with its standard error, interval and effective sample size: the form of every causal answer, and the
unadjusted answer in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from uplift.campaign import Campaign, check_campaign
from uplift.errors import InputError, check_fraction, nearest
from uplift.groups import label_codes
from uplift.words import counted, wrapped

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
TARGETS = ("all", "treated", "untreated")


@dataclass(frozen=True)
class Estimate:
    """An average and how well it is known; amounts are in the campaign's value unit a user.

    Attributes
    ----------
    quantity : what was estimated, in words.
    estimate, standard_error : floats; the interval assumes that their ratio is normal, which fails in small samples
        and where a few users carry most of the weight (see `effective_n`).
    n : users whom the estimate speaks for.
    effective_n : (sum w)^2 / sum w^2 of the weights of the arm where that is smallest: as many equally weighted
        users would give the same precision (Kish 1965 by its usual name; formula not checked in the book).
    dropped : users of the target population outside the support, of whom the estimate says nothing.
    """

    quantity: str
    estimate: float
    standard_error: float
    n: int
    effective_n: float
    dropped: int = 0

    @classmethod
    def of(
        cls,
        quantity: str,
        estimate: float,
        influence: Array,
        *,
        n: int,
        effective_n: float,
        dropped: int = 0,
        cluster: NDArray[Any] | None = None,
    ) -> Self:
        """The estimate whose error is the mean of `influence` (rows,), summed first within each `cluster`.

        standard_error^2 = G / (G - 1) * sum_g (sum_{i in g} influence_i)^2 / rows^2 with G clusters (G = rows and
        every row its own cluster by default). The other arguments are the fields. Raises InputError when fewer than
        two clusters are left, and for missing labels of clusters.
        """
        sums = influence
        if cluster is not None:
            code = label_codes(cluster, len(influence), "cluster")[1]
            sums = np.bincount(code, weights=influence).astype(np.float64)
        G = len(sums)
        if G < 2:
            raise InputError(f"{quantity}: {G} rows or clusters are left; a standard error needs at least 2")
        error = float(np.sqrt(G / (G - 1) * (sums**2).sum()) / len(influence))
        return cls(quantity, float(estimate), error, int(n), float(effective_n), int(dropped))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided normal interval, estimate +- z standard errors; raises InputError for a level outside (0, 1)."""
        check_fraction(level, "level", 0.95)
        reach = float(ndtri((1 + level) / 2)) * self.standard_error
        return self.estimate - reach, self.estimate + reach

    def __str__(self) -> str:
        low, high = self.interval()
        tail = f"; {self.dropped:,} outside the support" if self.dropped else ""
        return wrapped(
            f"{self.quantity}: {self.estimate:.6g} (standard error {self.standard_error:.3g}, "
            f"95% {low:.6g} to {high:.6g}; {counted(self.n, 'user')}, effectively {self.effective_n:,.0f}{tail})"
        )

    def __repr__(self) -> str:
        return str(self)


def estimates_frame(estimates: Estimate | Iterable[Estimate], level: float = 0.95) -> pd.DataFrame:
    """A tidy frame, one row an estimate: its fields, then `low` and `high` of the interval of this level.

    A single estimate is a list of one. Raises InputError for anything but estimates and a level outside (0, 1).
    """
    import pandas as pd

    found = _estimates(estimates)
    rows = [asdict(e) | dict(zip(("low", "high"), e.interval(level), strict=True)) for e in found]
    return pd.DataFrame(rows)


def effective_size(weight: Array) -> float:
    """(sum w)^2 / sum w^2 of the weights, between 1 and their number; 0 where all are 0."""
    largest = float(weight.max(initial=0.0))
    if largest <= 0:
        return 0.0
    relative = weight / largest  # so that no square leaves the range of a float
    return float(relative.sum() ** 2 / (relative**2).sum())


def raw_effect(
    campaign: Campaign,
    arm: str | int = 1,
    *,
    users: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> Estimate:
    """The plain difference of mean logged values of `arm` and control: the effect only if treatment was randomised.

    standard_error^2 = s_j^2 / n_j + s_0^2 / n_0 with the sample variances; value units a user. `users` is a mask
    (n,); with `cluster` (n,) the rows of a cluster count once, by `Estimate.of` with the influences
    n (y - mean_j) / n_j and -n (y - mean_0) / n_0, n = n_j + n_0. `n` of the result counts both arms, `effective_n`
    the smaller one. Misleads where anything known of a user moved both arm and value; `adjust` is for that. Raises
    InputError for an unknown arm or control, `users` that is no mask, and fewer than 2 `users` of either arm.
    """
    check_campaign(campaign)
    j = treated_position(arm, campaign.arms)
    chosen = user_mask(users, len(campaign))
    sides = [campaign.value[chosen & (campaign.treatment == k)] for k in (j, 0)]
    for k, side in zip((j, 0), sides, strict=True):
        if len(side) < 2:
            raise InputError(
                f"arm {campaign.arms[k]!r} has {counted(len(side), 'user')} here; a comparison needs at least 2"
            )
    difference = float(sides[0].mean() - sides[1].mean())
    n, fewest = sum(len(side) for side in sides), min(len(side) for side in sides)
    quantity = f"raw difference of {campaign.arms[j]}"
    if cluster is None:
        error = float(np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides)))
        return Estimate(quantity, difference, error, n, float(fewest))
    code = label_codes(cluster, len(campaign), "cluster")[1]
    influence = np.concatenate(
        [sign * n * (side - side.mean()) / len(side) for sign, side in zip((1, -1), sides, strict=True)]
    )
    group = np.concatenate([code[chosen & (campaign.treatment == k)] for k in (j, 0)])
    return Estimate.of(quantity, difference, influence, n=n, effective_n=fewest, cluster=group)


def check_target(target: str) -> None:
    """Refuse what is none of the three target populations."""
    if not isinstance(target, str) or target not in TARGETS:
        raise InputError(f"target is {target!r}; one of {', '.join(TARGETS)} is expected")


def arm_position(arm: str | int, arms: tuple[str, ...]) -> int:
    """The column of an arm given by its name or its position."""
    if isinstance(arm, str):
        if arm not in arms:
            raise InputError(f"arm {arm!r} is not in the log.{nearest(arm, arms)}")
        return arms.index(arm)
    if isinstance(arm, bool) or not isinstance(arm, int | np.integer) or not 0 <= arm < len(arms):
        raise InputError(f"arm is {arm!r}; a name or a position from 0 to {len(arms) - 1} is expected")
    return int(arm)


def treated_position(arm: str | int, arms: tuple[str, ...]) -> int:
    """The column of an arm that is compared with control, which control itself cannot be."""
    j = arm_position(arm, arms)
    if j == 0:
        raise InputError(f"arm {arms[0]!r} is control; an effect is of another arm against it")
    return j


def user_mask(users: ArrayLike | None, n: int) -> NDArray[np.bool_]:
    """Which of n users are meant, (n,) booleans; None is everybody. Row numbers and 0/1 numbers are refused."""
    if users is None:
        return np.ones(n, dtype=bool)
    try:
        chosen = np.asarray(users)
    except ValueError:
        raise InputError(f"users holds lists of several lengths; a mask of {n:,} booleans is expected") from None
    if chosen.shape != (n,) or chosen.dtype != np.bool_:
        raise InputError(
            f"users has shape {chosen.shape} and type {chosen.dtype}; a mask of {n:,} booleans is expected, not row "
            "numbers or 0 and 1: compare, such as users == 1"
        )
    return chosen


def _estimates(estimates: Estimate | Iterable[Estimate]) -> list[Estimate]:
    """The estimates as a list; a single one is a list of one."""
    try:
        found = [estimates] if isinstance(estimates, Estimate) else list(estimates)
    except TypeError:
        found = [estimates]  # type: ignore[list-item]
    for one in found:
        if not isinstance(one, Estimate):
            raise InputError(
                f"the type {type(one).__name__} is among the estimates; an Estimate or a list is expected"
            )
    return found
