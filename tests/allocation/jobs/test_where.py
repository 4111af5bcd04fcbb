"""Conditions on attributes: who meets them, by a plain loop over the cells, and what can never be met."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from allocation.jobs.where import mask_of
from uplift.errors import InputError

NONE = None
TEXT = ["heavy", NONE, "light", "", "heavy", "True", "1"]


def met(cells: pa.Array, *values: Any) -> list[bool]:
    mask = mask_of({"c": values}, {"c": cells}, len(cells), "limit 'x'")
    assert mask is not None
    assert mask.dtype == np.bool_
    return mask.tolist()


@pytest.mark.parametrize("encoded", [False, True])
def test_text_of_every_encoding(encoded: bool):
    cells = pa.array(TEXT).dictionary_encode() if encoded else pa.array(TEXT)
    assert met(cells, "heavy") == [True, False, False, False, True, False, False]
    assert met(cells, "light", "1") == [False, False, True, False, False, False, True]
    assert met(cells, "nobody") == [False] * 7
    assert met(cells.slice(1, 4), "heavy") == [False, False, False, True]
    assert met(cells, "heavy", "") == [cell in ("heavy", "") for cell in TEXT]


def test_a_dictionary_may_hold_nulls_and_nothing():
    cells = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None], pa.int8()), pa.array(["a", None, "b"]))
    assert met(cells, "b") == [False, False, True, False]
    assert met(pa.array([None, None], pa.dictionary(pa.int32(), pa.string())), "a") == [False, False]
    assert met(pa.array([3, 7, None, 3]).dictionary_encode(), 3.0) == [True, False, False, True]


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64"])
def test_numbers_are_equal_by_size(kind: str):
    cells = pa.array([3, None, 4, 5], kind)
    assert met(cells, 3) == met(cells, 3.0) == [True, False, False, False]
    assert met(cells, 4, 5.0, 2.5, 1e300, -1) == [False, False, True, True]
    assert met(cells, 2**62) == [False] * 4


def test_fractions_are_asked_for_in_the_precision_of_the_column():
    assert met(pa.array([0.1, 0.2], "float32"), 0.1) == [True, False]
    assert met(pa.array([0.1, np.float32(0.1)], "float64"), 0.1) == [True, False]
    assert met(pa.array([2.0**24], "float32"), 2**24 + 1) == [False]
    assert met(pa.array([2.0**53], "float64"), 2**53 + 1) == [False]
    assert met(pa.array([0.0, -0.0], "float64"), 0) == [True, True]
    assert met(pa.array([math.inf, math.nan, None], "float32"), 1e300) == [False] * 3


def test_true_and_false():
    assert met(pa.array([True, False, None]), True) == [True, False, False]
    assert met(pa.array([True, False, None]), True, False) == [True, True, False]


def test_several_columns_must_all_be_met_and_none_is_everybody():
    columns = {"segment": pa.array(["a", "a", "b"]), "age": pa.array([1, 2, 1])}
    assert_array_equal(mask_of({"segment": ("a",), "age": (1,)}, columns, 3, "limit 'x'"), [True, False, False])
    assert mask_of({}, columns, 3, "limit 'x'") is None
    assert met(pa.nulls(2), "a") == met(pa.nulls(2), 1) == [False, False]
    assert met(pa.array([], pa.string()), "a") == []


@pytest.mark.parametrize(
    ("cells", "value", "message"),
    [
        (["a"], 3, "limit 'x' asks in where for 'c' = 3, but the column holds string; write the value in quotes"),
        (["a"], True, "limit 'x' asks in where for 'c' = true, but the column holds string"),
        ([1], "1", "asks in where for 'c' = '1', but the column holds int64; write a number, without quotes"),
        ([1], True, "asks in where for 'c' = true, but the column holds int64"),
        ([1.5], "a", "asks in where for 'c' = 'a', but the column holds double"),
        ([True], 1, "asks in where for 'c' = 1, but the column holds bool; write true or false, without quotes"),
        ([b"a"], "a", "but the column holds binary; conditions are on text, numbers, and true or false"),
        ([["a"]], "a", "but the column holds list"),
    ],
)
def test_a_column_of_another_type_is_refused(cells: list[Any], value: Any, message: str):
    with pytest.raises(InputError, match=re.escape(message)):
        mask_of({"c": (value,)}, {"c": pa.array(cells)}, 1, "limit 'x'")
    if not isinstance(cells[0], list):
        with pytest.raises(InputError, match="but the column holds"):
            mask_of({"c": (value,)}, {"c": pa.array(cells).dictionary_encode()}, 1, "limit 'x'")


def test_a_column_that_is_not_there_or_too_short():
    with pytest.raises(
        InputError, match=r"where for the column 'segmnt', which is not there. Did you mean 'segment'\?"
    ):
        mask_of({"segmnt": ("a",)}, {"segment": pa.array(["a"])}, 1, "limit 'x'")
    with pytest.raises(InputError, match="'segment' has 1 rows for 2 users"):
        mask_of({"segment": ("a",)}, {"segment": pa.array(["a"])}, 2, "limit 'x'")


NUMBERS = st.one_of(st.integers(-4, 4), st.sampled_from([0.5, -1.0, 2.0, 2**53 + 1, 2**63 - 1, -0.0]))


@given(
    st.lists(st.none() | NUMBERS.filter(lambda v: isinstance(v, int)), max_size=12),
    st.lists(NUMBERS, min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_whole_numbers_by_a_plain_loop(cells: list[int | None], values: list[int | float]):
    """Python compares whole numbers and floats exactly."""
    assert met(pa.array(cells, pa.int64()), *values) == [c is not None and any(c == v for v in values) for c in cells]
