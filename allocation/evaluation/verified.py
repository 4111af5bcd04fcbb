"""Every cell's value and spend on the held-out users under one estimator, with how they vary together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.threads import pieces
from allocation.evaluation.bootstrap import resampled_sums
from allocation.evaluation.influence import small_sample
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
    """Value and spend of m cells under one estimator, and how far trimming may bias each, (m,)."""

    estimator: str
    value: Totals
    spend: Totals
    value_bound: Array
    spend_bound: Array

    def scaled(self, factor: float) -> Verified:
        """The same estimates for so many times the users; draws are left out."""
        value, spend = (
            Totals(one.point * factor, one.covariance * factor**2, None) for one in (self.value, self.spend)
        )
        return Verified(self.estimator, value, spend, self.value_bound * factor, self.spend_bound * factor)

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
            np.mean([one.value_bound for one in splits], axis=0),
            np.mean([one.spend_bound for one in splits], axis=0),
        )


def verify(
    estimators: Sequence[str],
    tables: Tables,
    decision: NDArray[np.integer],
    held_out: Campaign,
    bounds: Tables,
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
        both = bounds[estimator, VALUE], bounds[estimator, SPEND]
        found.append(Verified(estimator, totals[VALUE], totals[SPEND], *both))
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
    starts = np.arange(n)
    if cluster is not None:
        order = np.argsort(cluster, kind="stable")
        starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
        phi, omega, decision = phi[order], None if omega is None else omega[order], decision[:, order]
    above, below = np.zeros(m), np.full(m, float(n))
    for first, end in pieces(n):
        above += _chosen(phi, decision, first, end).sum(axis=1)
    if omega is not None:
        below = np.sum([_chosen(omega, decision, first, end).sum(axis=1) for first, end in pieces(n)], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, weight = above / below, n / below
    covariance = np.zeros((m, m))
    for begin in _aligned(starts, n):
        first, end = int(begin[0]), int(begin[-1])
        share = mean[:, None] if omega is None else mean[:, None] * _chosen(omega, decision, first, end)
        with np.errstate(invalid="ignore"):
            psi = (_chosen(phi, decision, first, end) - share) * weight[:, None]
        groups = psi if cluster is None else np.add.reduceat(psi, begin[:-1] - begin[0], axis=1)
        covariance += groups @ groups.T
    return n * mean, covariance * small_sample(len(starts))


def _aligned(starts: NDArray[np.int64], n: int) -> Iterator[NDArray[np.int64]]:
    """Where the clusters of each piece begin, and where the piece ends; no cluster is torn."""
    cuts = np.unique(np.searchsorted(starts, [first for first, _ in pieces(n)]))
    cuts = cuts[cuts < len(starts)]
    ends = np.append(starts, n)
    for first, last in zip(cuts, [*cuts[1:], len(starts)], strict=True):
        yield ends[first : last + 1]


def _chosen(table: Array, decision: NDArray[np.integer], first: int, end: int) -> Array:
    """The cells that each decision picks for users first, ..., end - 1: (m, end - first)."""
    part = table[first:end]
    return np.asarray(part.ravel().take(np.arange(len(part)) * part.shape[1] + decision[:, first:end]))
