"""Chances of arm counts: how far the numbers logged with each arm lie from those expected, by user or cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENOUGH_CLUSTERS = 10  # expected of an arm; with 5 sound logs are refused up to three times as often as said


def tails(
    rare: list[int], treatment: NDArray[np.int64], p: NDArray[np.float64], code: NDArray[np.int64]
) -> dict[int, float]:
    """The Poisson chance of each rare arm's number of clusters; none where a cluster has two arms."""
    N, P = by_cluster(np.eye(p.shape[1])[treatment], code), by_cluster(p, code)
    m = N.sum(axis=1)
    if not rare or (N.max(axis=1) != m).any():
        return {}
    return {j: _poisson_chance(int((N[:, j] > 0).sum()), float((P[:, j] / m).sum())) for j in rare}


def _poisson_chance(count: int, expected: float) -> float:
    """Of a count as far on its side of the expected one, or as unlikely on the other."""
    from scipy.stats import poisson  # a second to load, which no one waits for who checks no shares

    return min(1.0, 2 * float(min(poisson.cdf(count, expected), poisson.sf(count - 1, expected))))


def by_cluster(table: NDArray[np.float64], code: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over the users (n, columns) of each cluster, (G, columns)."""
    sums = np.column_stack([np.bincount(code, column) for column in table.T])
    return np.asarray(sums[np.bincount(code) > 0])


def counted_together(P: NDArray[np.float64]) -> list[list[int]]:
    """Arms in groups that each expect enough clusters, from the users expected by cluster and arm (G, K+1)."""
    users, squares = P.sum(axis=0), P.sum(axis=1) @ P
    groups = [[j] for j in range(P.shape[1])]
    while len(groups) > 1:
        clusters = [users[group].sum() ** 2 / squares[group].sum() for group in groups]
        rarest, next_rarest = np.argsort(clusters, kind="stable")[:2]
        if clusters[rarest] >= ENOUGH_CLUSTERS:
            break
        merged = sorted(groups[rarest] + groups[next_rarest])
        groups = [group for k, group in enumerate(groups) if k not in (rarest, next_rarest)] + [merged]
    return groups


def chance_of_counts(got: NDArray[np.float64], p: NDArray[np.float64], code: NDArray[np.int64]) -> float:
    """The chance of counts that differ as much from those expected; arms received (0 or 1) and p are (n, groups)."""
    N, P = by_cluster(got, code), by_cluster(p, code)
    G, users, off = len(N), N.sum(axis=1), (N - P).sum(axis=0)
    if (N.max(axis=1) == users).all():
        return _chi_square(off, np.diag(users @ P) - P.T @ P)
    statistic, rank = _statistic(off, (N - P).T @ (N - P))
    if rank >= G:
        return 1.0
    from scipy.stats import beta

    mixed = float(beta.sf(statistic / G, rank / 2, (G - rank) / 2))
    return max(mixed, _chi_square(off, np.diag(p.sum(axis=0)) - p.T @ p))


def _chi_square(off: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    from scipy.stats import chi2

    statistic, rank = _statistic(off, spread)
    return float(chi2.sf(statistic, rank)) if rank else 1.0


def _statistic(off: NDArray[np.float64], spread: NDArray[np.float64]) -> tuple[float, int]:
    """off' spread^+ off and the rank of spread, the last group left out: its count follows from the others'."""
    solved, _, rank, _ = np.linalg.lstsq(spread[:-1, :-1], off[:-1], rcond=1e-12)
    return float(off[:-1] @ solved), int(rank)
