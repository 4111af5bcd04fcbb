"""Features as groups: names apart from one another, and from the columns of a response table."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from allocation.jobs.analyst.attributes import attributes_of


@pytest.mark.parametrize(
    "x",
    [
        [1000.1, 1000.2, 1000.3] * 10,
        1000 + np.arange(400) / 100,
        1000 + np.arange(400) / 400,
        1 + np.arange(400) * 1e-12,
        np.arange(400) * 1e20,
        [0.0, 1e-9, 1.0] * 5,
    ],
)
def test_groups_that_differ_are_named_apart(x: np.ndarray):
    column = attributes_of(np.asarray(x, dtype=float)[:, None], ["x"], ())["x"]
    values = np.unique(x)
    named = column.to_pylist()
    groups = len(values) if len(values) <= 8 else 4
    assert len(set(named)) == groups
    order = np.argsort(x, kind="stable")
    switches = sum(named[a] != named[b] for a, b in itertools.pairwise(order))
    assert switches == groups - 1  # each group is one stretch of the values


def test_quarters_and_whole_numbers_read_as_one_would_write_them():
    x = np.column_stack([np.arange(400) * 10, np.arange(400) % 3])
    found = attributes_of(x.astype(float), ["spend", "visits"], ())
    assert set(found["spend"].to_pylist()) == {
        "up to 990",
        "above 990 to 1,990",
        "above 1,990 to 2,990",
        "above 2,990",
    }
    assert set(found["visits"].to_pylist()) == {"0", "1", "2"}


@pytest.mark.parametrize("name", ["value.last", "cost.x", "eligible.x", "resource.x", "user_id"])
def test_a_feature_that_reads_like_a_column_of_responses_is_no_attribute(name: str):
    x = np.column_stack([np.arange(8) % 2, np.arange(8) % 2]).astype(float)
    assert list(attributes_of(x, [name, "x"], ("user_id",))) == ["x"]
