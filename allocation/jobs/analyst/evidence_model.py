"""Checks of the model's predictions on held-out users: are effects as large as predicted, and in that order?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from allocation.evaluation.outcomes import Outcomes
from allocation.evaluation.scores import VALUE, score_tables
from allocation.jobs.analyst.certainty import Z95
from allocation.jobs.analyst.evidence_log import Floats, floats
from allocation.jobs.summary import HEADLINE
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.metrics import calibration, calibration_slope, qini
from uplift.metrics.log import ranked
from uplift.metrics.ranking import rank
from uplift.seeds import stream

Array = NDArray[np.float64]
BINS, IN_A_BIN = 10, 100  # bins of a calibration, and the fewest users in one
POINTS = 100  # of a curve that is kept to be drawn


@dataclass(frozen=True)
class Calibration:
    """Predicted and verified effect of one arm on held-out users; value units a user.

    slope, error : of the verified along the predicted effect, NaN where `note` says why. predicted, verified,
    verified_error : by bin of the prediction.
    """

    arm: str
    slope: float
    error: float
    predicted: Floats
    verified: Floats
    verified_error: Floats
    note: str = ""

    @property
    def against_one(self) -> float:
        """p-value of a slope as far from 1."""
        return _two_sided((self.slope - 1) / self.error)

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the slope."""
        return self.slope - Z95 * self.error, self.slope + Z95 * self.error


@dataclass(frozen=True)
class Ranking:
    """What is gained by treating the users of the largest predicted effect first, each with the best arm predicted.

    share : of the users treated, 0 to 1. gain, error : value units a user of all, above nobody treated; at points
    that are kept to be drawn. area, area_error : Qini, the area above the straight line of a random order, of all
    users. chance : p-value of an order no better than random; of a placebo, that its curve is off zero by chance.
    """

    share: Floats
    gain: Floats
    error: Floats
    area: float
    area_error: float
    chance: float

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the area."""
        return self.area - Z95 * self.area_error, self.area + Z95 * self.area_error


def calibrations(effect: Array, score: Array, arms: tuple[str, ...]) -> tuple[Calibration, ...]:
    """`metrics.calibration` and its slope for each treatment; effects and their unbiased scores are (n, K)."""
    bins = max(2, min(BINS, len(effect) // IN_A_BIN))
    found = []
    for j, arm in enumerate(arms[1:]):
        own, estimated = effect[:, j], score[:, j]
        try:
            curve = calibration(own, scores=estimated, bins=bins)
            slope = calibration_slope(own, scores=estimated)
        except InputError as error:
            found.append(Calibration(arm, math.nan, math.nan, (), (), (), str(error)))
            continue
        assert curve.y_se is not None
        bars = (floats(curve.x), floats(curve.y), floats(curve.y_se))
        found.append(Calibration(arm, slope.area, slope.se, *bars))
    return tuple(found)


def ranking(effect: Array, score: Array) -> Ranking:
    """The gain curve of `metrics.qini`, whose area it has, with a standard error at each point.

        y(q) = (1 / n) sum_{i among the first q} s_i,    se^2 = (mean over n of 1[i among the first] s_i^2 - y^2) / n

    with s the score (n, K) of the user's arm of the largest predicted effect (n, K), for users drawn anew and treated
    where the prediction is above that of the point. Up to POINTS points are kept.
    """
    curve = qini(effect, scores=score)
    log = ranked(effect, None, None, None, score)
    order, n = rank(log), len(effect)
    squares = np.concatenate([[0.0], np.cumsum(log.value[order.order] ** 2)[order.last] / n])
    error = np.sqrt(np.maximum(squares - curve.y**2, 0.0) / n)
    kept = np.unique(np.searchsorted(curve.x, np.linspace(0, 1, POINTS + 1)).clip(0, len(curve.x) - 1))
    points = (floats(curve.x[kept]), floats(curve.y[kept]), floats(error[kept]))
    return Ranking(*points, curve.area, curve.se, _two_sided(curve.area / curve.se if curve.se > 0 else 0.0))


def dealt(held_out: Campaign, seed: int) -> Campaign:
    """The log with its arms dealt out anew among the users, so that no arm has an effect on value.

    Propensities are the arms' shares, which the new arms obey; costs are left out.
    """
    treatment = stream(seed, "placebo ranking").permutation(held_out.treatment)
    share = np.bincount(treatment, minlength=len(held_out.arms)) / len(treatment)
    shares = np.broadcast_to(share, (len(treatment), len(share)))
    return replace(held_out, treatment=treatment, propensity=shares, cost=None)


def placebo(effect: Array, log: Campaign, outcomes: Outcomes) -> Ranking:
    """The curve of `ranking` on a log that was `dealt` out anew; `outcomes` may stay those of the log as it was.

    Whatever these models are, they do not know the new arms, so that 0 is true everywhere. The chance
    is that of its area or its end, twice the smaller (Bonferroni).
    """
    score = score_tables(log, [HEADLINE], outcomes, math.inf)[HEADLINE, VALUE]
    found = ranking(effect, score[:, 1:] - score[:, :1])
    end = _two_sided(found.gain[-1] / found.error[-1]) if found.error[-1] > 0 else 1.0
    return replace(found, chance=min(1.0, 2 * min(found.chance, end)))


def _two_sided(z: float) -> float:
    return 2 * float(ndtr(-abs(z)))
