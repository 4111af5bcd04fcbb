"""Named public data sets, each as a Campaign with its roles: where from, under which licence, how randomised."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.files import read_table
from uplift.frames import open_frame

DATA_VARIABLE = "EARMARK_DATA"
# A checkout keeps the shared data beside itself.
BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"

HILLSTROM_URL = "https://hillstorm1.s3.us-east-2.amazonaws.com/hillstorm_no_indices.csv.gz"
HILLSTROM_SHA256 = "bab6578f60db5d792f1c2372c502f029152a5249cf5ea84390f3b7f885d7234f"
HILLSTROM_MAIL_COST = 0.1  # USD a mail: an assumption of ours, the challenge states none

THORNTON_ARMS = ("nothing", "up to 1 USD", "1 to 2 USD", "over 2 USD")


def thornton_hiv() -> Campaign:
    """Cash for collecting a test result, Malawi 2004: 2,825 users, four arms, paid only on collection.

    Value is 1 when the result was collected. The arm is the tier of the incentive (0; up to 1; 1 to 2; over 2 US
    dollars), the cost is the incentive where the result was collected, else 0. Features: distance to the centre in
    km, age in years, village number. The result of the test itself is left out: nobody should be paid by diagnosis.

    The incentive was drawn at random, but not with the same chances everywhere: in villages numbered 100 and above
    37% drew nothing, in the others 14%. So propensity is the share of each arm within its block of villages; within
    a block the shares do not differ between villages by more than chance (permutation tests: p = .11 and .08).
    Left out: users without outcome, incentive, age or village (1,995 of 4,820).

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
    """
    outcomes = ("visit", "conversion", "spend")
    if value not in outcomes:
        raise InputError(f"value is {value!r}; one of {', '.join(outcomes)} is expected")
    if not isinstance(mail_cost, int | float):
        raise InputError(f"mail_cost is {mail_cost!r}; a number of US dollars is expected")
    frame = _local("hillstrom.parquet")
    if frame is None:
        frame = _download(HILLSTROM_URL, HILLSTROM_SHA256, "hillstrom.parquet")
    wanted = ["recency", "history", "mens", "womens", "newbie", "channel", "zip_code", "segment", value]
    lacking = [column for column in wanted if column not in frame.columns]
    if lacking:
        raise InputError(f"hillstrom.parquet has no column {lacking[0]!r}; take the file of the challenge, unchanged")
    table = frame[["recency", "history", "mens", "womens", "newbie", value]].copy()
    for column, levels in {
        "channel": ("Web", "Phone", "Multichannel"),
        "zip_code": ("Urban", "Surburban", "Rural"),
    }.items():
        for level in levels:
            table[f"{column} {level}"] = (frame[column] == level).astype(np.int8)
    table["arm"] = frame["segment"].astype(str)
    arms = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
    features = [c for c in table.columns if c not in (value, "arm")]
    return Campaign.from_frame(
        table,
        features=features,
        treatment="arm",
        value=value,
        cost={arm: 0.0 if arm == arms[0] else mail_cost for arm in arms},
        propensity=dict.fromkeys(arms, 1 / 3),
        control=arms[0],
        arms=arms,
    )


def _local(name: str) -> pd.DataFrame | None:
    """The file in `$EARMARK_DATA`, or in the data folder beside a checkout; None where neither has it."""
    named = os.environ.get(DATA_VARIABLE)
    for folder in ([Path(named)] if named else []) + [BESIDE_CHECKOUT]:
        if (folder / name).is_file():
            frame: pd.DataFrame = open_frame(read_table(folder / name)).to_pandas()
            return frame
    return None


def _download(url: str, sha256: str, name: str) -> pd.DataFrame:
    """The public file, checked against its checksum; one clear message when it cannot be had."""
    import pooch

    try:
        path = pooch.retrieve(url, known_hash=f"sha256:{sha256}", path=pooch.os_cache("earmark"), progressbar=False)
    except ValueError:
        raise InputError(
            f"{url} was downloaded, but its SHA-256 is not {sha256}: the file there has changed; set {DATA_VARIABLE} "
            f"to a folder that holds {name}"
        ) from None
    except OSError as error:  # every network error is one
        raise InputError(
            f"{name} is neither in ${DATA_VARIABLE} ({os.environ.get(DATA_VARIABLE, 'not set')}) nor could {url} be "
            f"downloaded ({type(error).__name__}); set {DATA_VARIABLE} to a folder that holds {name}"
        ) from None
    return pd.read_csv(path)
