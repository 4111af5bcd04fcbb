"""What the gradient estimators refuse, and in which words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allocation.policies.gradients import ESTIMATORS, goal, gradient, nes, register
from uplift.errors import InputError

NAMES = sorted(ESTIMATORS)
TABLE = torch.tensor([[0.0, 1.0], [2.0, 0.5]])


def asked(estimator="softmax", price=1.0, **others):
    given = {"value": TABLE, "cost": TABLE, "worth_value": TABLE, "worth_cost": TABLE, "width": 1.0} | others
    return gradient(estimator, price=price, **given)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("soft_max", r"no gradient estimator 'soft_max'\. Did you mean 'softmax'\?"),
        ("newton", r"no gradient estimator 'newton'\. There is '.*', '.*'"),
        (None, "no gradient estimator None"),
    ],
)
def test_an_unknown_name(name, message):
    with pytest.raises(InputError, match=message):
        asked(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [0, -1.0, float("nan"), float("inf"), "wide", None, True])
def test_a_width_that_is_not_above_zero(name, width):
    with pytest.raises(InputError, match=r"width is .*; a number above 0 is expected, in the unit of the scores"):
        ESTIMATORS[name](TABLE, TABLE, width, None)
    with pytest.raises(InputError, match="width is"):
        asked(name, width=width)


@pytest.mark.parametrize("name", NAMES)
def test_a_width_beyond_the_precision(name):
    with pytest.raises(InputError, match=r"width is 1e-50, beyond the numbers of torch\.float32"):
        ESTIMATORS[name](TABLE, TABLE, 1e-50, None)
    assert bool(torch.isfinite(ESTIMATORS[name](TABLE.double(), TABLE.double(), 1e-50, None)).all())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("score", "worth", "message"),
    [
        (TABLE, TABLE[:1], r"worth has shape \(1, 2\) and score \(2, 2\); the same is expected"),
        (TABLE, TABLE.double(), r"worth has dtype torch\.float64 and score torch\.float32"),
        (TABLE, TABLE.to("meta"), "worth has device meta and score cpu"),
        (TABLE[0], TABLE, r"score has shape \(2,\); \(users, arms\) is expected"),
        (TABLE[:0], TABLE[:0], r"score has shape \(0, 2\); \(users, arms\) is expected, at least one of each"),
        (TABLE.numpy(), TABLE, "score is a ndarray; a torch tensor of float32 or float64 is expected"),
        (TABLE, TABLE.int(), r"worth is of torch\.int32; a torch tensor of float32 or float64"),
        (TABLE, TABLE.log().log(), "worth is nan for user 0 and arm 0"),
        (-1 / TABLE, TABLE, r"score is -inf for user 0 and arm 0 \(counted from 0\), one of 1 such cells"),
    ],
    ids=["shape", "dtype", "device", "one dimension", "nobody", "numpy", "whole", "nan", "inf"],
)
def test_tables_that_do_not_fit(name, score, worth, message):
    with pytest.raises(InputError, match=message):
        ESTIMATORS[name](score, worth, 1.0, None)
    with pytest.raises(InputError, match=message):
        goal(score, worth)


@pytest.mark.parametrize("table", ["value", "cost", "worth_value", "worth_cost"])
def test_the_table_with_a_nan_is_named(table):
    bad = TABLE.clone()
    bad[1, 0] = float("nan")
    with pytest.raises(InputError, match=f"^{table} is nan for user 1 and arm 0"):
        asked(**{table: bad})


@pytest.mark.parametrize("price", [-0.1, (1.0, -1.0), float("nan"), [np.inf], [], [[1.0]], "free", None])
def test_prices_that_are_none(price):
    with pytest.raises(InputError, match=r"price is .*; a finite number of at least 0 is expected"):
        asked(price=price)


@pytest.mark.parametrize("seed", [-1, 1.5, "one"])
def test_a_seed_that_is_none(seed):
    with pytest.raises(InputError, match="seed is"):
        asked(seed=seed)


@pytest.mark.parametrize("pairs", [0, -2, 1.5, True, None])
def test_a_number_of_pairs_that_is_none(pairs):
    with pytest.raises(InputError, match=r"pairs is .*; a whole number of at least 1 is expected"):
        nes(TABLE, TABLE, 1.0, None, pairs=pairs)


def test_a_name_that_is_taken():
    with pytest.raises(InputError, match="there is a gradient estimator 'nes' already"):
        register("nes", gap_noise=1.0)
