"""Closed-form precision: how estimates on the same users vary, from each user's influence on them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def small_sample(groups: int) -> float:
    """G / (G - 1) for G independent users or clusters; NaN for one, which cannot tell how much it varies."""
    return groups / (groups - 1) if groups > 1 else math.nan


def standard_error(influence: Array, cluster: Codes | None = None) -> float:
    """Of the mean whose influence is (n,): sqrt(G / (G - 1) sum_g (sum_{i in g} psi_i)^2) / n."""
    groups = influence if cluster is None else np.bincount(cluster, influence)
    return math.sqrt(small_sample(len(groups)) * float((groups**2).sum())) / len(influence)
