"""Every user once: what rises needs nothing, and any repeat is found, whichever way the ids are stored."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from response_tables import responses, write

from allocation.jobs.tables import duplicates
from allocation.jobs.tables.duplicates import Rising, check_unique_ids, keys_of
from allocation.jobs.tables.open import open_responses
from uplift.errors import InputError


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6), max_size=5))
@settings(deadline=None)
def test_rising_holds_just_where_python_says_so(parts):
    rising = Rising()
    for part in parts:
        rising.see(pa.array(part, pa.int64()))
    flat = [user for part in parts for user in part]
    assert rising.holds == all(a < b for a, b in itertools.pairwise(flat))


def test_rising_in_the_upper_half_of_uint64():
    rising = Rising()
    assert rising.see(pa.array([1, 2**63 - 1, 2**63, 2**64 - 1], pa.uint64()))
    assert not rising.see(pa.array([2**64 - 1], pa.uint64()))
    assert not Rising().see(pa.array(["a", "b"]))


@given(st.lists(st.text(max_size=9), max_size=60))
@settings(deadline=None)
def test_keys_of_text_are_the_same_for_the_same_text_alone(texts):
    array = pa.array(["before", *texts])
    keys = keys_of(array)[1:].tolist()
    assert keys == keys_of(array[1:]).tolist()
    assert len(set(keys)) == len(set(texts))
    assert dict(zip(texts, keys, strict=True)) == {text: keys_of(pa.array([text]))[0] for text in texts}


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=60))
@settings(deadline=None)
def test_keys_of_numbers_are_one_to_one(numbers):
    assert len(set(keys_of(pa.array(numbers, pa.uint64())).tolist())) == len(numbers)


@pytest.mark.parametrize("kind", ["int", "uint", "text"])
@pytest.mark.parametrize("ranges", [1, 7])
def test_a_repeat_anywhere_is_found(kind, ranges, tmp_path, monkeypatch):
    n = 1_000
    monkeypatch.setattr(duplicates, "KEYS", -(-n // ranges))
    monkeypatch.setattr(duplicates, "BLOCK", 64)
    ids = np.random.default_rng(0).permutation(n).tolist()
    names = {"int": ids, "uint": [2**64 - 1 - k for k in ids], "text": [f"u{k}" for k in ids]}[kind]
    types = {"int": pa.int64(), "uint": pa.uint64(), "text": pa.string()}
    path = tmp_path / "t"

    def stored(cells: list[object]) -> None:
        table = responses(n).set_column(0, "user_id", pa.array(cells, types[kind]))
        write(path, table.slice(0, 600), table.slice(600))

    stored(names)
    check_unique_ids(open_responses(path))
    for one, other in ((0, 999), (63, 64), (599, 600), (500, 501)):
        changed = list(names)
        changed[other] = names[one]
        stored(changed)
        places = [f"{'a' if k < 600 else 'b'}.parquet, row {k % 600:,}" for k in (one, other)]
        with pytest.raises(
            InputError, match=f"user_id {names[one]!r} stands more than once: .*{places[0]}, .*{places[1]}"
        ):
            check_unique_ids(open_responses(path))


def test_ids_that_rise_need_no_keys(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "keys_of", None)
    write(tmp_path, responses(500), responses(500, 500))
    check_unique_ids(open_responses(tmp_path))


def test_texts_that_share_a_key_are_two_users(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "keys_of", lambda ids: np.zeros(len(ids), np.uint64))
    table = responses(20).set_column(0, "user_id", pa.array([f"u{k}" for k in range(20)]))
    write(tmp_path, table)
    check_unique_ids(open_responses(tmp_path))
    write(tmp_path, table, table.slice(3, 1))
    with pytest.raises(InputError, match=r"'u3' stands more than once: .*a.parquet, row 3, .*b.parquet, row 0"):
        check_unique_ids(open_responses(tmp_path))
