"""Where a demo's log comes from: a named public experiment, a simulation, or the user's own file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift import datasets, synthetic
from uplift.campaign import Campaign
from uplift.errors import InputError, nearest
from uplift.files import read_table
from uplift.frames import labels, open_frame
from uplift.propensity import ARM_SHARES
from uplift.seeds import stream

NAMED = ("thornton_hiv", "hillstrom", "simulated")
SIMULATED_USERS = 20_000


@dataclass(frozen=True, eq=False)
class Source:
    """A log and how to speak of it.

    `value_name` says what one unit of value is, `currency` what money is in; `budget_per_user` is the default
    budget, money per user, None to take it from the costs; `about` is one sentence for the report; `roles` how an
    own file was read; `cluster` the group of each user, (n,) names, where users of a group may be alike, or None.
    """

    name: str
    campaign: Campaign
    value_name: str
    currency: str
    budget_per_user: float | None
    about: str
    roles: Mapping[str, Any] = field(default_factory=dict)
    cluster: NDArray[np.object_] | None = None


def load(
    data: str,
    *,
    users: int | None = None,
    seed: int = 0,
    roles: Mapping[str, Any] | None = None,
    randomised: bool = True,
) -> Source:
    """The named source, or the user's own Parquet or CSV log read with `roles` (see `Campaign.from_frame`).

    `users` draws that many users at random (a simulation makes exactly that many); None takes all. Roles besides
    those of a campaign: `currency`, `value_name`, and `cluster`, the column of each user's group. `randomised` takes
    an own log without propensities for one in which every user had the same chances; False refuses it.
    Raises InputError for a name or file that does not exist, and for more users than there are.
    """
    if users is not None and users < 2:
        raise InputError(f"users is {users:,}; at least 2 are expected, some to learn from and some to verify on")
    own = sorted(f"--{k.replace('_', '-')}" for k, v in (roles or {}).items() if v is not None)
    if data in NAMED and own:
        raise InputError(f"{', '.join(own)} describe your own log; {data} knows its columns: leave them out")
    if data == "simulated":
        return _simulated(users or SIMULATED_USERS, seed)
    if data == "thornton_hiv":
        source = _thornton()
    elif data == "hillstrom":
        source = _hillstrom()
    elif Path(data).suffix.lower() in (".parquet", ".csv"):
        source = _own(Path(data), roles or {}, randomised)
    else:
        raise InputError(
            f"data {data!r} is neither a named set nor the path of a .parquet or .csv file.{nearest(data, NAMED)}"
        )
    if users is None:
        return source
    have = len(source.campaign)
    if users > have:
        raise InputError(f"{users:,} users were asked for, {source.name} has {have:,}; ask for that many at most")
    rows = np.sort(stream(seed, "sample of users").permutation(have)[:users])
    cluster = None if source.cluster is None else source.cluster[rows]
    return replace(source, campaign=source.campaign.take(rows), cluster=cluster)


def _thornton() -> Source:
    return Source(
        name="thornton_hiv",
        campaign=datasets.thornton_hiv(),
        value_name="results collected",
        currency="USD",
        budget_per_user=1.0,
        about="Cash for collecting a test result, Malawi 2004 (Thornton 2008, American Economic Review 98(5)): the "
        "amount was drawn at random and paid only on collection.",
    )


def _hillstrom() -> Source:
    return Source(
        name="hillstrom",
        campaign=datasets.hillstrom(),
        value_name="visits",
        currency="USD",
        budget_per_user=0.05,
        about="An e-mail test of 2008 (Hillstrom, MineThatData challenge): no mail, men's or women's mail at random. "
        f"That a mail costs {datasets.HILLSTROM_MAIL_COST:.2f} USD is our assumption; the source states no cost.",
    )


def _simulated(users: int, seed: int) -> Source:
    return Source(
        name="simulated",
        campaign=synthetic.simulate(users, seed=seed).campaign,
        value_name="revenue in EUR",
        currency="EUR",
        budget_per_user=0.5,
        about="A simulated campaign of four doses of money, paid only on redemption; its truth is known to the "
        "simulation and hidden from the policies.",
    )


def _own(path: Path, roles: Mapping[str, Any], randomised: bool) -> Source:
    missing = [f"--{name}" for name in ("treatment", "value", "features", "cost") if not roles.get(name)]
    if missing:
        raise InputError(
            f"to read {path}, say which column is what: {', '.join(missing)} missing (see --help). Where an arm "
            "costs nothing, say so: --cost none=0,mail=0.1"
        )
    if not randomised and not roles.get("propensity"):
        raise InputError(
            f"{path} comes without propensities, so nothing can be verified on it: state the chance of each arm, "
            f"--propensity none=.5,mail=.5, or declare that every user had the same chances: "
            f'--propensity "{ARM_SHARES}"'
        )
    given = {k: v for k, v in roles.items() if v is not None and k not in ("currency", "value_name", "cluster")}
    given = {"control": "none", "propensity": ARM_SHARES} | given
    campaign = Campaign.from_parquet(path, **given)
    cluster = roles.get("cluster")
    if cluster is not None:
        given |= {"cluster": cluster}
    return Source(
        name=path.name,
        campaign=campaign,
        value_name=str(roles.get("value_name") or roles["value"]),
        currency=str(roles.get("currency") or ""),
        budget_per_user=None,
        about="Your own log.",
        roles={k: dict(v) if isinstance(v, Mapping) else v for k, v in given.items()},
        cluster=None if cluster is None else labels(open_frame(read_table(path, [cluster])), cluster, "cluster"),
    )
