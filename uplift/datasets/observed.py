"""Logs whose arms were not drawn at random, with the yardstick beside them: known outcomes, or an experiment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from uplift.campaign import Campaign
from uplift.datasets.store import read
from uplift.errors import InputError
from uplift.response import Response

IHDP_ARMS = ("control", "treated")
IHDP_REPLICATIONS = 10

LALONDE_ARMS = ("control", "training")
LALONDE_COLUMNS = ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")


@dataclass(frozen=True, eq=False)
class SemiSynthetic:
    """A log of real users with simulated outcomes, and the expected outcomes; row i of both is the same user.

    campaign : the log as an analyst gets it. truth : expected value (n, K+1) and cost of every arm.
    """

    campaign: Campaign
    truth: Response


def ihdp(replication: int = 0) -> SemiSynthetic:
    """Infant health and development, semi-synthetic: 747 children, 25 real features, outcomes drawn from known ones.

    `replication` is 0 to 9. `campaign` has the simulated outcome as value, no cost and no propensity; `truth` has the
    expected outcome of either arm (mu0, mu1) as value and zeros as cost, so its `effect` is the yardstick of PEHE.
    Features x1 to x6 are standardised numbers, the others codes of two levels (x14 is 1 or 2, the rest 0 or 1).

    Confounded by design: of the randomised study's treated children a non-random part was removed (139 are left
    beside 608 controls). Misleads: the scale of the outcome differs between replications (standard deviation of the
    effect from 0.3 to 27 in these ten; replication 8 is far out), so a mean of root PEHE over replications is
    governed by one or two of them: show each.

    Read from `ihdp_10reps.parquet`: columns rep (1 to 10), treatment, y_factual, mu0, mu1, x1 to x25.
    Source: Hill 2011, Journal of Computational and Graphical Statistics 20(1), 217-240; no licence stated.
    Raises InputError for another replication, and for a missing file.
    """
    known = isinstance(replication, int | np.integer) and not isinstance(replication, bool)
    if not known or not 0 <= replication < IHDP_REPLICATIONS:
        raise InputError(
            f"replication is {replication!r}; a whole number from 0 to {IHDP_REPLICATIONS - 1} is expected"
        )
    features = [f"x{j}" for j in range(1, 26)]
    frame = read("ihdp", ["rep", "treatment", "y_factual", "mu0", "mu1", *features])
    rows = frame[frame["rep"] == replication + 1]
    table = rows[["y_factual", *features]].assign(arm=np.asarray(IHDP_ARMS, dtype=object)[rows["treatment"]])
    campaign = Campaign.from_frame(
        table, features=features, treatment="arm", value="y_factual", control=IHDP_ARMS[0], arms=IHDP_ARMS
    )
    value = rows[["mu0", "mu1"]].to_numpy(dtype=np.float64)
    return SemiSynthetic(campaign, Response(value, np.zeros_like(value), IHDP_ARMS, campaign.user_id))


def lalonde(controls: str = "nsw") -> Campaign:
    """Job training and earnings of 1978: the randomised controls, or survey controls in their place.

    `controls="nsw"` is the experiment: 185 trained and 260 controls, drawn at random; propensity is the share of each
    arm. `controls="cps"` keeps the 185 trained and takes 15,992 users of the Current Population Survey as controls:
    confounded, no propensity. Value is `re78`, earnings of 1978 in US dollars of 1982; no cost is logged. Features:
    age and education in years, black, hisp, marr, nodegree (0/1), re74 and re75 (earnings in dollars), and whether
    these were zero (no_re74, no_re75), a heap of its own: many of the trained had earned nothing.

    The experiment's difference in means is the yardstick: 1,794 dollars, standard error about 670. Misleads: the
    survey's users hardly resemble the trained, the naive difference is about -8,500 dollars; most earned far more
    before. The experiment is the subsample of Dehejia and Wahba with earnings of 1974 known, not all of LaLonde's.

    Always at hand: data sets nsw_mixtape and cps_mixtape of the package causaldata (MIT).
    Source: LaLonde 1986, American Economic Review 76(4), 604-620; Dehejia and Wahba 1999, Journal of the American
    Statistical Association 94(448), 1053-1062. Raises InputError for other controls.
    """
    if controls not in ("nsw", "cps"):
        raise InputError(f"controls is {controls!r}; 'nsw' (the experiment's) or 'cps' (the survey's) is expected")
    from causaldata import cps_mixtape, nsw_mixtape

    frame = nsw_mixtape.load_pandas().data
    if controls == "cps":
        frame = pd.concat([frame[frame["treat"] == 1], cps_mixtape.load_pandas().data], ignore_index=True)
    arm = np.asarray(LALONDE_ARMS, dtype=object)[frame["treat"].to_numpy(dtype=np.int64)]
    nothing = {"no_re74": frame["re74"] == 0, "no_re75": frame["re75"] == 0}
    return Campaign.from_frame(
        frame[[*LALONDE_COLUMNS, "re78"]].assign(arm=arm, **nothing),
        features=[*LALONDE_COLUMNS, *nothing],
        treatment="arm",
        value="re78",
        propensity="arm shares" if controls == "nsw" else None,
        control=LALONDE_ARMS[0],
        arms=LALONDE_ARMS,
    )
