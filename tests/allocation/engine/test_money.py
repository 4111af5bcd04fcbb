"""Exact sums: no float is lost, whatever its size, order or number."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.engine.money import exact_sum, exact_total
from allocation.engine.threads import PIECE

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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chosen_cells_across_pieces(dtype):
    """Two full pieces and three more users, 0.1 for arm 1 and nothing for arm 0: a multiple of one float."""
    n = 2 * PIECE + 3
    table = np.tile(np.array([[0, 0.1]], dtype=dtype), (n, 1))
    assert exact_total(table, np.ones(n, dtype=np.int64)) == n * Fraction(float(dtype(0.1)))


def test_nothing_sums_to_nothing():
    assert exact_sum(np.empty(0)) == 0
