"""Verdicts of checks made by hand, one fault at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from allocation.jobs.analyst.evidence import Checks
from allocation.jobs.analyst.evidence_about import ABOUT
from allocation.jobs.analyst.evidence_log import Balance, Shares, Support
from allocation.jobs.analyst.evidence_model import Calibration, Ranking
from allocation.jobs.analyst.evidence_next import Experiment, Refits
from allocation.jobs.analyst.evidence_words import CANNOT_TELL, LOOK, PASSED, Verdict, farthest, summary, verdicts

CURVE = ((0.0, 0.5, 1.0), (0.0, 2.0, 3.0), (0.0, 0.1, 0.2))
SOUND = Checks(
    arms=("none", "mail", "call"),
    users=1_000,
    budget=500.0,
    shares=Shares(2_000, (0.5, 0.3, 0.2), (0.51, 0.29, 0.2), (0.01, 0.01, 0.01), 0.4, "chi-square", False),
    balance=Balance(("age", "past"), ((0.05, -0.1), (0.02, 0.0)), ((0.07, 0.07), (0.08, 0.08)), 0.6, 4),
    support=Support((500, 0, 500), (250.0, 0.0, 90.0), (0, 0, 0), 330.0),
    calibration=(
        Calibration("mail", 0.9, 0.1, (1.0, 2.0), (1.1, 1.9), (0.2, 0.2)),
        Calibration("call", 1.3, 0.2, (1.0, 3.0), (0.8, 3.4), (0.3, 0.3)),
    ),
    ranking=Ranking(*CURVE, 0.5, 0.1, 1e-6),
    placebo=Ranking(CURVE[0], (0.0, 0.05, -0.1), CURVE[2], 0.05, 0.1, 0.6),
    refits=Refits((0.8, 0.85, 0.9), 0.4, (0.6, 0.8, 0.9, 0.99)),
    experiment=Experiment(
        "nobody", 0.3, False, 0.3, 0.1, 1_000, 0.8, ("same", "a/b"), (900.0, 400.0), "", ("few of mail",)
    ),
)


def verdict(checks: Checks, key: str) -> Verdict:
    return next(one for one in verdicts(checks, "visits") if one.key == key)


def test_a_sound_run_passes_every_check():
    found = verdicts(SOUND)
    assert [one.outcome for one in found] == [PASSED] * 8
    assert [one.key for one in found] == list(ABOUT)
    assert summary(found) == "8 of 8 checks passed."


def test_each_verdict_states_the_figure_that_carries_it():
    said = {one.key: one.sentence for one in verdicts(SOUND, "visits")}
    assert "p = 0.4" in said["shares"]
    assert (
        "past in arm mail: -0.10 [-0.24, +0.04] standard deviations (p = 0.6 among 4 comparisons)" in said["balance"]
    )
    assert (
        "at least 90 effective users in each arm that is used, fewest in call, and 330 in all arms together"
        in said["support"]
    )
    assert "arm call: slope 1.30 [0.91, 1.69], p = 0.27 against 1 among 2 arms" in said["calibration"]
    assert "+0.50 [+0.30, +0.70] visits a user above a random order" in said["ranking"]
    assert "+0.05 [-0.15, +0.25] visits a user (p = 0.6)" in said["placebo"]
    assert "80% to 90% of the users keep their arm in 3 refits" in said["refits"]
    assert "+0.300 [+0.104, +0.496] visits a user beside nobody" in said["experiment"]


FAULTS = [
    ("shares", {"chance": 0.001}, LOOK, "arm none has 51.00% of the users, 50.00% are expected"),
    ("shares", {"own": True}, CANNOT_TELL, "the log's own shares"),
    ("balance", {"chance": 0.009}, LOOK, "more than chance makes"),
    ("balance", {"error": ((0.2, 0.2), (0.2, 0.2))}, CANNOT_TELL, "too small to see a difference of 0.25"),
    ("support", {"more": (0, 0, 77)}, LOOK, "arm call was received by 90 effective of 500 users for whom it is"),
    ("ranking", {"area": 0.1}, CANNOT_TELL, "a random order does as well"),
    ("ranking", {"area": -0.5}, LOOK, "worse than a random one"),
    ("placebo", {"chance": 0.001}, LOOK, "still seem to have effects"),
    ("refits", {"stays": (0.5, 0.6)}, LOOK, "50% to 60% of the users keep their arm"),
    ("refits", {"by_chance": 1.0}, CANNOT_TELL, "keep their arm"),
    ("refits", {"note": "left out for logs above 50,000 users"}, CANNOT_TELL, "left out for logs above 50,000 users"),
    ("experiment", {"verified": 0.1}, CANNOT_TELL, "400 users would show that gain four times in five"),
    ("experiment", {"verified": 0.1, "promised": True}, CANNOT_TELL, "400 users would show the model's promise"),
    ("experiment", {"verified": -0.5}, LOOK, "it is worth less"),
    ("experiment", {"verified": math.nan, "note": "both decide alike"}, CANNOT_TELL, "both decide alike"),
]


@pytest.mark.parametrize(("key", "change", "outcome", "words"), FAULTS)
def test_a_fault_is_told(key: str, change: dict[str, object], outcome: str, words: str):
    faulty = replace(SOUND, **{key: replace(getattr(SOUND, key), **change)})
    found = verdict(faulty, key)
    assert found.outcome == outcome
    assert words in found.sentence
    others = [one.outcome for one in verdicts(faulty) if one.key != key]
    assert others == [PASSED] * 7
    told = summary(verdicts(faulty))
    assert told.startswith(f"7 of 8 checks passed. {outcome.capitalize()}: ")


def test_what_is_not_known_is_said():
    assert verdict(replace(SOUND, shares=None), "shares").outcome == CANNOT_TELL
    assert verdict(replace(SOUND, experiment=None), "experiment").outcome == CANNOT_TELL
    silent = tuple(replace(one, slope=math.nan, error=math.nan, note="no slope") for one in SOUND.calibration)
    assert verdict(replace(SOUND, calibration=silent), "calibration").sentence == "no slope"
    assert farthest(silent).arm == "mail"


@pytest.mark.parametrize(
    ("slope", "error", "outcome", "words"),
    [
        (0.5, 0.1, LOOK, "smaller than predicted"),
        (1.9, 0.2, LOOK, "larger than predicted"),
        (0.6, 0.4, CANNOT_TELL, "none at all fit the log alike"),
    ],
)
def test_slopes_away_from_one_are_told(slope: float, error: float, outcome: str, words: str):
    faulty = replace(SOUND, calibration=(replace(SOUND.calibration[0], slope=slope, error=error),))
    found = verdict(faulty, "calibration")
    assert found.outcome == outcome
    assert words in found.sentence


def test_many_arms_are_allowed_more_distance():
    """A slope 2.7 standard errors from 1 has p = .007: too far for one arm, not for the worst of ten."""
    one = replace(SOUND.calibration[0], slope=0.73, error=0.1)
    assert verdict(replace(SOUND, calibration=(one,)), "calibration").outcome == LOOK
    assert verdict(replace(SOUND, calibration=(one,) * 10), "calibration").outcome == PASSED
