"""What the checks of a run say: a verdict each, in words, with the figure that carries it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from allocation.jobs.analyst.certainty import Z95
from allocation.jobs.analyst.evidence import Checks
from allocation.jobs.analyst.evidence_log import Balance, Shares, Support
from allocation.jobs.analyst.evidence_model import Calibration, Ranking
from allocation.jobs.analyst.evidence_next import Experiment, Refits
from allocation.jobs.numbers import decimals, number, two_digits, with_interval
from uplift.words import counted

PASSED, LOOK, CANNOT_TELL = "passed", "look here", "cannot tell"
DOUBT = 0.01  # p-value below which chance is no longer the explanation: a sound log falls below once in a hundred
COARSE = 0.25  # standard deviations that an interval of a balance may reach to either side and still tell something
ASKED = {
    "shares": ("Randomisation", "Were the arms drawn as stated?"),
    "balance": ("Balance", "Do the arms have the same kind of users?"),
    "support": ("Support", "Did enough users receive what is decided for them?"),
    "calibration": ("Calibration", "Are effects as large as predicted?"),
    "ranking": ("Ranking", "Do users who are ranked first gain more?"),
    "placebo": ("Placebo", "Is nothing found where nothing is?"),
    "refits": ("Stability", "Would another log decide alike?"),
    "experiment": ("Proof", "Is it worth more than the best baseline, and what would show it?"),
}
STEADY = 0.5  # share of the changes by blind dealing up to which a decision is called stable


@dataclass(frozen=True)
class Verdict:
    """A check: its `key` among those of `Checks`, what it is about, what it asks, its outcome, and why."""

    key: str
    topic: str
    question: str
    outcome: str
    sentence: str


def verdicts(checks: Checks, value_name: str = "value") -> tuple[Verdict, ...]:
    """All verdicts, those on the log first; `value_name` is what a unit of value is."""
    unit = f"{value_name} a user"
    found = {
        "shares": _shares(checks.shares, checks.arms),
        "balance": _balance(checks.balance, checks.arms),
        "support": _support(checks.support, checks.arms),
        "calibration": _calibration(checks.calibration),
        "ranking": _ranking(checks.ranking, unit),
        "placebo": _placebo(checks.placebo, unit),
        "refits": _refits(checks.refits),
        "experiment": _experiment(checks.experiment, unit),
    }
    return tuple(Verdict(key, *ASKED[key], *said) for key, said in found.items())


def summary(found: tuple[Verdict, ...]) -> str:
    """How many passed, and which did not, in one sentence."""
    passed = sum(v.outcome == PASSED for v in found)
    parts = [f"{passed} of {len(found)} checks passed"]
    for outcome in (LOOK, CANNOT_TELL):
        topics = [v.topic.lower() for v in found if v.outcome == outcome]
        if topics:
            parts.append(f"{outcome}: {', '.join(topics)}")
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


def _p_value(p: float) -> str:
    return "p below 0.001" if p < 0.001 else f"p = {p:.2g}"


def _shares(found: Shares | None, arms: tuple[str, ...]) -> tuple[str, str]:
    if found is None:
        return CANNOT_TELL, "no chances are stated, so no count can be held against them"
    test = f"{found.test} test of {found.users:,} users, {_p_value(found.chance)}"
    if found.own:
        return CANNOT_TELL, "the stated chances are the log's own shares, which no count can contradict"
    off = np.abs(np.asarray(found.logged) - found.expected) / np.maximum(found.error, 1e-300)
    j = int(np.argmax(off))
    if found.chance < DOUBT:
        return LOOK, (
            f"arm {arms[j]} has {found.logged[j]:.2%} of the users, {found.expected[j]:.2%} are expected ({test})"
        )
    return PASSED, f"the counts of {len(arms)} arms fit the stated chances ({test})"


def _balance(found: Balance, arms: tuple[str, ...]) -> tuple[str, str]:
    j, k = found.largest()[0]
    difference, error = found.difference[j][k], found.error[j][k]
    shown = with_interval(difference, difference - Z95 * error, difference + Z95 * error, 2, sign=True)
    where = f"{found.features[k]} in arm {arms[j + 1]}: {shown} standard deviations"
    chance = f"{_p_value(found.chance)} among {counted(found.compared, 'comparison')}"
    if found.chance < DOUBT:
        return LOOK, f"{where} away from control, more than chance makes ({chance})"
    if Z95 * max(max(row) for row in found.error) > COARSE:
        return CANNOT_TELL, f"the arms are too small to see a difference of {COARSE} standard deviations ({where})"
    return PASSED, f"no feature differs by more than chance makes; most {where} ({chance})"


def _support(found: Support, arms: tuple[str, ...]) -> tuple[str, str]:
    used = [j for j in range(len(arms)) if found.decided[j]]
    j = min(used, key=lambda arm: found.effective[arm])
    together = f"{found.together:,.0f} in all arms together"
    if max(found.more) > 0:
        j = int(np.argmax(found.more))
        return LOOK, (
            f"arm {arms[j]} was received by {found.effective[j]:,.0f} effective of {found.decided[j]:,} users for "
            f"whom it is decided; {found.needed} are needed, so log {found.more[j]:,} more of it ({together})"
        )
    return PASSED, (
        f"at least {found.effective[j]:,.0f} effective users in each arm that is used, fewest in {arms[j]}, and "
        f"{together}; {found.needed} are needed"
    )


def _calibration(found: tuple[Calibration, ...]) -> tuple[str, str]:
    known = [one for one in found if not one.note]
    if not known:
        return CANNOT_TELL, found[0].note if found else "there is no arm but control"
    worst = farthest(found)
    low, high = worst.interval
    shown = with_interval(worst.slope, low, high, 2)
    chance = min(1.0, len(known) * worst.against_one)
    among = f" among {len(known)} arms" if len(known) > 1 else ""
    said = f"arm {worst.arm}: slope {shown}, {_p_value(chance)} against 1{among}"
    if chance < DOUBT:
        wide = "differences between users are smaller than predicted"
        narrow = "differences between users are larger than predicted"
        return LOOK, f"{wide if worst.slope < 1 else narrow} ({said})"
    if all(one.interval[0] <= 0 <= one.interval[1] for one in known):
        return CANNOT_TELL, f"effects as predicted and none at all fit the log alike ({said})"
    return PASSED, f"of each unit predicted about one arrives; farthest from it {said}"


def farthest(found: tuple[Calibration, ...]) -> Calibration:
    """The arm whose slope speaks most against 1; the first where there is none with a slope."""
    known = [one for one in found if not one.note]
    return min(known, key=lambda one: one.against_one) if known else found[0]


def _ranking(found: Ranking, unit: str) -> tuple[str, str]:
    low, high = found.interval
    shown = with_interval(found.area, low, high, two_digits(found.area), sign=True)
    said = f"{shown} {unit} above a random order, on average over all shares treated"
    if found.area_error > 0 and low > 0:
        return PASSED, said
    if found.area_error > 0 and high < 0:
        return LOOK, f"the order is worse than a random one: {said}"
    return CANNOT_TELL, f"a random order does as well, within the noise: {said}"


def _placebo(found: Ranking, unit: str) -> tuple[str, str]:
    low, high = found.interval
    shown = with_interval(found.area, low, high, two_digits(max(abs(low), abs(high))), sign=True)
    if found.chance < DOUBT:
        return LOOK, f"arms dealt out anew still seem to have effects: {shown} {unit} ({_p_value(found.chance)})"
    return PASSED, f"with arms dealt out anew the model's order gains {shown} {unit} ({_p_value(found.chance)})"


def _refits(found: Refits) -> tuple[str, str]:
    if found.note:
        return CANNOT_TELL, found.note
    low, high = min(found.stays), max(found.stays)
    said = (
        f"{low:.0%} to {high:.0%} of the users keep their arm in {len(found.stays)} refits on half of the training "
        f"log; {found.by_chance:.0%} would if the arms were dealt out blindly"
    )
    if found.by_chance >= 1:
        return CANNOT_TELL, said
    moved = (1 - float(np.mean(found.stays))) / (1 - found.by_chance)
    return (PASSED if moved <= STEADY else LOOK), said


def _experiment(found: Experiment | None, unit: str) -> tuple[str, str]:
    if found is None:
        return CANNOT_TELL, "no baseline has a verified value at this budget"
    if math.isnan(found.verified):
        return CANNOT_TELL, found.note
    reach = Z95 * found.error
    low, high = found.verified - reach, found.verified + reach
    shown = with_interval(found.verified, low, high, decimals(found.verified), sign=True)
    said = f"{shown} {unit} beside {found.reference}"
    if low > 0:
        return PASSED, said
    if high < 0:
        return LOOK, f"it is worth less: {said}"
    least = [users for users in found.needed if not math.isnan(users)]
    what = "the model's promise" if found.promised else "that gain"
    more = f"; {number(min(least), 0)} users would show {what} four times in five" if least else f"; {found.note}"
    return CANNOT_TELL, said + more.rstrip("; ")
