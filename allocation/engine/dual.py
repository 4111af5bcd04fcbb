"""The least of the dual: the prices of many limits, by Newton's method on a softened dual that is slowly sharpened.

Where every user chooses softly, with shares proportional to exp(score / heat), the dual is smooth and bends
everywhere; Newton's method finds its least point in a few passes. Each next heat is a third or a quarter of the last.
Source: smoothing by entropy, Y. Nesterov 2005, Smooth minimization of non-smooth functions (the idea; not quoted).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from allocation.engine import threads
from allocation.engine.newton import Units, curvature, step
from allocation.engine.rows import Floats
from allocation.engine.scores import USERS, VALUE, DualFunction, Scores

SAMPLE = 5000  # users of the sample that the first prices come from, and
KNOWN = 20  # of them in a row, or else it is left out there
FIRST = 256  # by this the heat of the sample falls, and all users start there
TINY = 1e-150  # amounts of which squares and quotients are still floats
LAST_HEAT = 1e-4  # in typical ranges of a user's values, for
MANY = 10_000  # users or more; for fewer, among whom gaps are wider, as much lower, down to a hundredth
LEAST_HEAT = 1e-7
SHARP = 30.0  # typical amounts by which the sharp choice may be off; more than that, and the heat falls further
STEPS = 60  # at one heat
REACH = 8.0  # heats by which a price may move in a step, before it has proved itself

Bend = Callable[[Any, Any, Floats, Units, float], Floats]  # what `curvature` finds, and how


@dataclass(frozen=True, eq=False)
class Dual:
    """Where the dual was least.

    prices : (m,) value units per unit of each row's measure, as `Scores.snapped`. survey : the sharp choice there.
    value : the dual in floats, value units. heat : the last one, value units. units : the scales.
    impossible : the dual fell below the value of the worst decision, so no decision, not even a split one, holds all.
    """

    prices: Floats
    survey: Any
    value: float
    heat: float
    units: Units
    impossible: bool


def minimise(scores: Scores) -> Dual:
    """The prices at which the dual is least, starting on a sample where there are many users."""
    units = units_of(scores)
    prices, heat = np.zeros(len(scores.rows)), units.value
    if scores.n > 4 * SAMPLE:
        rough = cool(_sample(scores), prices, units, heat, heat / FIRST, -math.inf)
        if np.abs(rough / units.price).max(initial=0.0) < 100:
            prices, heat = rough, heat / FIRST
    worst = _worst(scores) - 1e-9 * units.value * scores.n - 1e-12 * scores.absolute[VALUE]
    last = LAST_HEAT * units.value * min(max(scores.n / MANY, 0.01), 1.0)
    lowest, at = math.inf, prices
    while True:
        prices = cool(scores, prices, units, heat, last, worst)
        found = sharp(scores, prices, units, last, worst)
        if found.value <= lowest:
            lowest, at = found.value, prices
        close = off(scores, found.prices, found.survey.usage, units) < SHARP + 1e-5 * scores.n
        if close or found.impossible or last < LEAST_HEAT * units.value:
            return found if at is prices else sharp(scores, at, units, last, worst)
        del found  # a survey is as large as the groups and the decision together
        heat = last = last / 4


def units_of(scores: Scores) -> Units:
    """Typical range and prices, from 10,000 users at even distances; amounts below TINY count as that much.

    So every scale, and every quotient of two, is well within the range of floats, however small the amounts are.
    """
    some = np.linspace(0, scores.n - 1, min(scores.n, 10_000)).astype(np.int64)
    value = scores.values(some)
    least = np.where(np.isinf(value), np.inf, value).min(axis=1)
    scale = float((value.max(axis=1) - least).mean()) if len(some) else 0.0
    scale = max(scale, TINY) if scale else 1.0
    price = np.full(len(scores.rows), scale)
    for q in range(USERS + 1, len(scores.tables)):
        at = scores.measure == q
        if at.any():
            size = float(np.abs(scores.tables[q][some].astype(np.float64, order="C")).mean()) if len(some) else 0.0
            size = size or float(np.abs(scores.tables[q]).max(initial=0.0))
            price[at] = scale / (max(size, TINY) if size else 1.0)
    return Units(scale, price)


def off(scores: DualFunction, prices: Floats, usage: Floats, units: Units) -> float:
    """How far the use of some row is from what its price asks for, in typical amounts: about as many users."""
    over, under = usage - scores.high, scores.low - usage
    free = np.maximum(np.maximum(over, under), 0)
    wrong = np.where(prices > 0, np.abs(over), np.where(prices < 0, np.abs(under), free))
    return float((wrong * units.price).max(initial=0.0)) / units.value


def cool(
    scores: DualFunction,
    prices: Floats,
    units: Units,
    heat: float,
    last: float,
    worst: float,
    bend_of: Bend = curvature,
) -> Floats:
    """Prices of the least softened dual at the last heat; each heat starts where the one before ended."""
    n = scores.n
    cooler, rough = (3, 1e-2 * n * n / SAMPLE) if n <= SAMPLE else (4, 1e-2 * n)
    while True:
        close = 0.02 + (min(1e-4 * n, 10 + 1e-5 * n) if heat <= last else rough)
        prices, value = _newton(scores, prices, units, heat, close, worst, bend_of)
        if heat <= last or value < worst:
            return prices
        heat = max(heat / cooler, last)


def _newton(
    scores: DualFunction, prices: Floats, units: Units, heat: float, close: float, worst: float, bend_of: Bend
) -> tuple[Floats, float]:
    """Newton's method at one heat, until every row is within `close` typical amounts of what its price asks for."""

    def look(at: Floats) -> tuple[Any, float]:
        """The soft choice and the softened dual at some prices."""
        survey = scores.survey(at, heat=heat)
        return survey, survey.total + math.fsum(scores.support(at))

    reach = REACH
    survey: Any
    survey, value = look(prices)
    for _ in range(STEPS):
        if survey is not None:
            if value < worst or off(scores, prices, survey.usage, units) <= close:
                break
            bend, usage = bend_of(scores, survey, prices, units, heat), survey.usage
            survey = None
        least = 1e-9 * float(np.trace(bend)) / len(prices) + 1e-12 * units.value
        radius = reach * heat / units.value
        x = prices / units.price
        bounds = scores.low * units.price, scores.high * units.price
        to = step(bend, usage * units.price, x, *bounds, radius, least)
        d, tried = to - x, to * units.price
        fall = float((usage * units.price) @ d) - math.fsum(scores.support(tried) - scores.support(prices))
        if not fall > 1e-15 * abs(value):
            break
        there, new = look(tried)
        ratio = (value - new) / (fall - 0.5 * float(d @ bend @ d))
        size = float(np.abs(d).max())
        if ratio > 0.05:
            prices, value, survey = tried, new, there
            reach *= 0.5 if ratio < 0.3 else 3 if size > 0.99 * radius and ratio > 0.7 else 1
        else:
            reach = 0.3 * min(reach, size * units.value / heat)
            if reach < REACH / 1000:
                break
    return prices, value


def sharp(scores: DualFunction, prices: Floats, units: Units, heat: float, worst: float) -> Dual:
    """The dual at some prices, those of nearly 0 at 0, where every user chooses sharply."""
    prices = scores.snapped(np.where(np.abs(prices) < 1e-12 * units.price, 0.0, prices))
    survey = scores.survey(prices)
    value = survey.total + math.fsum(scores.support(prices))
    return Dual(prices, survey, value, heat, units, value < worst)


def _sample(scores: Scores) -> Scores:
    """One user at random of each of SAMPLE stretches, with bounds for as many of each row's users as are in it."""
    edges = np.linspace(0, scores.n, SAMPLE + 1)
    users = (edges[:-1] + np.random.default_rng(0).random(SAMPLE) * np.diff(edges)).astype(np.int64)
    of_all, of_some = scores.sizes(), scores.members(users).sum(axis=0)
    share = of_some / np.maximum(of_all, 1)
    low = np.where(of_some >= KNOWN, scores.low * share, -np.inf)
    return scores.of(users, low, np.where(of_some >= KNOWN, scores.high * share, np.inf))


def _worst(scores: Scores) -> float:
    """The value of the worst decision, in floats."""
    table = scores.tables[VALUE]

    def piece(at: tuple[int, int]) -> float:
        """Of the users of one piece."""
        value = table[at[0] : at[1]]
        if scores.eligible is not None:
            value = np.where(scores.eligible[at[0] : at[1]], value, np.inf)
        return float(value.min(axis=1).sum(dtype=np.float64))

    return math.fsum(threads.run(piece, threads.pieces(scores.n)))
