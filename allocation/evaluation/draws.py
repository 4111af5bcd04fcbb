"""What a design lets expect of a decision's weights before the arms are drawn, users or whole clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Draws:
    """Weights before the arms are drawn: each of `decisions` gives user i the weight 1 / p (of `inverses`) or 0."""

    decisions: list[NDArray[np.integer]]
    inverses: list[Array]
    received: NDArray[np.int64]
    cluster: Codes | None

    def expected_size(self) -> float:
        """(E sum w)^2 / E sum (w of a cluster)^2.

        A cluster that was drawn as a whole has one arm: those of its users who are decided for that arm weigh
        together, m sum 1 / p for m of them, and the others nothing. Else users were drawn one by one:
        sum 1 / p + (mean weight)^2 (m^2 - m), m of the whole cluster.
        """
        mean, n = float(len(self.decisions)), len(self.received)
        square = float(sum(inverse.sum() for inverse in self.inverses))
        if self.cluster is not None:
            arms = 1 + int(max(decision.max() for decision in self.decisions))
            if self._drawn_whole(self.cluster):
                keys = np.concatenate([self.cluster * arms + decision for decision in self.decisions])
                square = float((np.bincount(keys) * np.bincount(keys, np.concatenate(self.inverses))).sum())
            else:
                m = np.bincount(self.cluster)
                square += float((m * (m - 1)).sum()) * mean**2
        return (mean * n) ** 2 / square

    def _drawn_whole(self, cluster: Codes) -> bool:
        """Whether no cluster has users of two arms."""
        _, first, code = np.unique(cluster, return_index=True, return_inverse=True)
        return bool((self.received == self.received[first][code]).all())
