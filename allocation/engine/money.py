"""Exact sums of floats: a budget that is "never exceeded" is compared without any rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 16


def float_above(amount: Fraction) -> float:
    """The smallest float that is no less than the amount."""
    nearest = float(amount)
    return nearest if Fraction(nearest) >= amount else math.nextafter(nearest, math.inf)


def amount_text(amount: float) -> str:
    """An amount of money with every digit it needs and thousands separators: 1,234.5, and 20 rather than 20.0."""
    return f"{amount:,}".removesuffix(".0")


def exact_sum(amounts: NDArray[np.float64]) -> Fraction:
    """The sum of the floats as an exact fraction.

    `math.fsum` rounds the exact sum once. Adding its negative and summing again gives what that rounding lost, and
    so on until nothing is left: two or three passes, each at the speed of C.
    """
    total = Fraction(0)
    for start in range(0, len(amounts), CHUNK):
        terms = amounts[start : start + CHUNK].tolist()
        while (part := math.fsum(terms)) != 0:
            total += Fraction(part)
            terms.append(-part)
    return total
