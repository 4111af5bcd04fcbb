"""Randomised campaigns of two to five arms: cash for a test result, an e-mail test, mailings before a vote."""

from __future__ import annotations

import numpy as np
import pandas as pd

from uplift.campaign import Campaign
from uplift.datasets.store import read
from uplift.errors import InputError

HILLSTROM_MAIL_COST = 0.1
"""US dollars a mail in `hillstrom`, 0.1: an assumption of ours, the challenge states none."""
SOCIAL_PRESSURE_MAIL_COST = 0.5  # USD a letter: an assumption of ours

THORNTON_ARMS = ("nothing", "up to 1 USD", "1 to 2 USD", "over 2 USD")
"""Names of the arms of `thornton_hiv`, tiers of the incentive in US dollars; the first is control."""
HILLSTROM_ARMS = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
SOCIAL_PRESSURE_ARMS = ("Control", "Civic Duty", "Hawthorne", "Self", "Neighbors")


def thornton_hiv() -> Campaign:
    """Cash for collecting a test result, Malawi 2004: 2,825 users, four arms, paid only on collection.

    Value is 1 when the result was collected. The arm is the tier of the incentive (0; up to 1; 1 to 2; over 2 US
    dollars), the cost is the incentive where the result was collected, else 0. Features: distance to the centre in
    km, age in years, village number. The result of the test itself is left out: nobody should be paid by diagnosis.

    The incentive was drawn at random, but not with the same chances everywhere: in villages numbered 100 and above
    37% drew nothing, in the others 14%. So propensity is the share of each arm within its block of villages; within
    a block the shares do not differ between villages by more than chance (permutation tests: p = .11 and .08).
    Left out: users without outcome, incentive, distance, age or village (1,995 of 4,820).

    Misleads where users of a village move together: intervals that take users as independent are then too narrow.

    Source: Thornton 2008, American Economic Review 98(5), 1829-1863; data with the package causaldata (MIT).
    """
    from causaldata import thornton_hiv as source

    frame = source.load_pandas().data[["villnum", "distvct", "age", "tinc", "got"]].dropna()
    tier = np.digitize(frame["tinc"], [0.0, 1.0, 2.0], right=True)
    block = (frame["villnum"] >= 100).to_numpy()
    propensity = np.empty((len(frame), len(THORNTON_ARMS)))
    for member in (False, True):
        rows = block == member
        propensity[rows] = np.bincount(tier[rows], minlength=len(THORNTON_ARMS)) / rows.sum()
    table = pd.DataFrame(
        {
            "distance_km": frame["distvct"],
            "age": frame["age"],
            "village": frame["villnum"],
            "arm": np.asarray(THORNTON_ARMS, dtype=object)[tier],
            "collected": frame["got"],
            "paid": frame["tinc"] * frame["got"],
        }
    )
    return Campaign.from_frame(
        table,
        features=["distance_km", "age", "village"],
        treatment="arm",
        value="collected",
        cost="paid",
        propensity=propensity,
        control="nothing",
        arms=THORNTON_ARMS,
    )


def hillstrom(*, value: str = "visit", mail_cost: float = HILLSTROM_MAIL_COST) -> Campaign:
    """An e-mail test of 2008: 64,000 customers, no mail, men's or women's mail, a third each at random.

    `value` is "visit" (0/1 within two weeks), "conversion" (0/1) or "spend" (US dollars). A mail costs `mail_cost`
    US dollars whatever follows; the figure is an assumption, the challenge states none. Features: recency (months),
    history (dollars of the past year), mens, womens, newbie (0/1), channel and zip code as 0/1 columns.

    Read from `hillstrom.parquet` in the folder that `$EARMARK_DATA` names, else in `../shared/data` beside the
    checkout, else downloaded with a checksum into the user's cache folder.
    Source: Kevin Hillstrom, The MineThatData E-Mail Analytics And Data Mining Challenge, 2008; no licence stated.
    Raises InputError for another `value`, a cost that is no number, and a file that cannot be had.
    """
    outcomes = ("visit", "conversion", "spend")
    if value not in outcomes:
        raise InputError(f"value is {value!r}; one of {', '.join(outcomes)} is expected")
    _check_cost(mail_cost)
    known = ["recency", "history", "mens", "womens", "newbie"]
    frame = read("hillstrom", [*known, "channel", "zip_code", "segment", value])
    table = frame[[*known, value]].copy()
    for column, levels in {
        "channel": ("Web", "Phone", "Multichannel"),
        "zip_code": ("Urban", "Surburban", "Rural"),
    }.items():
        for level in levels:
            table[f"{column} {level}"] = (frame[column] == level).astype(np.int8)
    table["arm"] = frame["segment"].astype(str)
    features = [c for c in table.columns if c not in (value, "arm")]
    return Campaign.from_frame(
        table,
        features=features,
        treatment="arm",
        value=value,
        cost=_unit_cost(HILLSTROM_ARMS, mail_cost),
        propensity=dict.fromkeys(HILLSTROM_ARMS, 1 / 3),
        control=HILLSTROM_ARMS[0],
        arms=HILLSTROM_ARMS,
    )


def social_pressure(*, mail_cost: float = SOCIAL_PRESSURE_MAIL_COST) -> Campaign:
    """Letters that urge to vote, Michigan, August 2006: 344,084 registered voters, no letter or one of four.

    Value is 1 when the user voted in the primary of August 2006. Arms in the order of the pressure that the letter
    puts on: none, civic duty, "you are being studied", the household's own past turnout, the neighbours' as well.
    A letter costs `mail_cost` US dollars whatever follows; the figure is an assumption, the study states none used
    here. Features: female (0/1), yob (year of birth), turnout (0/1) in the general elections of 2000 and 2002 and the
    primaries of 2000, 2002 and 2004, hh_size (voters in the household). Turnout in the general election of 2004 is
    left out: it is 1 for everybody in the file.

    Propensity is the share of each arm (5 to 9 on control, 1 to 9 on each letter).
    Misleads: households were randomised, not users, and the file has no household id. So standard errors that take
    users as independent are too small, a random split puts one household on both sides, and one letter serves a whole
    household while `cost` counts it once a user.

    Read from `social_pressure.parquet` in the folder that `$EARMARK_DATA` names, else in `../shared/data` beside the
    checkout; no public address of that file is known, so else InputError says what to put where.
    Source: Gerber, Green, Larimer 2008, American Political Science Review 102(1), 33-48; no licence stated.
    Raises InputError for a cost that is no number, and where the file is missing.
    """
    _check_cost(mail_cost)
    known = ["yob", "g2000", "g2002", "p2000", "p2002", "p2004", "hh_size"]
    frame = read("social_pressure", [*known, "sex", "treatment", "voted"])
    table = frame[[*known, "voted"]].copy()
    table["female"] = (frame["sex"] == "female").astype(np.int8)
    table["arm"] = frame["treatment"].astype(str)
    return Campaign.from_frame(
        table,
        features=["female", *known],
        treatment="arm",
        value="voted",
        cost=_unit_cost(SOCIAL_PRESSURE_ARMS, mail_cost),
        propensity="arm shares",
        control=SOCIAL_PRESSURE_ARMS[0],
        arms=SOCIAL_PRESSURE_ARMS,
    )


def _check_cost(mail_cost: float) -> None:
    if isinstance(mail_cost, bool) or not isinstance(mail_cost, int | float | np.number):
        raise InputError(f"mail_cost is {mail_cost!r}; a number of US dollars is expected")


def _unit_cost(arms: tuple[str, ...], mail_cost: float) -> dict[str, float]:
    """Control costs nothing, every other arm the same."""
    return {arm: 0.0 if arm == arms[0] else mail_cost for arm in arms}
