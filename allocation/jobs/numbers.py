"""Numbers as text: how many digits, estimates with their intervals, amounts with their units."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """An estimate and its interval as text; the interval is empty where there is none."""

    estimate: str
    interval: str = ""

    def __str__(self) -> str:
        return f"{self.estimate} {self.interval}".strip()


WIDEST = 1e15  # amounts from here on fill the line, and have more digits than a float holds


def decimals(scale: float) -> int:
    """Decimal places that show at least three digits of an amount of this size, of either sign.

    -1, scientific notation, below 1e-4 and from WIDEST on; 2 where there is no size: zero, infinite, missing.
    """
    if not scale or not math.isfinite(scale):
        return 2
    if abs(scale) >= WIDEST:
        return -1
    places = max(0, 2 - math.floor(math.log10(abs(scale))))
    return places if places <= 6 else -1


def two_digits(scale: float) -> int:
    """Decimal places that show at least two digits of an amount; -1, scientific notation, as `decimals`."""
    places = decimals(scale)
    return max(places - 1, min(places, 0))


def distinct_places(amounts: Iterable[float]) -> int:
    """Decimal places that show three digits of the largest amount, and enough to tell the amounts apart."""
    distinct = {x for x in amounts if not math.isnan(x)}
    places = decimals(max((abs(x) for x in distinct if math.isfinite(x)), default=0.0))
    while 0 <= places < 6 and len({number(x, places) for x in distinct}) < len(distinct):
        places += 1
    return places


def number(x: float, places: int, sign: bool = False) -> str:
    """A number with thousands separators; a dash where there is none, no minus before a zero."""
    if math.isnan(x):
        return "–"
    if places < 0:
        return f"{x:{'+' if sign else ''}.2e}" if x else "0"
    x = round(x, places) + 0.0 if math.isfinite(x) else x
    return f"{x:{'+' if sign else ''},.{places}f}"


def with_interval(x: float, low: float, high: float, places: int, sign: bool = False) -> Cell:
    """The estimate with its interval; so many digits that no end of the interval is rounded to a false zero."""
    dust = 10.0 ** -(places + 4)  # what rounding leaves of a true zero
    wanted = places
    while 0 <= places < wanted + 3 and any(dust < abs(end) < 0.5 * 10**-places for end in (low, high)):
        places += 1
    return Cell(number(x, places, sign), f"[{number(low, places, sign)}, {number(high, places, sign)}]")


def amount(x: float, unit: str) -> str:
    """A total with its unit, at least two decimals where it is small."""
    return f"{number(x, max(decimals(x), 2) if decimals(x) >= 0 else -1)} {unit}".strip()
