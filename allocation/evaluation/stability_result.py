"""What refits of a policy decided: who changes arm, how the arm mix varies, and how that depends on the margin."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from allocation.evaluation.stability_text import stability_text

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
MARGIN_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
QUARTERS = 4


@dataclass(frozen=True, eq=False)
class Stability:
    """What refits of a policy on resampled logs decide for the same users; B budgets, n users, R refits.

    Attributes
    ----------
    budgets : (B,) money for all users together. arms : names of the K+1 arms.
    decision : (B, n), the arm by the policy as it is. votes : (B, n, K+1) int32, how many refits chose each arm.
    changed : (R, B), share of users whose arm in that refit differs from `decision`.
    changed_treated : (R, B), the same among the users whom `decision` gives a treatment; NaN where that is nobody.
    mix : (R, B, K+1), share of users on each arm in each refit.
    margin : (B, n), how clearly the arm of `decision` wins at the price (`allocation.engine.price.margins`), value
        units; NaN where the policy solves no problem. margin_note : why it is NaN, in words, or "".
    resample : "half" or "bootstrap". level : of the ranges over refits in `frame`.
    """

    budgets: tuple[float, ...]
    arms: tuple[str, ...]
    decision: Integers = field(repr=False)
    votes: NDArray[np.int32] = field(repr=False)
    changed: Array = field(repr=False)
    changed_treated: Array = field(repr=False)
    mix: Array = field(repr=False)
    margin: Array = field(repr=False)
    margin_note: str
    resample: str
    level: float

    @property
    def refits(self) -> int:
        """R, how many refits there were."""
        return len(self.changed)

    @property
    def agreement(self) -> Array:
        """Share of refits that give the user the same arm as the policy does, (B, n)."""
        kept = np.take_along_axis(self.votes, self.decision[:, :, None], axis=2)[:, :, 0]
        return np.asarray(kept / self.refits)

    @property
    def between_refits(self) -> Array:
        """Share of users whose arm differs between two refits, the mean over all pairs, (B,)."""
        pairs = self.refits * (self.refits - 1)
        alike = (self.votes * (self.votes - 1)).sum(axis=2) / pairs
        return np.asarray(1 - alike.mean(axis=1))

    @property
    def by_chance(self) -> Array:
        """Share of users who would change arm if each refit dealt its arms out blindly, (B,): the worst to expect.

        1 - sum_j mix_j(policy) mix_j(refit), the mean over refits.
        """
        own = np.stack([np.bincount(z, minlength=len(self.arms)) for z in self.decision]) / self.decision.shape[1]
        return np.asarray(1 - (self.mix * own).sum(axis=2).mean(axis=0))

    @property
    def frame(self) -> pd.DataFrame:
        """One row a budget; shares are of the users, 0 to 1, ranges are percentiles over the refits.

        `budget`, `users`, `refits`, `changed`, `changed_low`, `changed_high` (arm differs from the policy's own),
        `between_refits` (arm differs between two refits), `by_chance` (would differ if the same arms were dealt out
        blindly), `treated` (users whom the policy gives a treatment), `changed_treated` (share of these whose arm
        differs), `share.<arm>`, `share_low.<arm>`, `share_high.<arm>` (arm mix: the policy's own share, and the range
        of the refits' shares), `margin_05`, `margin_25`, `margin_50`, `margin_75`, `margin_95` (quantiles over users,
        value units).
        """
        import pandas as pd

        tail = (1 - self.level) / 2
        low, high = np.quantile(self.changed, [tail, 1 - tail], axis=0)
        mix_low, mix_high = np.quantile(self.mix, [tail, 1 - tail], axis=0)
        treated = (self.decision > 0).sum(axis=1)
        columns: dict[str, Any] = {
            "budget": self.budgets,
            "users": self.decision.shape[1],
            "refits": self.refits,
            "changed": self.changed.mean(axis=0),
            "changed_low": low,
            "changed_high": high,
            "between_refits": self.between_refits,
            "by_chance": self.by_chance,
            "treated": treated,
            "changed_treated": self.changed_treated.mean(axis=0),
        }
        for j, arm in enumerate(self.arms):
            columns[f"share.{arm}"] = (self.decision == j).mean(axis=1)
            columns[f"share_low.{arm}"], columns[f"share_high.{arm}"] = mix_low[:, j], mix_high[:, j]
        for share in MARGIN_QUANTILES:
            # Of a margin that is there, not between two: they may be infinite.
            columns[f"margin_{100 * share:02.0f}"] = np.quantile(self.margin, share, axis=1, method="inverted_cdf")
        return pd.DataFrame(columns)

    @property
    def by_margin(self) -> pd.DataFrame:
        """How the changes depend on the margin: four rows a budget, the closest quarter of users first.

        `budget`, `quarter` (1 to 4), `users`, `margin_low`, `margin_high` (value units), `changed` (mean over users
        and refits). Users of equal margin stay together, so quarters differ in size where there are ties, and may be
        empty (NaN). No rows at budgets without margins.
        """
        import pandas as pd

        rows = []
        for k, budget in enumerate(self.budgets):
            margin, moved = self.margin[k], 1 - self.agreement[k]
            if np.isnan(margin).any():
                continue
            edges = np.quantile(margin, np.arange(1, QUARTERS) / QUARTERS, method="inverted_cdf")
            quarter = np.searchsorted(edges, margin, side="left")
            for q in range(QUARTERS):
                inside = quarter == q
                found = [
                    f(x[inside]) for f, x in ((np.min, margin), (np.max, margin), (np.mean, moved)) if inside.any()
                ]
                rows.append((budget, q + 1, int(inside.sum()), *(found or [math.nan] * 3)))
        return pd.DataFrame(rows, columns=["budget", "quarter", "users", "margin_low", "margin_high", "changed"])

    def __str__(self) -> str:
        return stability_text(self.frame, self.by_margin, self.resample, self.level, self.margin_note)
