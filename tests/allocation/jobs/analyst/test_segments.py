"""Segments and one user's why: against sums over users one by one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from allocation.engine.price import margins
from allocation.engine.problem import Problem
from allocation.engine.solve import solve
from allocation.evaluation.estimators import FEW
from allocation.jobs.analyst.figures import figure
from allocation.jobs.analyst.run import Evidence, Run, open_run
from allocation.jobs.analyst.segments import EVERYBODY, MISSING, Grouping, attributes, effects, grouping, segments
from allocation.jobs.analyst.segments_table import segments_table, why_table
from allocation.jobs.analyst.why import user_row, why
from allocation.jobs.plan import Plan
from uplift.errors import InputError

Z = 1.959963984540054
ARMS = ("none", "mail", "call")


def made(n: int = 600, seed: int = 0, confounded: bool = False) -> tuple[Run, np.ndarray]:
    """Users in two groups; in "heavy" value is higher whatever they get, and treatment adds 1 and 2 everywhere."""
    rng = np.random.default_rng(seed)
    heavy = rng.random(n) < 0.4
    chance = np.tile([0.4, 0.3, 0.3], (n, 1))
    if confounded:
        chance[heavy] = [0.1, 0.5, 0.4]
    t = np.array([rng.choice(3, p=p) for p in chance])
    y = 5.0 * heavy + t + rng.normal(size=n)
    c = np.array([0.0, 1.0, 3.0])[t] + 0.1 * rng.normal(size=n)
    phi, psi = np.zeros((n, 3)), np.zeros((n, 3))
    rows = np.arange(n)
    phi[rows, t], psi[rows, t] = y / chance[rows, t], c / chance[rows, t]
    value = rng.normal(1, 1, (n, 3)).cumsum(axis=1)
    cost = np.tile([0.0, 1.0, 3.0], (n, 1))
    column = pa.array(np.where(heavy, "heavy", "light")).dictionary_encode()
    run = Run(
        Path("made"),
        Plan(name="made", responses="made"),
        ARMS,
        pa.array(rows),
        value,
        cost,
        attributes={"kind": column},
        evidence=Evidence(t, chance, phi, psi, y),
    )
    return run, heavy


def test_figures_are_sums_over_the_users_of_a_segment():
    run, heavy = made()
    e, groups = run.evidence, grouping(run, "kind")
    assert e is not None
    assert groups.names == ("heavy", "light")
    z = solve(Problem(run.value, run.cost, 500.0)).decision
    found = segments(run, z, groups).set_index("segment")
    for name, members in ((EVERYBODY, np.ones(len(run), bool)), ("heavy", heavy), ("light", ~heavy)):
        r, users = found.loc[name], [i for i in range(len(run)) if members[i]]
        n = len(users)
        d = [e.value_score[i, z[i]] - e.value_score[i, 0] for i in users]
        c = [e.spend_score[i, z[i]] - e.spend_score[i, 0] for i in users]
        assert r["users"] == n
        assert r["treated"] == pytest.approx(sum(z[i] > 0 for i in users) / n)
        assert r["lift"] == pytest.approx(sum(d) / n)
        assert r["lift_high"] - r["lift"] == pytest.approx(Z * np.std(d, ddof=1) / math.sqrt(n))
        assert r["spend"] == pytest.approx(sum(c))
        assert r["spend"] - r["spend_low"] == pytest.approx(Z * np.std(c, ddof=1) * math.sqrt(n))
        assert r["promised_lift"] == pytest.approx(sum(run.value[i, z[i]] - run.value[i, 0] for i in users) / n)
        assert r["promised_spend"] == pytest.approx(sum(run.cost[i, z[i]] for i in users))
        assert r["return"] == pytest.approx(sum(d) / sum(c))
        for end in (r["return_low"], r["return_high"]):  # where gain - r spend is just z of its own errors from 0
            off = np.array(d) - end * np.array(c)
            assert abs(off.sum()) == pytest.approx(Z * off.std(ddof=1) * math.sqrt(n), rel=1e-6)


def test_segments_add_up_to_everybody():
    run, _ = made()
    z = solve(Problem(run.value, run.cost, 300.0)).decision
    found = segments(run, z, grouping(run, "kind"))
    for column in ("users", "spend", "promised_spend"):
        assert found[column].iloc[1:].sum() == pytest.approx(found[column].iloc[0])


def test_who_tells_the_decision_from_control_is_counted():
    run, _ = made(n=400)
    e = run.evidence
    assert e is not None
    z = np.zeros(400, dtype=int)
    z[:90] = 1
    found = segments(run, z, Grouping(np.zeros(400, dtype=np.int64), ("all",)))
    w = [1 / e.propensity[i, e.treatment[i]] for i in range(90) if e.treatment[i] in (0, 1)]
    drawn = sum(w) ** 2 / sum(x * x for x in w)
    expected = (2 * 90) ** 2 / sum(1 / e.propensity[i, 0] + 1 / e.propensity[i, 1] for i in range(90))
    assert found["effective"].tolist() == pytest.approx([min(drawn, expected)] * 2)


def test_too_few_users_is_said_and_no_number_is_given():
    run, _ = made(n=300)
    code = (np.arange(300) >= 20).astype(np.int64)
    z = np.ones(300, dtype=int)
    found = segments(run, z, Grouping(code, ("small", "large"))).set_index("segment")
    assert found.loc["small", "lacking"].startswith("too small: ")
    assert f"{FEW} are needed" in found.loc["small", "lacking"]
    assert found.loc["small", ["lift", "lift_low", "spend", "return"]].isna().all()
    assert found.loc["large", "lacking"] == ""
    cells = segments_table(found.reset_index(), "EUR").set_index("segment")
    assert cells.loc["small", "spend (EUR)"].startswith("too small")
    assert cells.loc["small", "users"] == "20"


def test_nobody_treated_gains_nothing_for_sure():
    run, _ = made(n=100)
    found = segments(run, np.zeros(100, dtype=int), grouping(run, "kind"))
    assert found[["lift", "lift_low", "lift_high", "spend", "treated"]].eq(0).all(axis=None)
    assert found["return"].isna().all()
    assert segments_table(found, "")["return (per unit of money)"].eq("nothing is spent").all()


def test_without_a_log_there_are_promises():
    run, _ = made(n=50)
    bare = Run(run.place, run.plan, run.arms, run.user_id, run.value, run.cost, attributes=run.attributes)
    found = segments(bare, np.ones(50, dtype=int), grouping(bare, "kind"))
    assert "lift" not in found
    assert found["promised_lift"].notna().all()
    assert effects(bare, grouping(bare, "kind")).empty


def test_the_adjusted_effect_finds_the_truth_and_the_raw_one_does_not():
    """Treatment adds 1 or 2; the heavy, worth 5 more anyway, are treated more often."""
    run, _ = made(n=20_000, confounded=True)
    found = effects(run, grouping(run, "kind")).set_index("segment")
    e = run.evidence
    assert e is not None
    assert e.value is not None
    on = e.treatment > 0
    truth = float(e.treatment[on].mean())
    whole = found.loc[EVERYBODY]
    assert whole["adjusted_low"] < truth < whole["adjusted_high"]
    assert whole["raw_low"] > truth + 0.5
    assert whole["raw"] == pytest.approx(e.value[on].mean() - e.value[~on].mean())
    within = found.loc["heavy"]  # alike in all that matters: the raw difference is right there
    assert within["raw_low"] < truth + 0.1
    assert within["raw_high"] > truth - 0.1


def test_a_segment_without_untreated_users_has_no_effect():
    run, _ = made(n=200)
    e = run.evidence
    assert e is not None
    code = (e.treatment == 0).astype(np.int64)
    found = effects(run, Grouping(code, ("treated", "not"))).set_index("segment")
    assert found.loc["treated", "lacking"].startswith("too small: ")
    assert math.isnan(found.loc["treated", "raw"])


def test_groups_stand_in_the_order_of_their_numbers_and_the_rare_together():
    values = ["above 10", "up to 2", "above 2 to 10", None, "up to 2"]
    run, _ = made(n=5)
    run.attributes["a"] = pa.array(values).dictionary_encode()  # type: ignore[index]
    found = grouping(run, "a")
    assert found.names == ("up to 2", "above 2 to 10", "above 10", MISSING)
    assert [found.names[k] for k in found.code] == [v or MISSING for v in values]
    run.attributes["b"] = pa.array([9, 9, 10, 2, 11]).dictionary_encode()  # type: ignore[index]
    few = grouping(run, "b", most=3)
    assert few.names == ("2", "9", "all others (2 values)") or few.names[0] == "9"
    assert len(few.names) == 3
    assert grouping(run, "b").names == ("2", "9", "10", "11")


def test_ids_make_no_segments(run_folder: Path):
    run = open_run(run_folder)
    assert attributes(run)
    wide = {"id": pa.array([f"u{i}" for i in range(len(run))]).dictionary_encode()}
    assert attributes(Run(run.place, run.plan, run.arms, run.user_id, run.value, run.cost, attributes=wide)) == []


def test_why_shows_the_scores_that_decide(run_folder: Path):
    run = open_run(run_folder)
    assert run.plan.budget is not None
    problem = Problem(run.value, run.cost, run.plan.budget)
    decided = solve(problem)
    all_margins = margins(problem, decided)
    for row in range(0, len(run), 211):
        found = why(run, decided, row)
        best = max(
            range(len(run.arms)), key=lambda j: float(run.value[row, j]) - decided.price * float(run.cost[row, j])
        )
        if all_margins[row] > 0:
            assert found.words.startswith(f"User {run.user_id[row].as_py()} gets {run.arms[best]}: ")
            assert "beats that of the runner-up" in found.words
            assert found.words.endswith(f", by {figure(all_margins[row])}.")
        assert found.table["decided"].sum() == 1
        assert why_table(found, "EUR")[""].tolist().count("decided") == 1
        assert user_row(run, str(run.user_id[row].as_py())) == row


def test_a_user_who_is_not_there_is_one_message(run_folder: Path):
    run = open_run(run_folder)
    with pytest.raises(InputError, match=r"user '<b>' is no user id; the ids are whole numbers, such as "):
        user_row(run, "<b>")
    with pytest.raises(InputError, match=r"user '-5' is not among the 1,499 users"):
        user_row(run, "-5")
    with pytest.raises(InputError, match=r"is no user id"):
        user_row(run, "9" * 60)


def test_an_arm_that_may_not_be_given_is_told():
    run, _ = made(n=3)
    eligible = np.array([[True, False, False]] * 3)
    only = Run(run.place, run.plan, run.arms, run.user_id, run.value, run.cost, eligible)
    found = why(only, solve(Problem(run.value, run.cost, 10.0, eligible=eligible)), 0)
    assert found.words == "User 0 gets none: no other arm may be given."
    assert why_table(found, "")[""].tolist() == ["decided", "may not be given", "may not be given"]
