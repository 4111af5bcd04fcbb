"""What comes home from the chunks stays small, however small the chunks are; exact sums survive billions of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from allocation.engine.money import carried, new_register, register_of, register_total
from allocation.engine.stream import budget as stream_budget
from allocation.engine.stream.budget import solve_budget_in_chunks
from tests.allocation.engine.stream.chunked import HeldChunks
from tests.strategies import random_problem


class Counted(HeldChunks):
    """Chunks that note how many users' rows each pass brought home."""

    def each(self, work, what=""):
        parts = super().each(work, what)
        home = sum(len(part[name]) for part in parts for name in ("place", "spare place") if name in part)
        self.home.append(home)
        return parts


@pytest.mark.parametrize("size", [50, 400, 20_000])
def test_users_who_come_home_are_few_in_all(size, monkeypatch):
    """First a sample; then a thirtieth of the users at most as spare ones, and those who are open at the price."""
    monkeypatch.setattr(stream_budget, "SPARE", 600)
    chunks = Counted(random_problem(np.random.default_rng(3), 20_000, 4, "generic"), size)
    object.__setattr__(chunks, "home", [])
    solve_budget_in_chunks(chunks, chunks.problem.budget)
    sample, settling = chunks.home
    assert 0 < sample <= 4 * 20_000 ** (2 / 3)
    assert 0 < settling < 600 + 1_500


def test_carried_registers_add_beyond_what_words_hold():
    """2^33 summands of the same word: more than a word has room for, were it not carried."""
    amounts = np.array([0.1, -0.3, 1e9, -1e-9, 2.0**-1074, 1e100])
    register = register_of(amounts)
    whole = sum(map(Fraction, amounts.tolist()), Fraction(0))
    assert register_total(carried(register)) == register_total(register) == whole
    many = carried(register)
    for _ in range(33):
        many = carried(many + many)
    assert register_total(many) == whole * 2**33
    assert carried(new_register()).tolist() == new_register().tolist()
    assert (np.abs(carried(many)[:-1]) < 2**32).all()
