"""Every cell's value and spend on the held-out users under one estimator, with how they vary together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.threads import pieces
from allocation.evaluation.bootstrap import resampled_sums
from allocation.evaluation.influence import added_up, small_sample
from allocation.evaluation.scores import SPEND, VALUE, WEIGHT, table_of
from uplift.campaign import Campaign

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Tables = dict[tuple[str, str], Array]


@dataclass(frozen=True, eq=False)
class Totals:
    """Totals over the held-out users, a cell each: `point` (m,), their `covariance` (m, m) by influence functions,
    and `draws` (R, m) of the bootstrap or None; NaN where no user matches."""

    point: Array
    covariance: Array
    draws: Array | None

    @classmethod
    def unknown(cls, m: int) -> Totals:
        """Of an amount that the log does not have."""
        return cls(np.full(m, np.nan), np.full((m, m), np.nan), None)


@dataclass(frozen=True, eq=False)
class Verified:
    """Value and spend of m cells under one estimator; `bias_bound` (m,) of the value's total."""

    estimator: str
    value: Totals
    spend: Totals
    bias_bound: Array

    def scaled(self, factor: float) -> Verified:
        """The same estimates for so many times the users; draws are left out."""
        value, spend = (
            Totals(one.point * factor, one.covariance * factor**2, None) for one in (self.value, self.spend)
        )
        return Verified(self.estimator, value, spend, self.bias_bound * factor)

    @classmethod
    def average(cls, splits: Sequence[Verified]) -> Verified:
        """Means over splits of the same log. The covariance is averaged and not divided by their number.

        The splits share users, so that their estimates are not independent in a way that could be known; whatever it
        is, the variance of a mean (and of a mean difference) is at most the mean of the variances.
        """

        def _mean(totals: Sequence[Totals]) -> Totals:
            points, covariances = [one.point for one in totals], [one.covariance for one in totals]
            return Totals(np.mean(points, axis=0), np.mean(covariances, axis=0), None)

        return cls(
            splits[0].estimator,
            _mean([one.value for one in splits]),
            _mean([one.spend for one in splits]),
            np.mean([one.bias_bound for one in splits], axis=0),
        )


def verify(
    estimators: Sequence[str],
    tables: Tables,
    decision: NDArray[np.integer],
    held_out: Campaign,
    bounds: dict[str, Array],
    cluster: Codes | None,
    resamples: tuple[Tables, Array] | None,
) -> list[Verified]:
    """One `Verified` an estimator; `resamples` as `resample` gives them, None for no bootstrap."""
    m, n = decision.shape
    found = []
    for estimator in estimators:
        totals = {}
        for amount in (VALUE, SPEND):
            phi = tables.get((table_of(estimator), amount))
            if phi is None:
                totals[amount] = Totals.unknown(m)
                continue
            omega = tables[WEIGHT, WEIGHT] if estimator == "sn" else None
            draws = None
            if resamples is not None:
                sums, size = resamples
                below = sums[WEIGHT, WEIGHT] if estimator == "sn" else size[:, None]
                with np.errstate(invalid="ignore", divide="ignore"):
                    draws = n * sums[table_of(estimator), amount] / below
            totals[amount] = Totals(*_points(phi, omega, decision, cluster), draws)
        found.append(Verified(estimator, totals[VALUE], totals[SPEND], bounds[estimator] * n))
    return found


def resample(
    tables: Tables,
    decision: NDArray[np.integer],
    n_policies: int,
    n_bootstrap: int,
    seed: int | np.random.Generator,
    cluster: Codes | None,
) -> tuple[Tables, Array]:
    """Sums of each table's chosen cells (R, m) in every resample, and the users drawn (R,)."""
    stacked = np.stack(list(tables.values()))
    sums, size = resampled_sums(stacked, decision, n_policies, n_bootstrap, seed, cluster)
    return {key: sums[:, q] for q, key in enumerate(tables)}, size


def _points(
    phi: Array, omega: Array | None, decision: NDArray[np.integer], cluster: Codes | None
) -> tuple[Array, Array]:
    """Totals n sum phi / sum omega of each decision's cells, (m,), and their covariance, (m, m), users in pieces."""
    m, n = decision.shape
    above, below = np.zeros(m), np.full(m, float(n))
    for first, end in pieces(n):
        above += _chosen(phi, decision, first, end).sum(axis=1)
    if omega is not None:
        below = np.sum([_chosen(omega, decision, *at).sum(axis=1) for at in pieces(n)], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, weight = above / below, n / below
    groups = n if cluster is None else int(cluster.max()) + 1
    by_group, covariance = np.zeros((m, 0 if cluster is None else groups)), np.zeros((m, m))
    for first, end in pieces(n):
        share = mean[:, None] if omega is None else mean[:, None] * _chosen(omega, decision, first, end)
        with np.errstate(invalid="ignore"):
            psi = (_chosen(phi, decision, first, end) - share) * weight[:, None]
        if cluster is None:
            covariance += psi @ psi.T
        else:
            by_piece = added_up(psi, cluster[first:end])
            by_group[:, : by_piece.shape[1]] += by_piece
    if cluster is not None:
        covariance = by_group @ by_group.T
    return n * mean, covariance * small_sample(groups)


def _chosen(table: Array, decision: NDArray[np.integer], first: int, end: int) -> Array:
    """The cells that each decision picks for users first, ..., end - 1: (m, end - first)."""
    return np.asarray(table[np.arange(first, end), decision[:, first:end]])
