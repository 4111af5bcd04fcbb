"""Bootstrap over users: one set of resamples, shared by every policy, budget and estimate, hence paired."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocation.evaluation.estimators import Array, Moments
from uplift.seeds import stream

# Resamples handled at once; bounds the memory at REPLICATES_AT_ONCE x n counts.
REPLICATES_AT_ONCE = 25


def resampled_sums(moments: Moments, n_bootstrap: int, seed: int | np.random.Generator) -> Moments:
    """Sums of every column in each of `n_bootstrap` resamples of n users with replacement, (n_bootstrap, m)."""
    rng = stream(seed, "bootstrap")
    n, m = moments.weight.shape
    stacked = np.hstack([moments.weight, moments.value, moments.spend])
    out = np.empty((n_bootstrap, 3 * m))
    for start in range(0, n_bootstrap, REPLICATES_AT_ONCE):
        size = min(REPLICATES_AT_ONCE, n_bootstrap - start)
        counts = np.empty((size, n))
        for row in counts:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
        out[start : start + size] = counts @ stacked
    return Moments(out[:, :m], out[:, m : 2 * m], out[:, 2 * m :])


def interval(draws: NDArray[np.float64], level: float) -> tuple[Array, Array]:
    """Percentile interval over the first axis; NaN where half of the resamples or more have no estimate."""
    tail = (1 - level) / 2
    missing = np.isnan(draws).mean(axis=0) >= 0.5
    filled = np.where(missing, 0.0, draws)
    low, high = np.nanquantile(filled, [tail, 1 - tail], axis=0)
    return np.where(missing, np.nan, low), np.where(missing, np.nan, high)
