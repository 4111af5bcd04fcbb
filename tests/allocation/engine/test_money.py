"""Exact sums: no float is lost, whatever its size, order or number."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from allocation.engine.money import CHUNK, exact_sum

amounts = st.lists(st.floats(-1e300, 1e300), max_size=30)


@given(amounts)
def test_equals_the_sum_of_fractions(cells):
    assert exact_sum(np.array(cells, dtype=float)) == sum(map(Fraction, cells), Fraction(0))


@given(amounts)
def test_a_sum_and_its_negative_cancel(cells):
    assert exact_sum(np.array(cells + [-x for x in cells], dtype=float)) == 0


def test_ten_dimes_are_more_than_one():
    """The float 0.1 is 0.1000000000000000055..., and ten of them are 1 + 2^-54, which a float sum calls 1."""
    assert exact_sum(np.full(10, 0.1)) == 1 + Fraction(1, 2**54)


def test_what_one_large_amount_would_swallow_is_kept():
    """1e300 and the smallest float there is differ by 624 orders of magnitude."""
    tiny = 5e-324
    assert exact_sum(np.array([1e300, tiny, -1e300, tiny])) == 2 * Fraction(tiny)


def test_sums_across_chunks():
    """Two full chunks and three more, each cell 0.1: a multiple of one float."""
    n = 2 * CHUNK + 3
    assert exact_sum(np.full(n, 0.1)) == n * Fraction(0.1)


def test_nothing_sums_to_nothing():
    assert exact_sum(np.empty(0)) == 0
