"""A plan decided for a run in memory: row for row the nightly job's; verified figures against sums written out."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocation.jobs.analyst import limited
from allocation.jobs.analyst.exported import plan_for
from allocation.jobs.analyst.limited import (
    DecidedPlan,
    Refused,
    cost_of_limits,
    decide_run,
    is_known,
    limit_rows,
    outcome_of,
    without_limits,
)
from allocation.jobs.analyst.limited_words import limit_words, limits_table, side_by_side, unspent_words
from allocation.jobs.analyst.run import Run, open_run
from allocation.jobs.plan import PlanLimit, Share, parse_plan, plan_text
from tests.allocation.nightly import ARMS, LIMITS, PLAN, decisions, earmark, nightly
from uplift.errors import InputError

CASES = {
    "the budget alone": PLAN,
    "three limits": PLAN + LIMITS,
    "no money": PLAN.replace("300.5", "0.0"),
    "small parts": PLAN.replace("250", "7") + LIMITS,
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a response table in two files, and a plan beside it."""
    folder = tmp_path_factory.mktemp("nightly")
    nightly(folder)
    return folder


@pytest.fixture(scope="module")
def run(table: Path) -> Run:
    """That table, held."""
    return open_run(table / "responses")


@pytest.mark.parametrize("case", CASES)
def test_the_decisions_are_those_of_the_nightly_job(case: str, run: Run, table: Path, tmp_path: Path):
    plan = parse_plan(CASES[case], folder=table)
    (tmp_path / "plan.toml").write_text(plan_text(plan))
    code, _, said = earmark("decide", tmp_path / "plan.toml", "--out", tmp_path / "out")
    assert code == 0, said
    filed = decisions(tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    held = decide_run(run, plan)
    assert [ARMS[j] for j in held.decision] == filed["arm"].tolist()
    assert dict(zip(ARMS, held.users, strict=True)) == manifest["arm_users"]
    assert (held.gain, held.cost, held.price) == (
        manifest["totals"]["gain"],
        manifest["totals"]["cost"],
        manifest["price"],
    )
    for use, entry in zip(held.limits, manifest["limits"], strict=True):
        assert (use.used, use.min, use.max, use.price, use.binding) == (
            entry["used"],
            entry["min"],
            entry["max"],
            entry["price"],
            entry["binding"],
        )


def test_columns_that_are_not_held_are_read_from_the_table(tmp_path: Path):
    """Floats are no attributes of a run: there are too many of them."""
    frame = pd.DataFrame({"user_id": range(60), "value.none": 0.0, "value.mail": np.arange(60) + 1.0})
    frame = frame.assign(**{"cost.none": 0.0, "cost.mail": 1.0, "score": np.arange(60) % 2 / 2})
    frame.to_parquet(tmp_path / "r.parquet")
    run = open_run(tmp_path / "r.parquet")
    assert "score" not in run.attributes
    limit = PlanLimit("half", max=3.0, where={"score": (0.5,)})
    found = decide_run(run, plan_for(run, 100.0, (limit,)))
    assert found.limits[0].used == 3
    assert found.users == (27, 33)


def few(amount: float | Share, **more: object) -> PlanLimit:
    return PlanLimit("few", max=amount, **more)  # type: ignore[arg-type]


REFUSED = {
    "clash": (
        (PlanLimit("a", min=500.0, arms=("mail",)), PlanLimit("b", max=400.0)),
        r"limit 'b' \(max 400\) and limit 'a' \(min 500\) together.*raise limit 'b' by at least 100, or lower",
    ),
    "nobody": (
        (few(3.0, where={"segment": ("haed",)}),),
        r"is about nobody: .*segment has 'head', 'tail'|'tail', 'head'",
    ),
    "misspelt": ((few(3.0, where={"segmnt": ("head",)}),), r"column 'segmnt'.* Did you mean 'segment'"),
    "a share that is no whole number": (
        (PlanLimit("few", min=Share(0.333), max=Share(0.333)),),
        r"from 33.3% to 33.3% of 700 users, and no whole number lies there; lock 233 or 234 users",
    ),
    "type": ((few(3.0, where={"segment": (3,)}),), r"the column holds string; write the value in quotes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_kept_is_one_message(case: str, run: Run):
    limits, message = REFUSED[case]
    outcome = outcome_of(run, plan_for(run, 300.5, limits))
    assert isinstance(outcome, Refused)
    with pytest.raises(InputError, match=message):
        raise InputError(outcome.reason)


def test_plans_are_decided_once_and_the_oldest_forgotten(run: Run, monkeypatch: pytest.MonkeyPatch):
    decided = []
    monkeypatch.setattr(limited, "_outcome", lambda run, plan: decided.append(plan) or Refused("not now"))
    monkeypatch.setattr(limited, "REMEMBERED", 2)
    plans = [plan_for(run, 1_000.0 + k, ()) for k in range(3)]
    for plan in (plans[0], plans[1], plans[1], plans[2], plans[1], plans[0]):
        outcome_of(run, plan)
    assert decided == [plans[0], plans[1], plans[2], plans[0]]
    assert is_known(run, plans[2])
    assert not is_known(run, plans[1])


@pytest.fixture(scope="module")
def demo(run_folder: Path) -> Run:
    """A run with evidence."""
    return open_run(run_folder)


@pytest.fixture(scope="module")
def pair(demo: Run) -> tuple[DecidedPlan, DecidedPlan]:
    """The demo's plan with at most a tenth of the users treated, and without."""
    plan = plan_for(demo, demo.plan.budget or 0.0, (few(Share(0.1)),))
    return decide_run(demo, plan), decide_run(demo, without_limits(plan))


def test_gain_spend_and_cost_of_limits_are_sums_over_users(demo: Run, pair: tuple[DecidedPlan, DecidedPlan]):
    with_limits, free = pair
    e = demo.evidence
    assert e is not None
    z, y, n = with_limits.decision, free.decision, len(demo)
    gains = [float(e.value_score[i, z[i]]) - float(e.value_score[i, 0]) for i in range(n)]
    spends = [float(e.spend_score[i, z[i]]) - float(e.spend_score[i, 0]) for i in range(n)]
    lost = [float(e.value_score[i, y[i]]) - float(e.value_score[i, z[i]]) for i in range(n)]
    promised, verified = cost_of_limits(demo, with_limits, free)
    for found, each in ((with_limits.verified_gain, gains), (with_limits.verified_spend, spends), (verified, lost)):
        half = 1.959964 * math.sqrt(n * statistics.variance(each))
        assert found == pytest.approx((sum(each), sum(each) - half, sum(each) + half), rel=1e-5)
    assert promised == free.gain - with_limits.gain
    assert promised > 0
    assert with_limits.limits[0].used <= 0.1 * n


def test_without_evidence_nothing_is_verified(run: Run):
    plan = plan_for(run, 300.5, (few(Share(0.1)),))
    found, free = decide_run(run, plan), decide_run(run, without_limits(plan))
    assert found.lacking == "no log of these users is there"
    assert math.isnan(found.verified_gain.estimate)
    assert math.isnan(cost_of_limits(run, found, free)[1].estimate)


def test_money_that_nobody_can_use_is_told(run: Run):
    capped = decide_run(run, plan_for(run, 300.5, (few(10.0),)))
    assert capped.price == 0
    assert capped.unspent == pytest.approx(300.5 - capped.cost)
    assert "of the budget of 300.50 EUR stay unspent" in unspent_words(capped, "EUR")
    assert "within these limits" in unspent_words(capped, "EUR")
    spent = decide_run(run, plan_for(run, 300.5, ()))
    assert spent.price > 0
    assert unspent_words(spent, "EUR") == ""


def test_rows_say_what_is_used_of_what(run: Run):
    limits = (few(10.0), PlanLimit("mail", min=5.0, max=20.0, arms=("mail",)), PlanLimit("wide", "cost", min=0.0))
    found = decide_run(run, plan_for(run, 300.5, limits))
    rows = limit_rows(found)
    assert rows["used"].tolist() == [use.used for use in found.limits]
    assert rows["share"].tolist()[:2] == [found.limits[0].used / 10, found.limits[1].used / 20]
    assert rows["floor_share"][1] == 5 / 20
    assert math.isnan(rows["share"][2])  # a floor of 0 has no shares
    assert rows["binding"][0] == "cap"
    words = [limit_words(row, "EUR") for row in rows.to_dict("records")]
    assert words[0].startswith("10 of at most 10 users: binds at its cap, price ")
    assert "of 5 to 20 users" in words[1]
    assert words[2].endswith("of at least 0 EUR: does not bind")
    assert limits_table(found)["binds"].tolist()[0] == "● at its cap"


def test_plans_stand_side_by_side(demo: Run, pair: tuple[DecidedPlan, DecidedPlan]):
    frame = side_by_side({"few": pair[0], "free": pair[1], "none": Refused("it clashes")}, demo.arms, "EUR")
    assert list(frame.columns) == ["few", "free", "none"]
    assert frame["free"]["limits"] == "0 limits"
    assert frame["few"]["binding"] == "few"
    assert frame["few"]["  95% interval"].startswith("[")
    assert frame["none"]["cannot be decided"] == "it clashes"
    for arm, users in zip(demo.arms, pair[0].users, strict=True):
        assert frame["few"][f"on {arm}"].startswith(f"{users:,} (")


def test_a_plan_that_no_file_could_hold_is_refused(run: Run):
    plan = replace(plan_for(run, 1.0, ()), limits=(few(3.0), few(4.0)))
    with pytest.raises(InputError, match="stands more than once"):
        decide_run(run, plan)
