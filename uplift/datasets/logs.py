"""Logs of recommendations: what a policy showed and how likely it was to, and what users bought in time order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uplift.datasets.store import fetch, read
from uplift.errors import InputError

OPEN_BANDIT_ITEMS = {"all": 80, "men": 34, "women": 46}
SEGMENTS = tuple(f"user_feature_{j}" for j in range(4))


@dataclass(frozen=True, eq=False)
class BanditLog:
    """What a policy showed, one row an impression, in the form that off-policy evaluation needs.

    No Campaign: there is no control, and of the policy's probabilities only that of the shown item is logged.

    Attributes
    ----------
    action : (n,) int64 in 0..n_actions-1, the item shown.
    position : (n,) int64 in 1..3, the place on the page: left, centre, right.
    reward : (n,) float64, 1 when the item was clicked.
    propensity : (n,) float64, the policy's probability of that item at that place.
    n_actions : how many items the campaign has.
    affinity : (n, n_actions) float32, the user's past clicks on each item.
    segments : (n, 4) frame of the user's hashed features, as text.
    timestamp : (n,) datetime64, UTC.
    """

    action: NDArray[np.int64]
    position: NDArray[np.int64]
    reward: NDArray[np.float64]
    propensity: NDArray[np.float64]
    n_actions: int
    affinity: NDArray[np.float32]
    segments: pd.DataFrame
    timestamp: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.action)


@dataclass(frozen=True, eq=False)
class BehaviourLog:
    """What users did, one row an event, users in ascending order and each user's events in time order.

    Attributes
    ----------
    user : (n,) int64, from 1.
    item : (n,) int64, from 1; 0 is free for padding.
    position : (n,) int64, the event's place in the user's history, from 0.
    n_users, n_items : how many users and items there are.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    position: NDArray[np.int64]
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.user)


def open_bandit(policy: str = "random", campaign: str = "all") -> BanditLog:
    """Fashion recommendations of one week, logged under a known policy: 10,000 impressions a file.

    `policy` is "random" (each item equally likely) or "bts" (Thompson sampling, trained beforehand); `campaign` is
    "all", "men" or "women" (80, 34, 46 items). Page views were assigned to a policy at random, so the mean reward of
    one policy's log is the yardstick for its off-policy estimate from the other's.

    Misleads: 38 to 69 clicks a file, so the yardstick itself is known to about 15%; propensities of "bts" go down to
    1e-6, so weights go up to 1e6 in its log and estimates of "random" from it rest on few rows; a page shows three
    items, so rows are not independent; users are not identified.

    Read from `open_bandit/{policy}_{campaign}.parquet`: the public CSV's columns, the position counted from 1.
    Source: Saito, Aihara, Matsutani, Narita 2020, arXiv 2008.07146; small version, repository st-tech/zr-obp
    (Apache-2.0), folder obd. Raises InputError for an unknown policy or campaign, and for a missing file.
    """
    for what, got, known in (
        ("policy", policy, ("random", "bts")),
        ("campaign", campaign, tuple(OPEN_BANDIT_ITEMS)),
    ):
        if got not in known:
            raise InputError(f"{what} is {got!r}; one of {', '.join(known)} is expected")
    n_actions = OPEN_BANDIT_ITEMS[campaign]
    affinity = [f"user-item_affinity_{j}" for j in range(n_actions)]
    own = ["item_id", "position", "click", "propensity_score", "timestamp"]
    frame = read("open_bandit", [*own, *SEGMENTS, *affinity], f"open_bandit/{policy}_{campaign}.parquet")
    return BanditLog(
        action=frame["item_id"].to_numpy(dtype=np.int64),
        position=frame["position"].to_numpy(dtype=np.int64),
        reward=frame["click"].to_numpy(dtype=np.float64),
        propensity=frame["propensity_score"].to_numpy(dtype=np.float64),
        n_actions=n_actions,
        affinity=frame[affinity].to_numpy(dtype=np.float32),
        segments=frame[list(SEGMENTS)].astype(str),
        timestamp=frame["timestamp"].dt.tz_convert(None).to_numpy(),
    )


def amazon_beauty() -> BehaviourLog:
    """Reviews of beauty products in time order: 22,363 users, 12,101 items, 198,502 events, at least 5 a user.

    Nothing was randomised: what is in the log was bought and reviewed, an item that is not was perhaps never seen.
    Read from `amazon_beauty.parquet` (columns user, item, pos). Source: Amazon product reviews; no licence stated.
    Raises InputError for a missing file or column, and for events in another order.
    """
    frame = read("amazon_beauty", ["user", "item", "pos"])
    log = _behaviour(frame["user"].to_numpy(dtype=np.int64), frame["item"].to_numpy(dtype=np.int64), "amazon_beauty")
    if (log.position != frame["pos"]).any():
        raise InputError(
            "amazon_beauty.parquet: pos does not count each user's events from 0; take the file unchanged"
        )
    return log


def amazon_video_games() -> BehaviourLog:
    """Reviews of video games in time order: 31,013 users, 23,715 items, 287,107 events, some users with one only.

    Nothing was randomised: what is in the log was bought and reviewed, an item that is not was perhaps never seen.
    Read from `amazon_video_games.txt.gz` (user and item, one event a line), else downloaded with a checksum from the
    repository kang205/SASRec. Source: Amazon product reviews; no licence stated.
    Raises InputError for a file that cannot be had or read, and for users in another order.
    """
    path = fetch("amazon_video_games")
    try:
        frame = pd.read_csv(path, sep=" ", header=None, names=["user", "item"], dtype=np.int64)
        if frame.empty:
            raise EOFError
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}); two whole numbers a line are expected, user and item"
        ) from None
    return _behaviour(frame["user"].to_numpy(), frame["item"].to_numpy(), path.name)


def _behaviour(user: NDArray[np.int64], item: NDArray[np.int64], what: str) -> BehaviourLog:
    if (np.diff(user) < 0).any():
        row = int(np.argmax(np.diff(user) < 0)) + 1
        raise InputError(f"{what}: users are not in ascending order from row {row:,} on; take the file unchanged")
    first = np.flatnonzero(np.diff(user, prepend=user[:1] - 1))
    counts = np.diff(first, append=len(user))
    position = np.arange(len(user)) - np.repeat(first, counts)
    return BehaviourLog(user, item, position, len(first), len(np.unique(item)))
