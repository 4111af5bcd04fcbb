"""What is known of every cell, a policy at a budget, before any outcome is weighed: promises and support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocation.evaluation.decided import Decided
from allocation.evaluation.support import lacking, match_weights, not_apart, support, telling_apart
from uplift.campaign import Campaign

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Facts of m cells, (m,) each unless said otherwise; amounts are totals over the held-out users.

    names, budgets : as in `Decided`. users : held out. matched, matched_control : users who received what was decided
    for them; who received control. effective_size : see `support`. lacking : words where the support is too small,
    else "". promised_value, promised_spend, price : as in `Decided`. same : (m + 1, m + 1), whether two cells decide
    alike for every user. not_apart : (m + 1, m + 1) words where too few users tell two cells apart, else "". In these
    two the last cell is everybody on control.
    """

    names: tuple[str, ...]
    budgets: tuple[float, ...]
    users: int
    matched: Array
    matched_control: float
    effective_size: Array
    lacking: tuple[str, ...]
    control_lacking: str
    promised_value: Array
    promised_spend: Array
    price: Array
    same: NDArray[np.bool_]
    not_apart: NDArray[np.object_]

    @classmethod
    def of(cls, decided: Decided, held_out: Campaign, cluster: NDArray[np.int64] | None) -> Cells:
        """Count the support of every decision, of everybody on control too."""
        n, unit = len(held_out), "users" if cluster is None else "clusters"
        control = np.zeros((1, n), dtype=decided.decision.dtype)
        decision = np.concatenate([decided.decision, control])
        counts = [support(match_weights(z, held_out), cluster) for z in decision]
        words = [lacking(matched, size, n, unit) for matched, size in counts]
        known: dict[bytes, int] = {}
        first = np.array([known.setdefault(z.tobytes(), k) for k, z in enumerate(decision)])
        same = first[:, None] == first[None, :]
        apart = np.vectorize(not_apart, otypes=[object])(*telling_apart(decision, held_out))
        return cls(
            names=decided.names,
            budgets=decided.budgets,
            users=n,
            matched=np.array([matched for matched, _ in counts[:-1]], dtype=np.int64),
            matched_control=counts[-1][0],
            effective_size=np.array([size for _, size in counts[:-1]]),
            lacking=tuple(words[:-1]),
            control_lacking=words[-1],
            promised_value=decided.promised_value,
            promised_spend=decided.promised_spend,
            price=decided.price,
            same=same,
            not_apart=np.where(same, "", apart),
        )

    @classmethod
    def average(cls, splits: Sequence[Cells]) -> Cells:
        """Means over splits of the same policies, budgets and number of users; what one split lacks, all lack."""
        first = splits[0]
        mean = {
            name: np.mean([getattr(one, name) for one in splits], axis=0)
            for name in ("matched", "effective_size", "promised_value", "promised_spend", "price")
        }
        apart = np.stack([one.not_apart for one in splits])
        words = zip(*(one.lacking for one in splits), strict=True)
        return replace(
            first,
            matched_control=float(np.mean([one.matched_control for one in splits])),
            lacking=tuple(max(of_cell, key=len) for of_cell in words),
            control_lacking=max((one.control_lacking for one in splits), key=len),
            same=np.all([one.same for one in splits], axis=0),
            not_apart=np.vectorize(lambda *of_pair: max(of_pair, key=len), otypes=[object])(*apart),
            **mean,
        )

    def scaled(self, users: int) -> Cells:
        """The same cells as if there were so many users."""
        if users == self.users:
            return self
        factor = users / self.users
        sums = {name: getattr(self, name) * factor for name in ("promised_value", "promised_spend")}
        return replace(self, users=users, budgets=tuple(b * factor for b in self.budgets), **sums)

    @property
    def policy(self) -> list[str]:
        """Name of each cell's policy."""
        return list(self.names) * len(self.budgets)

    @property
    def budget(self) -> Array:
        """Budget of each cell, money."""
        return np.repeat(np.array(self.budgets), len(self.names))
