"""The checks of a run as tidy frames, to be drawn: estimates with the ends of their 95% intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from allocation.evaluation.designs import AB, BEST, SAME, UNIFORM
from allocation.jobs.analyst.certainty import Z95
from allocation.jobs.analyst.evidence import Checks
from allocation.jobs.analyst.evidence_model import Calibration
from allocation.jobs.numbers import number

SHOWN = 12  # features of a balance that are drawn
MODEL, PLACEBO, RANDOM_ORDER = "model", "placebo", "random order"
ALL_USERS = "all users"
QUARTERS = ("closest choices", "second quarter", "third quarter", "clearest choices")
DESIGNS = {
    SAME: "arms as in this log",
    UNIFORM: "every arm alike",
    BEST: "least noisy shares",
    AB: "A/B of the two policies",
}
THIS_LOG = "this log has"


def shares_frame(checks: Checks) -> pd.DataFrame:
    """`arm`, `expected`, `logged`, `low`, `high`: shares of the users, 0 to 1; no rows without stated chances."""
    found = checks.shares
    if found is None:
        return pd.DataFrame(columns=["arm", "expected", "logged", "low", "high"])
    frame = pd.DataFrame({"arm": checks.arms, "expected": found.expected, "logged": found.logged})
    return _ranged(frame, "logged", found.error)


def balance_frame(checks: Checks, shown: int = SHOWN) -> pd.DataFrame:
    """`feature`, `arm`, `difference`, `low`, `high` in standard deviations: a feature's least likely difference, the
    least likely features first, up to `shown`."""
    found = checks.balance
    cells = found.largest()[:shown]
    frame = pd.DataFrame(
        {
            "feature": [found.features[k] for _, k in cells],
            "arm": [checks.arms[j + 1] for j, _ in cells],
            "difference": [found.difference[j][k] for j, k in cells],
        }
    )
    return _ranged(frame, "difference", [found.error[j][k] for j, k in cells])


def support_frame(checks: Checks) -> pd.DataFrame:
    """`arm`, `effective` users of the arms that are decided for."""
    found = checks.support
    used = [j for j, users in enumerate(found.decided) if users]
    return pd.DataFrame({"arm": [checks.arms[j] for j in used], "effective": [found.effective[j] for j in used]})


def calibration_frame(found: Calibration) -> pd.DataFrame:
    """`predicted`, `verified`, `low`, `high` of each bin, value units a user."""
    frame = pd.DataFrame({"predicted": found.predicted, "verified": found.verified})
    return _ranged(frame, "verified", found.verified_error)


def ranking_frame(checks: Checks) -> pd.DataFrame:
    """`curve` (model, placebo, random order), `share` treated, `gain`, `low`, `high`, value units a user of all."""
    frames = []
    for name, found in ((MODEL, checks.ranking), (PLACEBO, checks.placebo)):
        frame = pd.DataFrame({"curve": name, "share": found.share, "gain": found.gain})
        frames.append(_ranged(frame, "gain", found.error))
    end = checks.ranking.gain[-1]
    line = {"curve": RANDOM_ORDER, "share": [0.0, 1.0], "gain": [0.0, end], "low": math.nan, "high": math.nan}
    return pd.concat([*frames, pd.DataFrame(line)], ignore_index=True)


def refits_frame(checks: Checks) -> pd.DataFrame:
    """`users`, `stays`, `low`, `high`: share whose arm stays, over refits; the ends are the lowest and the highest
    refit, for all users alone."""
    found = checks.refits
    if found.note:
        return pd.DataFrame(columns=["users", "stays", "low", "high"])
    mean = sum(found.stays) / len(found.stays)
    rows = [(ALL_USERS, mean, min(found.stays), max(found.stays))]
    rows += [
        (name, share, math.nan, math.nan)
        for name, share in zip(QUARTERS, found.quarters, strict=False)
        if not math.isnan(share)
    ]
    return pd.DataFrame(rows, columns=["users", "stays", "low", "high"])


def experiment_frame(checks: Checks) -> pd.DataFrame:
    """`design`, `users` needed, `label`; the last row is the log itself. No rows where there is no number."""
    found = checks.experiment
    needed = [] if found is None else [row for row in zip(found.designs, found.needed, strict=True) if row[1] > 0]
    if found is None or not needed:
        return pd.DataFrame(columns=["design", "users", "label"])
    rows = [(DESIGNS.get(name, name), users) for name, users in needed] + [(THIS_LOG, float(found.users))]
    frame = pd.DataFrame(rows, columns=["design", "users"])
    return frame.assign(label=[f"{number(users, 0)} users" for users in frame["users"]])


def _ranged(frame: pd.DataFrame, column: str, error: Sequence[float]) -> pd.DataFrame:
    reach = Z95 * pd.Series(error, dtype=float, index=frame.index)
    return frame.assign(low=frame[column] - reach, high=frame[column] + reach)
