"""Sensitivity of a policy's value to a confounder that was not measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.campaign import Campaign, check_campaign
from uplift.causal.estimate import Array, effective_size
from uplift.errors import InputError, check_fraction, check_whole
from uplift.seeds import stream
from uplift.words import counted, wrapped

if TYPE_CHECKING:
    import pandas as pd

GAMMAS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
LARGEST_GAMMA = 1e6


@dataclass(frozen=True, eq=False)
class PolicySensitivity:
    """Bounds of a decision's value, and of its gain over a comparison, for growing odds ratios Gamma.

    Attributes
    ----------
    gamma : (G,) odds ratios, at least 1. value : (G, 2) lowest and highest mean value a user of the decision.
    gain : (G, 2) the same of decision minus comparison. Value units a user.
    gain_at_one : the gain where the propensities are right, at Gamma 1, whether or not `gamma` holds 1.
    gain_interval : (G, 2) percentile-bootstrap interval that also covers sampling, or None without a bootstrap.
    gamma_at_zero : the Gamma at which the bounds of the gain reach 0: how strong a confounder would have to be to
        explain the whole gain away; infinite where none could.
    moved : how many users the decision treats otherwise than the comparison.
    effective : (sum w)^2 / sum w^2 of the weights 1 / p of the users moved who received what the decision gives them,
        or what the comparison does, where that is smaller: as many equally weighted users carry the gain.
    interval_at_one : the bootstrap interval of the gain at Gamma 1, which covers sampling alone, or None.
    level : of the intervals.

    `gamma_at_zero` takes the estimate for the truth: it says something of confounding only where the gain can be told
    from 0 to begin with, for which take `n_bootstrap`; `verdict` speaks of both.
    """

    gamma: Array
    value: Array
    gain: Array
    gain_at_one: float
    gain_interval: Array | None
    gamma_at_zero: float
    moved: int
    effective: float
    interval_at_one: tuple[float, float] | None = None
    level: float = 0.95

    @property
    def verdict(self) -> str:
        """The sensitivity of the gain in words: whether sampling alone explains it, else how strong a confounder
        would have to be, and how many users carry it."""
        if not self.moved:
            return "the decision is the comparison: there is no gain to explain"
        gain = self.gain_at_one
        if gain == 0:
            return "the gain is 0 where the propensities are right: there is none to explain"
        what = f"the {'gain' if gain >= 0 else 'loss'} of {abs(gain):.4g} a user"
        users = round(self.effective)
        carried = f"; effectively {counted(users, 'user')} {'carries' if users == 1 else 'carry'} it"
        known = "sampling error is not counted (n_bootstrap=0)"
        if self.interval_at_one is not None:
            low, high = self.interval_at_one
            known = f"{100 * self.level:g}% bootstrap interval {low:.4g} to {high:.4g} at Gamma 1"
            if not (low > 0 or high < 0):
                return f"{what} is not told from 0 to begin with: {known}, unmeasured confounding aside{carried}"
        if np.isinf(self.gamma_at_zero):
            return f"no unmeasured confounder could explain {what}; {known}{carried}"
        return (
            f"an unmeasured confounder that changes the odds of an arm {self.gamma_at_zero:.3g}-fold could explain "
            f"{what}; a weaker one could not; {known}{carried}"
        )

    def __str__(self) -> str:
        header = f"{'Gamma':>8}{'gain from':>16}{'to':>16}"
        rows = [f"{g:>8.4g}{low:>16.5g}{high:>16.5g}" for g, (low, high) in zip(self.gamma, self.gain, strict=True)]
        if self.gain_interval is not None:
            header += f"{f'{100 * self.level:g}% from':>20}{'to':>16}"
            rows = [
                f"{row}{low:>20.5g}{high:>16.5g}" for row, (low, high) in zip(rows, self.gain_interval, strict=True)
            ]
        return "\n".join(
            ["Bounds of the gain, value units a user", header, *rows, wrapped(f"Verdict: {self.verdict}")]
        )

    def __repr__(self) -> str:
        return str(self)

    def frame(self) -> pd.DataFrame:
        """Tidy frame, one row a Gamma: `_low` and `_high` of value and gain, with a bootstrap of `gain_interval`."""
        import pandas as pd

        columns = {"gamma": self.gamma}
        tables = {"value": self.value, "gain": self.gain, "gain_interval": self.gain_interval}
        for name, table in tables.items():
            if table is not None:
                columns |= {f"{name}_low": table[:, 0], f"{name}_high": table[:, 1]}
        return pd.DataFrame(columns)


def policy_sensitivity(
    campaign: Campaign,
    decision: ArrayLike,
    comparison: ArrayLike | None = None,
    *,
    gammas: ArrayLike = GAMMAS,
    n_bootstrap: int = 0,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> PolicySensitivity:
    """Bounds of what `decision` is worth, were the propensities wrong by an odds ratio of up to Gamma.

    Parameters
    ----------
    decision, comparison : (n,) arms; comparison None is control for everybody. Both must be fixed without the logged
        values of these users, else the gain is too good from the start.
    gammas : odds ratios, each from 1 to 1e6. n_bootstrap : resamples for `gain_interval`, 0 for none. level, seed :
        of it.

    Marginal sensitivity model, for each arm j apart:  1/Gamma <= odds(p_j(x)) / odds(p_j(x, u)) <= Gamma,  so the
    weight of a user with t = z lies in [1 + (1/p - 1)/Gamma, 1 + (1/p - 1) Gamma], and

        value bounds   extremes over these weights of  sum w y / sum w  over the users with t = z  (self-normalised)
        gain bounds    share of the users moved x (bounds among them of the decision - opposite bounds of comparison)

    A linear-fractional programme, whose extreme gives the users with the largest y one end of their range and the
    rest the other: sorting and cumulated sums find it exactly. Users whom decision and comparison treat alike add
    exactly 0 to the gain and are left out of it; the others match one of the two at most, so both bounds of the
    difference are attained together. Bounds are exact for the model without further constraints (Dorn and Guo,
    JASA, show them to be wider than the data allow). The bootstrap resamples users and keeps the propensities as
    they are, where the source fits them again; for estimated ones its width is therefore not exact.

    Misleads on untrimmed propensities, such as those of `with_propensity` where the arms hardly overlap: a few users
    of large weight (`PolicySensitivity.effective`) then carry the estimate, whose error may exceed any confounding;
    look at `overlap` first, take only supported users, and take a bootstrap.

    Sources: Tan 2006, JASA (the model); Zhao, Small and Bhattacharya 2019, JRSS B, pages 735-761 (bounds and
    percentile bootstrap; the sorted solution agrees with the authors' published R code). One model an arm is our
    extension to several arms.

    Raises InputError for a campaign without propensities (`with_propensity` estimates them), decisions that do not
    fit, a Gamma, `level` or `n_bootstrap` out of range, or when no logged user received what the decision, or the
    comparison, would give.
    """
    check_campaign(campaign)
    if campaign.propensity is None:
        raise InputError("the campaign has no propensity; estimate it with uplift.causal.with_propensity(campaign)")
    z = _arms(decision, campaign, "decision")
    z0 = np.zeros_like(z) if comparison is None else _arms(comparison, campaign, "comparison")
    ratios = _odds_ratios(gammas)
    check_whole(n_bootstrap, "n_bootstrap", 0, ", 0 for no resamples")
    check_fraction(level, "level", 0.95)
    moved = z != z0
    p, anyone, ones = campaign.propensity, np.ones(len(z), dtype=bool), np.ones(len(z))
    everybody = _Side.of(campaign, p, z, anyone, "decision")
    there = _Side.of(campaign, p, z, moved, "decision")
    instead = _Side.of(campaign, p, z0, moved, "comparison")

    def gain(gamma: float, count: Array) -> tuple[float, float]:
        """Bounds of the gain with every user counted `count` times."""
        if not moved.any():
            return 0.0, 0.0
        low, high = there.bounds(gamma, count)
        low0, high0 = instead.bounds(gamma, count)
        share = float(count[moved].sum() / count.sum())
        return share * (low - high0), share * (high - low0)

    interval, at_one = None, None
    if n_bootstrap:
        rng = stream(seed, "policy sensitivity")
        draws = np.empty((n_bootstrap, 1 + len(ratios), 2))
        for b in range(n_bootstrap):
            count = np.bincount(rng.integers(0, len(z), len(z)), minlength=len(z)).astype(np.float64)
            draws[b] = [gain(g, count) for g in (1.0, *ratios)]
        tail = (1 - level) / 2
        # A resample may hold nobody of one side; it says nothing of the gain.
        both = np.column_stack(
            [np.nanquantile(draws[:, :, 0], tail, axis=0), np.nanquantile(draws[:, :, 1], 1 - tail, axis=0)]
        )
        at_one, interval = (float(both[0, 0]), float(both[0, 1])), both[1:]
    return PolicySensitivity(
        gamma=ratios,
        value=np.array([everybody.bounds(g, ones) for g in ratios]),
        gain=np.array([gain(g, ones) for g in ratios]),
        gain_at_one=gain(1.0, ones)[0],
        gain_interval=interval,
        gamma_at_zero=_where_zero(lambda gamma: gain(gamma, ones)),
        moved=int(moved.sum()),
        effective=min(effective_size(side.odds + 1) for side in (there, instead)),
        interval_at_one=at_one,
        level=float(level),
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """The logged users who received what a decision gives them, sorted by value, the largest first."""

    rows: NDArray[np.int64]
    value: Array
    odds: Array  # 1 / p - 1 of the arm received

    @classmethod
    def of(
        cls, campaign: Campaign, propensity: Array, decision: NDArray[np.int64], among: NDArray[np.bool_], name: str
    ) -> Self:
        """The users of `among` who received their decision; raises InputError when there is none of them."""
        rows = np.flatnonzero((campaign.treatment == decision) & among)
        if not len(rows) and among.any():
            raise InputError(
                f"of {int(among.sum()):,} users no one received the arm that the {name} gives; "
                "the log cannot tell what it is worth"
            )
        rows = rows[np.argsort(-campaign.value[rows], kind="stable")]
        return cls(rows, campaign.value[rows], 1 / propensity[rows, decision[rows]] - 1)

    def bounds(self, gamma: float, count: Array) -> tuple[float, float]:
        """Extremes of sum w y / sum w, each user counted `count` times; NaN where none of them is."""
        c = count[self.rows]
        if not c.any():
            return np.nan, np.nan
        least, most = c * (1 + self.odds / gamma), c * (1 + self.odds * gamma)
        return float(_splits(self.value, least, most).min()), float(_splits(self.value, most, least).max())


def _splits(y: Array, first: Array, rest: Array) -> Array:
    """For k = 0..m: the weighted mean of y with weights `first` for the k largest y and `rest` for the others."""
    centre = y.mean()  # large amounts would cancel in the cumulated sums
    parts = []
    for amount in (y - centre, np.ones(len(y))):
        gained = np.concatenate([[0.0], np.cumsum(first * amount)])
        lost = np.concatenate([[0.0], np.cumsum(rest * amount)])
        parts.append(gained + lost[-1] - lost)
    return np.asarray(centre + parts[0] / parts[1])


def _where_zero(gain: Callable[[float], tuple[float, float]]) -> float:
    """The Gamma at which the bounds first reach 0; they widen with Gamma, so halving the interval finds it."""
    at_one = gain(1.0)[0]
    if at_one == 0:
        return 1.0
    side = 0 if at_one > 0 else 1

    def same_sign(gamma: float) -> bool:
        """Whether the bound nearer to 0 is still on the side of the estimate."""
        return bool(np.sign(gain(gamma)[side]) == np.sign(at_one))  # a product would underflow

    if same_sign(LARGEST_GAMMA):
        return float("inf")
    low, high = 0.0, float(np.log(LARGEST_GAMMA))
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if same_sign(float(np.exp(middle))) else (low, middle)
    return float(np.exp(high))


def _odds_ratios(gammas: ArrayLike) -> Array:
    """The odds ratios as (G,), each from 1 to LARGEST_GAMMA."""
    try:
        ratios = np.asarray(gammas, dtype=np.float64)
    except (TypeError, ValueError):
        ratios = np.empty(0)
    if ratios.ndim != 1 or not ratios.size or not ((ratios >= 1) & (ratios <= LARGEST_GAMMA)).all():
        raise InputError(f"gammas is {gammas!r}; a list of odds ratios from 1 to {LARGEST_GAMMA:g} is expected")
    return ratios


def _arms(decision: ArrayLike, campaign: Campaign, name: str) -> NDArray[np.int64]:
    try:
        z = np.asarray(decision)
    except ValueError:
        raise InputError(
            f"{name} holds lists of several lengths; one arm for each of {len(campaign):,} users is expected"
        ) from None
    if z.shape != (len(campaign),) or not np.issubdtype(z.dtype, np.integer):
        raise InputError(
            f"{name} has shape {z.shape} and type {z.dtype}; an arm 0..{len(campaign.arms) - 1} for each of "
            f"{len(campaign):,} users is expected"
        )
    if not 0 <= z.min() <= z.max() < len(campaign.arms):
        wrong = z.min() if z.min() < 0 else z.max()
        raise InputError(f"{name} names arm {wrong}; the log has arms 0..{len(campaign.arms) - 1}")
    return np.asarray(z, dtype=np.int64)
