"""Scores: what each user says about each arm, from the one arm that was received, its probability and a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def score_table(
    expected: NDArray[np.floating] | None, amount: Array, treatment: NDArray[np.int64], propensity: Array
) -> Array:
    """Scores of an amount under every arm, (n, K+1), in its unit.

        Gamma_ij = m_ij + 1[t_i = j] / p_ij (a_i - m_ij)

    `expected` is m (n, K+1), by models that never saw the user: then these are the doubly robust scores, whose mean
    over any group of users fixed beforehand is unbiased for the group's mean amount under arm j where either p or m
    is right. None is m = 0: the inverse-propensity scores, unbiased where p is right, and much noisier. `amount` a
    (n,), `treatment` t (n,), `propensity` p (n, K+1), all above 0. A single cell is no prediction: its variance is
    that of (a - m) / p.

    Source: Robins, Rotnitzky and Zhao 1994, JASA 89(427); derived here, not copied from a numbered equation.
    """
    rows = np.arange(len(treatment))
    table = np.zeros(propensity.shape) if expected is None else np.array(expected, dtype=np.float64)
    table[rows, treatment] += (amount - table[rows, treatment]) / propensity[rows, treatment]
    return table
