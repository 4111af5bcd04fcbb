"""Every budget of a run: against the solver, and against the evaluation of the same decisions."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from allocation import Problem, solve
from allocation.jobs.analyst.answers import RANDOM, SINGLE, Answers, answers_of
from allocation.jobs.analyst.compared import CURRENT
from allocation.jobs.analyst.run import open_run
from uplift.errors import InputError


@pytest.fixture(scope="module")
def answers(run_folder: Path) -> Answers:
    return answers_of(open_run(run_folder))


def test_promises_are_those_of_the_solver(answers: Answers):
    run, (least, most) = answers.run, answers.span
    step = float(np.max(run.value) - np.min(run.value))
    for share in (0.1, 0.4, 0.9):
        budget = least + share * (most - least)
        solved, told = solve(Problem(run.value, run.cost, budget)), answers.at(budget)
        assert solved.gain <= told.promised_gain + 1e-9
        assert told.promised_gain - solved.gain <= step
        assert told.price == pytest.approx(solved.price, rel=0.05)
        counts = np.bincount(solved.decision, minlength=len(run.arms)) / len(run)
        np.testing.assert_allclose(answers.frontier.arm_mix(budget), counts, atol=2 / len(run))
        np.testing.assert_allclose(list(answers.shares(budget).values()), counts, atol=0.01)


def test_what_is_verified_is_what_the_evaluation_verified(answers: Answers):
    """The demo's own frame, made another way: decisions solved at each budget, gains by influence functions."""
    run = answers.run
    assert run.summary is not None
    frame = run.summary.evaluation.query("policy == 'two-stage' and estimator == 'dr'")
    assert len(frame)
    for _, row in frame.iterrows():
        told = answers.at(float(row["budget"]))
        if told.lacking:
            continue
        assert told.gain.estimate == pytest.approx(row["gain"], rel=0.02, abs=0.01 * len(run) ** 0.5)
        assert (told.gain.high - told.gain.low) / 2 == pytest.approx(1.96 * row["gain_se"], rel=0.03)


def test_the_next_money_buys_what_the_curve_says(answers: Answers):
    budget = sum(answers.span) / 3
    now, later = answers.at(budget), answers.at(budget + answers.at(budget).next_money)
    assert now.next_gain == pytest.approx(later.promised_gain - now.promised_gain)


def test_curves_and_rivals_begin_and_end_where_they_must(answers: Answers):
    curve, mix, lines = answers.drawn
    assert curve["promised"].is_monotonic_increasing
    assert (curve["low"] <= curve["gain"]).all()
    assert mix.groupby("budget")["share"].sum().to_numpy() == pytest.approx(1)
    assert set(lines["policy"]) == {RANDOM, SINGLE}
    everybody = {name: gain.estimate for name, _, gain in answers.rivals}
    ends = lines.groupby("policy")["gain"].last()
    single = [gain for name, gain in everybody.items() if name not in (CURRENT, RANDOM)]
    assert ends[SINGLE] <= max(single) + 1e-9
    scores = answers.run.evidence
    assert scores is not None
    current = (scores.propensity * (scores.value_score - scores.value_score[:, :1])).sum()
    assert everybody[CURRENT] == pytest.approx(current, rel=1e-5)
    logged = (scores.propensity * scores.spend_score).sum()
    assert answers.current()[0] == pytest.approx(
        answers.run.cost[:, 0].sum() + logged - scores.spend_score[:, 0].sum(), rel=1e-5
    )


def test_a_response_table_alone_promises_and_verifies_nothing(run_folder: Path, tmp_path: Path):
    table = tmp_path / "table.parquet"
    shutil.copy(run_folder / "responses.parquet", table)
    answers = answers_of(open_run(table))
    told = answers.at(sum(answers.span) / 2)
    assert math.isnan(told.gain.estimate)
    assert told.lacking == "no log of these users is there"
    curve = answers.drawn.curve
    assert (curve["low"] <= curve["promised"] + 1e-9).all()
    assert (curve["promised"] <= curve["high"] + 1e-9).all()
    assert answers.run.plan.responses == str(table)


def test_a_budget_below_the_cheapest_decision_is_refused(answers: Answers):
    with pytest.raises(InputError, match="the cheapest decision costs"):
        answers.at(answers.span[0] - 1)


def test_evidence_of_other_users_is_refused(run_folder: Path, tmp_path: Path):
    shutil.copytree(run_folder, tmp_path / "run")
    file = tmp_path / "run" / "evidence.parquet"
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)
    with pytest.raises(InputError, match=r"evidence\.parquet is not of the users .*; run `earmark demo` again"):
        open_run(tmp_path / "run")
    pq.write_table(table.drop_columns(["treatment"]), file)
    with pytest.raises(InputError, match=r"evidence\.parquet is no evidence of this run: no column treatment"):
        open_run(tmp_path / "run")


def test_places_without_a_run_are_one_message(tmp_path: Path):
    with pytest.raises(InputError, match="holds no run; give the folder that `earmark demo --out FOLDER` wrote"):
        open_run(tmp_path)
    (tmp_path / "report.html").write_text("")
    with pytest.raises(InputError, match=r"was written by an earlier earmark, without responses\.parquet"):
        open_run(tmp_path)


def test_a_table_folder_is_read_as_the_nightly_job_reads_it(run_folder: Path, tmp_path: Path):
    """Other endings in any case count; hidden files, half written or of an older table, do not."""
    shutil.copy(run_folder / "responses.parquet", tmp_path / "part.PARQ")
    (tmp_path / ".tmp.parquet").write_bytes(b"")
    pq.write_table(pq.read_table(tmp_path / "part.PARQ", columns=["user_id"]), tmp_path / "_old.parquet")
    run = open_run(tmp_path)
    assert len(run) == pq.read_metadata(run_folder / "responses.parquet").num_rows
