"""Random streams by purpose, so that two parts given the same seed never draw the same numbers."""

from __future__ import annotations

import zlib

import numpy as np

from uplift.errors import InputError


def stream(seed: int | np.random.Generator, purpose: str) -> np.random.Generator:
    """The generator of this purpose: independent of every other purpose's, the same for the same seed.

    A split, a baseline that draws users and a bootstrap that share a seed would else share their draws, and a
    decision could depend on who is held out. A generator is used as it is. Raises InputError for any other seed.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed is {seed!r}; a whole number of at least 0 or a numpy Generator is expected")
    return np.random.default_rng([int(seed), zlib.crc32(purpose.encode())])


def whole(seed: int | np.random.Generator) -> int:
    """A whole number for libraries that want one: the seed itself, or a number drawn from a generator.

    Raises InputError for any other seed.
    """
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**31))
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**31:
        raise InputError(f"seed is {seed!r}; a whole number from 0 to {2**31 - 1:,} or a numpy Generator is expected")
    return int(seed)
