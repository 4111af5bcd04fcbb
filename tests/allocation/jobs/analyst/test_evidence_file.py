"""The checks of a run as a file and as frames."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from allocation.jobs.analyst.evidence_file import checks_text, read_checks
from allocation.jobs.analyst.evidence_frames import (
    THIS_LOG,
    balance_frame,
    calibration_frame,
    experiment_frame,
    ranking_frame,
    refits_frame,
    shares_frame,
    support_frame,
)
from allocation.jobs.analyst.evidence_log import Balance
from allocation.jobs.analyst.run import open_run
from allocation.jobs.demo import DemoResult
from tests.allocation.jobs.analyst.test_evidence_words import SOUND
from uplift.errors import InputError


def test_what_is_written_is_read(tmp_path: Path):
    endless = replace(SOUND, balance=Balance(("age",), ((math.inf,), (0.0,)), ((0.0,), (0.0,)), 0.0, 1))
    for checks in (SOUND, endless, replace(SOUND, shares=None, experiment=None)):
        file = tmp_path / "evidence.json"
        file.write_text(checks_text(checks))
        json.loads(file.read_text(), parse_constant=pytest.fail)
        assert read_checks(file, SOUND.arms, SOUND.users) == checks


def test_a_run_carries_the_checks_that_were_computed(result: DemoResult, run_folder: Path):
    run = open_run(run_folder)
    assert run.checks is not None
    assert checks_text(run.checks) == checks_text(result.checks)
    assert run.checks.users == len(run)


def test_a_run_of_an_earlier_version_has_none(tmp_path: Path):
    assert read_checks(tmp_path / "evidence.json", SOUND.arms, SOUND.users) is None


def test_figures_that_an_earlier_version_wrote_too_are_left_out(tmp_path: Path):
    file = tmp_path / "evidence.json"
    told = json.loads(checks_text(SOUND))
    told["refits"]["treated_stays"] = 0.7
    file.write_text(json.dumps(told))
    assert read_checks(file, SOUND.arms, SOUND.users) == SOUND


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"arms": 3}', "not json"])
def test_a_broken_file_is_named(tmp_path: Path, text: str):
    file = tmp_path / "evidence.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"evidence.json holds no checks of a run .* run `earmark demo` again"):
        read_checks(file, SOUND.arms, SOUND.users)


def test_the_checks_of_other_users_are_refused(tmp_path: Path):
    file = tmp_path / "evidence.json"
    file.write_text(checks_text(SOUND))
    with pytest.raises(InputError, match=r"1,000 users and the arms none, mail, call; this run has 999"):
        read_checks(file, SOUND.arms, 999)
    with pytest.raises(InputError, match=r"this run has 1,000 and none, call"):
        read_checks(file, ("none", "call"), 1_000)


def test_frames_hold_estimates_and_the_ends_of_their_intervals():
    shares = shares_frame(SOUND)
    assert (shares["logged"] - shares["low"]).tolist() == pytest.approx([0.0196] * 3, rel=1e-3)
    balance = balance_frame(SOUND)
    assert balance["feature"].tolist() == ["past", "age"]
    assert balance["arm"].tolist() == ["mail", "mail"]
    assert balance_frame(SOUND, shown=1)["feature"].tolist() == ["past"]
    assert support_frame(SOUND)["arm"].tolist() == ["none", "call"]
    bins = calibration_frame(SOUND.calibration[1])
    assert bins["high"].tolist() == pytest.approx([0.8 + 0.588, 3.4 + 0.588], rel=1e-3)
    curves = ranking_frame(SOUND).groupby("curve")["gain"].agg(list).to_dict()
    assert curves == {"model": [0, 2, 3], "placebo": [0, 0.05, -0.1], "random order": [0, 3]}
    refits = refits_frame(SOUND)
    assert refits["users"].tolist()[0] == "all users"
    assert refits["stays"].tolist() == pytest.approx([0.85, 0.6, 0.8, 0.9, 0.99])
    assert (refits["low"][0], refits["high"][0]) == (0.8, 0.9)
    needed = experiment_frame(SOUND)
    assert needed["users"].tolist() == [900, 400, 1_000]
    assert needed["design"].tolist()[-1] == THIS_LOG
    assert needed["label"].tolist() == ["900 users", "400 users", "1,000 users"]


def test_frames_without_figures_are_empty():
    bare = replace(SOUND, shares=None, experiment=None, refits=replace(SOUND.refits, note="left out"))
    for frame in (shares_frame(bare), experiment_frame(bare), refits_frame(bare)):
        assert frame.empty
    assert SOUND.experiment is not None
    lost = replace(SOUND, experiment=replace(SOUND.experiment, designs=("same",), needed=(math.nan,)))
    assert experiment_frame(lost).empty
