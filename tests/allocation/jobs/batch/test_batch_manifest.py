"""The manifest of a nightly run: the same bytes for the same run, nothing of this machine, true to its parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from allocation.jobs.batch.manifest import batch_manifest
from allocation.jobs.batch.part_file import write_part
from allocation.jobs.batch.parts import decisions_table
from allocation.jobs.batch.published import read_published
from allocation.jobs.manifest import text
from allocation.jobs.plan import parse_plan
from tests.allocation.jobs.batch.small_decisions import ARMS, PLAN, RUN, make, solved
from uplift.errors import InputError


def test_the_same_run_gives_the_same_bytes_wherever_it_is_made(tmp_path: Path):
    contents = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        made = make(folder)
        contents.append({p.name: p.read_bytes() for p in made.out.iterdir()})
    assert contents[0] == contents[1]
    said = contents[0]["manifest.json"].decode()
    assert str(tmp_path) not in said
    assert "responses.parquet" not in said


def test_the_manifest_says_what_was_decided_for_whom(tmp_path: Path):
    made = make(tmp_path)
    manifest = json.loads((made.out / "manifest.json").read_text())
    assert (manifest["command"], manifest["run"], manifest["name"]) == ("decide", RUN, "spring")
    assert (manifest["rows"], manifest["part_rows"], manifest["budget"], manifest["currency"]) == (
        700,
        300,
        1e3,
        "EUR",
    )
    assert manifest["arm_users"] == {arm: int((made.frame["arm"] == arm).sum()) for arm in ARMS}
    assert list(manifest["arm_users"]) == list(ARMS)
    assert manifest["limits"][1]["where"] == {"segment": ["heavy"]}
    assert [limit["arms"] for limit in manifest["limits"]] == [
        ["=coupon"],
        ["mail", "=coupon"],
        ["mail", "=coupon"],
        ["mail"],
    ]
    assert [part["rows"] for part in manifest["parts"]] == [300, 300, 100]
    _, published = read_published(made.out)
    assert published.arms == ARMS
    assert published.totals.value == manifest["totals"]["value"]


def test_parts_that_are_not_what_was_solved_are_never_published(tmp_path: Path):
    """The table was changed between two passes over it."""
    made = make(tmp_path)
    own = made.frame.iloc[:300]
    part = write_part(
        tmp_path,
        0,
        RUN,
        decisions_table(np.arange(300), ARMS, np.zeros(300, int), *own[["margin"] * 3].to_numpy().T),
    )
    with pytest.raises(InputError, match=r"the parts hold 300 users.* but 700 users.*changed while they were read"):
        batch_manifest(
            parse_plan(PLAN, folder=tmp_path),
            solved(made.frame, 0.0),
            [part],
            run_id=RUN,
            arms=ARMS,
            fingerprint={},
            budget=1.0,
        )


def test_what_is_no_finite_number_becomes_null(tmp_path: Path):
    made = make(tmp_path)
    result = solved(made.frame.iloc[:0], 0.0)
    object.__setattr__(result, "price", float("inf"))
    manifest = batch_manifest(
        parse_plan(PLAN, folder=tmp_path),
        result,
        [],
        run_id=RUN,
        arms=ARMS,
        fingerprint={},
        budget=None,
    )
    assert json.loads(text(manifest))["price"] is None
    assert manifest["exact"] == {"value": "0/1", "cost": "0/1"}
