"""Random streams: the same for the same seed and purpose, unrelated otherwise."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from uplift import InputError
from uplift.seeds import stream


def test_same_seed_and_purpose_same_draws():
    assert_array_equal(stream(3, "split").random(5), stream(3, "split").random(5))


@pytest.mark.parametrize("other", [stream(3, "bootstrap"), stream(4, "split"), np.random.default_rng(3)])
def test_another_purpose_or_seed_is_unrelated(other):
    """The correlation of 10,000 pairs lies within five standard errors, 5 / 100, of zero."""
    correlation = np.corrcoef(stream(3, "split").random(10_000), other.random(10_000))[0, 1]
    assert abs(correlation) < 0.05


def test_a_generator_is_used_as_it_is():
    generator = np.random.default_rng(0)
    assert stream(generator, "split") is generator


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, True])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InputError, match=r"seed is .*; a whole number of at least 0"):
        stream(seed, "split")
