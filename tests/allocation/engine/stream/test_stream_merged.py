"""Parts merged in a tree: the same to the last digit, whoever merged the aligned blocks of them first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from allocation.engine.stream.chunks import merged
from allocation.engine.stream.heaps import heap_of_chunk, heaps_added
from tests.allocation.engine.stream.chunked import HeldChunks
from tests.strategies import random_problem


@pytest.mark.parametrize("level", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("number", [1, 2, 3, 7, 8, 9, 31, 64, 65, 100])
def test_blocks_that_start_at_multiples_of_their_length_are_subtrees(number: int, level: int):
    """Brackets instead of sums: the tree itself is compared."""

    def bracket(one: Any, other: Any) -> Any:
        return (one, other)

    width = 1 << level
    blocks = [merged(range(first, min(first + width, number)), bracket) for first in range(0, number, width)]
    assert merged(blocks, bracket) == merged(range(number), bracket)


def test_every_leaf_stands_once_and_in_order():
    def joined(one: list[int], other: list[int]) -> list[int]:
        return one + other

    for number in range(1, 40):
        assert merged(([k] for k in range(number)), joined) == list(range(number))
    assert merged([], joined) is None


def test_heaps_of_partitions_are_the_heap_of_the_whole():
    """As Spark does it: every partition of four chunks merges its own first; floats come out the same."""
    problem = random_problem(np.random.default_rng(11), 900, 3, "generic")
    leaves = [heap_of_chunk(chunk) for chunk in HeldChunks(problem, 60)]
    whole = merged(leaves, heaps_added)
    partitions = [merged(leaves[first : first + 4], heaps_added) for first in range(0, len(leaves), 4)]
    again = merged(partitions, heaps_added)
    for name in whole:
        np.testing.assert_array_equal(again[name], whole[name])
