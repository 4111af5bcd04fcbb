"""Gradients of smoothed goals by brute force, in numpy, user by user: no code is shared with the estimators."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

BOUND = 0.3  # of the width, below which improved_fd's kernel is level


def gaussian(score, worth, width):
    """Independent Gaussian noise on every score."""
    return _additive(score, worth, width, ndtr, np.linspace(-8, 8, 401))


def gumbel(score, worth, width):
    """Independent Gumbel noise on every score."""
    return _additive(score, worth, width, lambda u: np.exp(-np.exp(-u)), np.linspace(-5, 30, 1001))


def uniform(score, worth, width):
    """One score at a time, changed by anything up to the width."""
    return _one_at_a_time(score, worth, width, np.arange(0.5, 4000) / 4000)


def near_first(score, worth, width):
    """One score at a time, changed with a density that is level up to .3 and then falls as 1 / change."""
    mass = 1 + math.log(1 / BOUND)
    quantile = np.arange(0.5, 4000) / 4000 * mass
    return _one_at_a_time(
        score, worth, width, BOUND * np.where(quantile <= 1, quantile, np.exp(np.maximum(quantile, 1) - 1))
    )


# Each estimator with its own smoothing, and the standard deviation of what it adds to the gap of two scores, a width.
SMOOTHING = {
    "softmax": (gumbel, math.pi / math.sqrt(3)),
    "nes": (gaussian, math.sqrt(2)),
    "finite_difference": (uniform, 1 / math.sqrt(3)),
    "improved_fd": (
        near_first,
        math.sqrt((BOUND**2 / 3 + (1 - BOUND**2) / 2) / (1 + math.log(1 / BOUND))),
    ),
}


def _additive(score, worth, width, cdf, u):
    """Central differences of sum_j W_j P(j is best), P by quadrature over the noise u of the best arm."""
    density, step = np.gradient(cdf(u), u), 1e-3 * width

    def _expected(s, w):
        total = 0.0
        for j in range(len(s)):
            wins = density.copy()
            for k in range(len(s)):
                if k != j:
                    wins *= cdf(u + (s[j] - s[k]) / width)
            total += w[j] * np.trapezoid(wins, u)
        return total

    result = np.zeros_like(score)
    for i, j in np.ndindex(score.shape):
        up, down = score[i].copy(), score[i].copy()
        up[j] += step
        down[j] -= step
        result[i, j] = (_expected(up, worth[i]) - _expected(down, worth[i])) / (2 * step)
    return result / len(score)


def _one_at_a_time(score, worth, width, change):
    """Partial derivatives of the mean over changes of one score, by argmax; centred over the arms that take part.

    The derivatives smooth each along its own score, so that a user's need not sum to 0 as a gradient's do; the arms
    that take part are the decided one and those that some change makes best.
    """
    change = np.concatenate([-change[::-1], change]) * width
    step = 0.02 * width
    result = np.zeros_like(score)
    for i in range(len(score)):
        takes_part = np.zeros(score.shape[1], dtype=bool)
        takes_part[np.argmax(score[i])] = True
        for j in range(score.shape[1]):

            def _decided(shift, i=i, j=j):
                tries = np.repeat(score[i][None], len(change), axis=0)
                tries[:, j] += change + shift
                return tries.argmax(axis=1)

            result[i, j] = (worth[i][_decided(step)].mean() - worth[i][_decided(-step)].mean()) / (2 * step)
            takes_part[j] |= bool((_decided(0.0) == j).any())
        result[i, takes_part] -= result[i].sum() / takes_part.sum()
    return result / len(score)


def plain_differences(score, worth, width):
    """Central differences with step `width` by deciding anew, centred over the arms that take part."""
    result = np.zeros(score.shape)
    for i in range(len(score)):
        best = int(np.argmax(score[i]))
        takes_part = {best}
        for j in range(score.shape[1]):
            step = width * np.eye(score.shape[1])[j]
            up, down = int(np.argmax(score[i] + step)), int(np.argmax(score[i] - step))
            result[i, j] = (worth[i, up] - worth[i, down]) / (2 * width)
            takes_part |= {up}
        result[i, list(takes_part)] -= result[i].sum() / len(takes_part)
    return result / len(score)


def cosine(a, b):
    """Of the two tables, as vectors."""
    return float((a * b).sum() / math.sqrt((a**2).sum() * (b**2).sum()))
