"""Named public data sets: where from, under which licence, how randomised, with which roles, what misleads.

A loader looks for its file in the folder that `$EARMARK_DATA` names, then in `../shared/data` beside a checkout, then
downloads it with a checksum where a public address is known for certain; else InputError says what to put where.
`names()` lists the loaders, `overview()` is the table behind them. None of the data are part of this package.
"""

from __future__ import annotations

from pathlib import Path

from uplift.datasets.criteo import criteo_uplift
from uplift.datasets.logs import BanditLog, BehaviourLog, amazon_beauty, amazon_video_games, open_bandit
from uplift.datasets.observed import SemiSynthetic, ihdp, lalonde
from uplift.datasets.randomised import HILLSTROM_MAIL_COST, THORNTON_ARMS, hillstrom, social_pressure, thornton_hiv
from uplift.datasets.registry import (
    DATA_SETS,
    HILLSTROM_SHA256,
    HILLSTROM_URL,
    DataSet,
    describe,
    names,
    overview,
)
from uplift.datasets.store import DATA_VARIABLE, knapsack

BESIDE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared" / "data"
"""The folder beside a checkout in which loaders look after that of `$EARMARK_DATA`."""

__all__ = [
    "BESIDE_CHECKOUT",
    "DATA_SETS",
    "DATA_VARIABLE",
    "HILLSTROM_MAIL_COST",
    "HILLSTROM_SHA256",
    "HILLSTROM_URL",
    "THORNTON_ARMS",
    "BanditLog",
    "BehaviourLog",
    "DataSet",
    "SemiSynthetic",
    "amazon_beauty",
    "amazon_video_games",
    "criteo_uplift",
    "describe",
    "hillstrom",
    "ihdp",
    "knapsack",
    "lalonde",
    "names",
    "open_bandit",
    "overview",
    "social_pressure",
    "thornton_hiv",
]
