"""Exact sums of floats: a budget that is "never exceeded" is compared without any rounding."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.tables import read_only

WORDS = 68  # of 32 bits each: from the smallest float, 2^-1074, to the largest, 2^1024, and one to carry


def float_above(amount: Fraction) -> float:
    """The smallest float that is no less than the amount."""
    nearest = float(amount)
    return nearest if Fraction(nearest) >= amount else math.nextafter(nearest, math.inf)


def float_below(amount: Fraction) -> float:
    """The largest float that is no more than the amount."""
    nearest = float(amount)
    return nearest if Fraction(nearest) <= amount else math.nextafter(nearest, -math.inf)


def amount_text(amount: float) -> str:
    """An amount of money with every digit it needs and thousands separators: 1,234.5, and 20 rather than 20.0."""
    return f"{amount:,}".removesuffix(".0")


def exact_sum(amounts: NDArray[np.float64]) -> Fraction:
    """The sum of the floats (s,) as an exact fraction."""
    return register_total(register_of(amounts))


def register_of(amounts: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """The sum of the floats (s,) as a register."""
    register = new_register()
    _add_all(register, np.ascontiguousarray(amounts, dtype=np.float64))
    return register


def exact_total(table: NDArray[np.floating[Any]], decision: NDArray[np.int64]) -> Fraction:
    """The sum of the chosen cells of a table (n, K+1), exactly."""
    table = read_only(table)

    def piece(at: tuple[int, int]) -> NDArray[np.int64]:
        """The register of one piece of the users."""
        register = new_register()
        _add_chosen(register, table[at[0] : at[1]], decision[at[0] : at[1]])
        return register

    return register_total(sum(threads.run(piece, threads.pieces(len(decision))), new_register()))


def new_register() -> NDArray[np.int64]:
    """An exact sum of no floats: a fixed-point number in words of 32 bits that covers every float.

    Registers add as arrays, in any order and grouping, to the same total; each word has room for 2^31 summands.
    Source: the long accumulator of U. Kulisch and W. L. Miranker 1981 (the idea; not quoted).
    """
    return np.zeros(WORDS, dtype=np.int64)


def register_total(register: NDArray[np.int64]) -> Fraction:
    """What a register has summed, as an exact fraction."""
    whole = sum(int(register[k]) << (32 * int(k)) for k in np.flatnonzero(register))
    return Fraction(whole, 1 << 1075)


def carried(register: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same sum with every word but the last below 2^32, so that 2^31 such registers can be added."""
    words = register.tolist()
    for k in range(len(words) - 1):
        words[k + 1] += words[k] >> 32
        words[k] &= 0xFFFFFFFF
    return np.array(words, dtype=np.int64)


@njit(nogil=True, cache=True, inline="always")
def add(register: Any, amount: Any) -> None:
    """Add one finite float to a register, exactly."""
    bits = np.float64(amount).view(np.int64)
    exponent: Any = (bits >> 52) & 0x7FF
    digits = bits & 0xFFFFFFFFFFFFF
    if exponent:
        digits |= 1 << 52
    else:
        exponent = 1
    word, shift = exponent >> 5, exponent & 31
    low = (digits & 0xFFFFFFFF) << shift
    high = (digits >> 32) << shift
    if bits < 0:
        register[word] -= low & 0xFFFFFFFF
        register[word + 1] -= (low >> 32) + (high & 0xFFFFFFFF)
        register[word + 2] -= high >> 32
    else:
        register[word] += low & 0xFFFFFFFF
        register[word + 1] += (low >> 32) + (high & 0xFFFFFFFF)
        register[word + 2] += high >> 32


@njit(nogil=True, cache=True)
def _add_all(register: Any, amounts: Any) -> None:
    for k in range(len(amounts)):
        add(register, amounts[k])


@njit(nogil=True, cache=True)
def _add_chosen(register: Any, table: Any, decision: Any) -> None:
    for i in range(len(decision)):
        add(register, table[i, decision[i]])
