"""Paired differences of cells on the same users, bands that hold for all of them at once, and adjusted p-values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from allocation.evaluation.verified import Totals
from uplift.seeds import stream

Array = NDArray[np.float64]
Places = NDArray[np.int64]
GAUSSIAN_DRAWS = 20_000
DUST = 1e-12  # share of the totals that rounding may leave of no noise at all


@dataclass(frozen=True, eq=False)
class Paired:
    """Differences of totals between cells and their reference cells, (m,) each.

        point_k = total_k - total_r(k);   Var = C_kk - 2 C_kr + C_rr, all from the same users

    se : of each difference, 0 where both decide alike for everybody, or where no user varies. covariance : (m, m) of
    the differences. draws : (R, m) of the bootstrap, resampled together, or None.
    """

    point: Array
    se: Array
    covariance: Array
    draws: Array | None

    @classmethod
    def of(cls, totals: Totals, cells: Places, against: Places, same: NDArray[np.bool_]) -> Paired:
        """The differences of `cells` (m,) from the cells `against` (m,); `same`, (m,), where both decide alike."""
        C = totals.covariance
        covariance = (
            C[np.ix_(cells, cells)]
            - C[np.ix_(cells, against)]
            - C[np.ix_(against, cells)]
            + C[np.ix_(against, against)]
        )
        # What is the same for every user differs by nothing, and not by what rounding leaves.
        covariance[same, :] = covariance[:, same] = 0.0
        point = np.where(same, 0.0, totals.point[cells] - totals.point[against])
        draws = totals.draws
        if draws is not None:
            draws = np.where(same, 0.0, draws[:, cells] - draws[:, against])
        se = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        # What rounding leaves of a difference without any noise is no noise.
        dust = DUST * np.maximum(np.abs(totals.point[cells]), np.abs(totals.point[against]))
        return cls(point, np.where(se <= dust, 0.0, se), covariance, draws)

    def band(self, family: NDArray[np.bool_], level: float, seed: int) -> tuple[Array, Array]:
        """point -+ c se, which holds all differences of the `family` (m,) at once with chance `level`; NaN elsewhere.

        c is the `level` quantile of max |Z_k|, Z normal with the differences' correlation (sup-t band).
        """
        largest = self._largest(family, seed)
        c = float(np.quantile(largest, level)) if len(largest) else 0.0
        half = np.where(family, c * self.se, np.nan)
        return self.point - half, self.point + half

    def p_values(self, family: NDArray[np.bool_], seed: int) -> tuple[Array, Array]:
        """Two-sided p of each difference alone, and adjusted for the whole family: P(max |Z| >= |point| / se).

        The second is single-step max-t (Westfall and Young 1993, by its usual form): with chance 1 - a no true zero
        of the family falls below a. NaN outside the family and where both decide alike.
        """
        judged = family & (self.se > 0)
        alone, adjusted = np.full(len(self.point), np.nan), np.full(len(self.point), np.nan)
        t = np.abs(self.point[judged] / self.se[judged])
        alone[judged] = 2 * ndtr(-t)
        largest = np.sort(self._largest(family, seed))
        reached = len(largest) - np.searchsorted(largest, t)
        # Never below p alone, which drawing could bring about.
        adjusted[judged] = np.maximum((reached + 1) / (len(largest) + 1), alone[judged])
        return alone, adjusted

    def _largest(self, family: NDArray[np.bool_], seed: int) -> Array:
        """Draws of max |Z| over the differences of the family that vary, (GAUSSIAN_DRAWS,); empty without any."""
        judged = np.flatnonzero(family & (self.se > 0))
        if not len(judged):
            return np.empty(0)
        se = self.se[judged]
        correlation = self.covariance[np.ix_(judged, judged)] / np.outer(se, se)
        size, axes = np.linalg.eigh(correlation)
        root = axes * np.sqrt(np.maximum(size, 0.0))
        rng = stream(seed, "simultaneous bands")
        return np.asarray(np.abs(rng.standard_normal((GAUSSIAN_DRAWS, len(judged))) @ root.T).max(axis=1))
