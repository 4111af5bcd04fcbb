"""What is known of every cell, a policy at a budget, before any outcome is weighed: promises and support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from allocation.evaluation.decided import Decided
from allocation.evaluation.support import apart, lacking, not_apart, support
from uplift.campaign import Campaign

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Facts of m cells, (m,) each unless said otherwise; amounts are totals over the held-out users.

    names, budgets : as in `Decided`. users : held out. matched, matched_control : users who received what was decided
    for them; who received control. effective_size : see `support`. lacking : words where the support is too small,
    else "". promised_value, promised_spend, price : as in `Decided`. same : (budgets, policies + 1, policies + 1),
    whether two policies decide alike for every user, everybody on control the last of them. not_apart : likewise,
    words where too few users tell the two apart, else "".
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
        P, B = len(decided.names), len(decided.budgets)
        control = np.zeros(n, dtype=decided.decision.dtype)
        counts = [support(z, held_out, cluster) for z in (*decided.decision, control)]
        words = [lacking(matched, size, n, unit) for matched, size in counts]
        same, not_apart_words = np.ones((B, P + 1, P + 1), dtype=bool), np.full((B, P + 1, P + 1), "", dtype=object)
        for b in range(B):
            at_budget = [*decided.decision[b * P : (b + 1) * P], control]
            for p, q in combinations(range(P + 1), 2):
                if not np.array_equal(at_budget[p], at_budget[q]):
                    same[b, p, q] = same[b, q, p] = False
                    told = not_apart(*apart(at_budget[p], at_budget[q], held_out, cluster), unit)
                    not_apart_words[b, p, q] = not_apart_words[b, q, p] = told
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
            not_apart=not_apart_words,
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
            lacking=tuple(_of_splits(of_cell) for of_cell in words),
            control_lacking=_of_splits([one.control_lacking for one in splits]),
            same=np.all([one.same for one in splits], axis=0),
            not_apart=np.vectorize(lambda *of_pair: _of_splits(of_pair), otypes=[object])(*apart),
            **mean,
        )

    def scaled(self, users: int) -> Cells:
        """The same cells as if there were so many users."""
        if users == self.users:
            return self
        factor = users / self.users
        sums = ("promised_value", "promised_spend", "matched", "matched_control")
        scaled = {name: getattr(self, name) * factor for name in sums}
        return replace(self, users=users, budgets=tuple(b * factor for b in self.budgets), **scaled)

    @property
    def policy(self) -> list[str]:
        """Name of each cell's policy."""
        return list(self.names) * len(self.budgets)

    @property
    def budget(self) -> Array:
        """Budget of each cell, money."""
        return np.repeat(np.array(self.budgets), len(self.names))


def _of_splits(words: Sequence[str]) -> str:
    """Why there is no average: in how many splits there is no estimate, and why in the first of them."""
    lacking = [text for text in words if text]
    return f"in {len(lacking)} of {len(words)} splits, such as: {lacking[0]}" if lacking else ""
