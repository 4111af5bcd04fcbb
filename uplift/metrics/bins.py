"""Calibration: do users with a predicted effect of 2 gain 2?"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike

from uplift.errors import InputError, check_whole
from uplift.metrics.curve import Array, Curve, standard_error
from uplift.metrics.log import Ranked, choice, columns, like, ranked, vector

GAP, ECONML, ROBUST, CLASSICAL = "gap", "econml", "robust", "classical"


def calibration(
    effect: ArrayLike,
    value: ArrayLike | None = None,
    treatment: ArrayLike | None = None,
    *,
    propensity: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    bins: int = 10,
    normalisation: str = GAP,
    reference: ArrayLike | None = None,
) -> Curve:
    """Predicted against estimated effect in bins of the prediction; the area is their mean distance.

        area = sum_b (n_b / n) |D_b - mean prediction in b|

    D_b is the effect in bin b: difference of the (1 / propensity weighted) means, or mean score; y_se is its standard
    error (that of a difference of means with unequal variances, of a mean for scores). x is the mean prediction, y
    D_b, both in value units a user. Bins are cut at quantiles of the prediction, users of equal prediction stay
    together, empty bins are left out.

    effect : (n,) predicted effect of one treatment (of several: one at a time, on the users of that arm and of
    control). value, treatment, propensity, scores : as in `auuc`. bins : how many.
    reference : (m,), predictions whose quantiles cut the bins (such as those on the training data); default: effect.
    normalisation : "gap", as above, or "econml": `DRTester.evaluate_cal` (0.17) of `scores`: the calibration
    r-squared 1 - sum_b p_b |D_b - prediction_b| / sum_b p_b |D_b - mean score|. There a user on a cut counts in both
    bins, and users outside the range of the reference in none; both are kept. That peer's default is 4 bins.

    Returns a `Curve` with a closed-form standard error (delta method, cuts and signs of the gaps held fixed; for
    "econml" too, which states none). Misleads near 0: noise alone makes a positive gap, so a well calibrated model
    shows about the mean of |noise|, and the normal interval then misses; `calibration_slope` has no such bias.
    Raises InputError for a bin without treated or control users, fewer than 1 bin, and as `auuc` does.
    Source: "econml": its documentation, which names Dwivedi et al., arXiv 2008.10109; "gap": its first sum.

    >>> calibration([1.0, 1.0, 3.0, 3.0], [2, 1, 5, 1], [1, 0, 1, 0], bins=2).y.tolist()
    [1.0, 4.0]
    """
    choice(normalisation, (GAP, ECONML), "normalisation")
    check_whole(bins, "bins")
    log = _one_treatment(effect, value, treatment, propensity, scores)
    cut_by = log.score if reference is None else vector(reference, "reference")
    if normalisation == ECONML:
        if log.control is not None:
            raise InputError("econml's calibration is one of doubly robust scores; give scores=, or take 'gap'")
        return _econml(log, np.quantile(cut_by, np.linspace(0, 1, bins + 1)))
    log = log.centred()
    cuts = np.quantile(cut_by, np.linspace(0, 1, bins + 1)[1:-1])
    _, of_bin = np.unique(np.searchsorted(cuts, log.score, side="left"), return_inverse=True)
    count = np.bincount(of_bin)
    predicted = np.bincount(of_bin, log.score) / count
    n = len(log.score)
    estimated, deviation = np.zeros(len(count)), np.zeros(n)
    for sign, weight in ((1, log.treated), (-1, log.control)):
        if weight is None:
            continue
        total = np.bincount(of_bin, weight)
        if not (total > 0).all():
            side = "treated" if sign > 0 else "control"
            raise InputError(
                f"{int((total == 0).sum()):,} of {len(count)} bins have no {side} user; take fewer bins or more users"
            )
        mean = np.bincount(of_bin, weight * log.value) / total
        estimated += sign * mean
        deviation += sign * weight * (log.value - mean[of_bin]) * (count / total)[of_bin]
    y_se = np.sqrt(np.bincount(of_bin, deviation**2)) / count
    gap = predicted - estimated
    influence = np.sign(gap)[of_bin] * (log.score - predicted[of_bin] - deviation) + np.abs(gap)[of_bin]
    area = float(np.abs(gap) @ count / n)
    influence = influence - influence.mean()
    return Curve("calibration", GAP, predicted, estimated, area, standard_error(influence), influence, y_se)


def _econml(log: Ranked, cuts: Array) -> Curve:
    mean = float(log.value.mean())
    points, near, far = [], np.zeros(len(log.score)), np.zeros(len(log.score))
    gaps = np.zeros(2)
    for low, high in itertools.pairwise(cuts):
        inside = (log.score >= low) & (log.score <= high)
        count = int(inside.sum())
        if count == 0:
            raise InputError(f"no prediction lies in the bin {low:g} to {high:g} of the reference; take fewer bins")
        x, y, y_se = log.score[inside].mean(), log.value[inside].mean(), log.value[inside].std() / np.sqrt(count)
        points.append((x, y, y_se))
        gaps += count / len(log.score) * np.abs([y - x, y - mean])
        near += np.sign(y - x) * inside * (log.value - log.score)
        far += np.sign(y - mean) * (inside * (log.value - mean) - count / len(log.score) * (log.value - mean))
    if gaps[1] <= 1e-12 * np.abs(log.value).max():
        raise InputError("every bin has the mean effect, so no share of their spread is explained; take 'gap'")
    area = float(1 - gaps[0] / gaps[1])
    influence = -(near - near.mean() - (1 - area) * (far - far.mean())) / gaps[1]
    x, y, y_se = np.array(points).T
    return Curve("calibration", ECONML, x, y, area, standard_error(influence), influence, y_se)


def calibration_slope(
    effect: ArrayLike,
    value: ArrayLike | None = None,
    treatment: ArrayLike | None = None,
    *,
    propensity: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    normalisation: str = ROBUST,
) -> Curve:
    """Slope of the true effect along the predicted one: 1 when calibrated, 0 when the prediction knows nothing.

        value = a_arm + b_arm prediction  (1 / propensity weighted least squares in each arm);  area = b_1 - b_0
        with scores:  score = a + b prediction;  area = b

    The best linear predictor of the effect given its prediction. Below 1 the predictions are spread too wide. x is
    the smallest, mean and largest prediction, y the effect on the line there (value units), y_se its standard error.
    Arguments as in `calibration`. normalisation : "robust", the standard error allows any variance (HC1: influence
    function times sqrt(n / (n - 2)); what econml's `DRTester.evaluate_blp` (0.17) gives with several treatments), or
    "classical", which holds the variance constant (econml's with one treatment); for scores alone.

    Returns a `Curve`. Misleads where the relation bends: look at `calibration`. Raises InputError for a constant
    prediction (in an arm), and as `auuc` does.
    Source: econml's documentation, which names Chernozhukov et al., arXiv 1712.04802 (best linear predictor).

    >>> round(calibration_slope([1.0, 2.0, 1.0, 2.0], [1, 3, 0, 0], [1, 1, 0, 0]).area, 6)
    2.0
    """
    choice(normalisation, (ROBUST, CLASSICAL), "normalisation")
    log = _one_treatment(effect, value, treatment, propensity, scores).centred()
    if normalisation == CLASSICAL and log.control is not None:
        raise InputError("the classical standard error is that of one regression, of scores; give scores=")
    n = len(log.score)
    if n < 3:
        raise InputError(f"{n} users are too few for a slope and its standard error; at least 3 are expected")
    at = np.array([log.score.min(), log.score.mean(), log.score.max()])
    influence, along, y, slope = np.zeros(n), np.zeros((n, 3)), np.zeros(3), 0.0
    for sign, weight in ((1, log.treated), (-1, log.control)):
        if weight is None:
            continue
        w = weight / weight.mean()
        centre, level = float(np.mean(w * log.score)), float(np.mean(w * log.value))
        away = log.score - centre
        spread = float(np.mean(w * away**2))
        if not spread > 1e-24 * float(np.mean(w * log.score**2)):
            raise InputError(
                f"the prediction is the same ({centre:g}) for every {'treated' if sign > 0 else 'control'} user; "
                "a constant has no slope"
            )
        b = float(np.mean(w * away * log.value)) / spread
        residual = w * (log.value - level - b * away)
        part = residual * away / spread
        influence += sign * part
        along += sign * (residual[:, None] + part[:, None] * (at - centre))
        y += sign * (level + b * (at - centre))
        slope += sign * b
    if normalisation == ROBUST:
        scale = np.sqrt(n / (n - 2))
        se, y_se = scale * standard_error(influence), scale * np.sqrt(np.mean(along**2, axis=0) / n)
    else:
        variance = float(np.sum(residual**2)) / (n - 2)
        se = float(np.sqrt(variance / (n * spread)))
        y_se = np.sqrt(variance / n * (1 + (at - centre) ** 2 / spread))
    return Curve("calibration-slope", normalisation, at, y, slope, float(se), influence, y_se)


def _one_treatment(
    effect: ArrayLike,
    value: ArrayLike | None,
    treatment: ArrayLike | None,
    propensity: ArrayLike | None,
    scores: ArrayLike | None,
) -> Ranked:
    n, K = columns(effect, "effect").shape
    if K > 1:
        raise InputError(
            f"effect has {K} columns; calibration looks at one treatment at a time: give its column, with the users "
            "of that arm and of control"
        )
    if scores is not None:
        scores = like(scores, "scores", (n, 1))
    return ranked(effect, value, treatment, propensity, scores)
