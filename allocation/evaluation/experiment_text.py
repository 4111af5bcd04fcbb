"""The next experiment in words, within 80 columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy.special import ndtri

from allocation.evaluation.designs import AB, BEST, GIVEN, SAME, UNIFORM
from uplift.words import wrapped

if TYPE_CHECKING:
    from allocation.evaluation.experiment_result import NextExperiment

MEANING = {
    SAME: "arms drawn as in this log",
    UNIFORM: "every arm alike",
    BEST: "the shares with the least noise; arms that neither policy uses get nobody",
    AB: "half get the arm of one policy, half of the other; the log says little of any other policy",
    GIVEN: "the shares that were given",
}


def experiment_text(result: NextExperiment) -> str:
    """A table of users by design and estimator, users per arm, and what the numbers rest on."""
    lines = [
        wrapped(
            f"Next experiment: {result.policy} against {result.reference} at a budget of {result.budget:,.6g}, which "
            f"decide differently for {result.differing:,} of {result.users:,} users."
        )
    ]
    if result.note:
        return "\n".join([*lines, wrapped(f"No number: {result.note}.")])
    lines.append(wrapped(_gain(result)))
    lines.append(
        wrapped(f"Users needed for power {100 * result.power:g}% at the two-sided {100 * result.level:g}% level:")
    )
    lines += _table(result)
    if result.frame.users.isna().any():
        lines.append(
            wrapped(
                "Where a number is missing the log shows no noise, or the gain is so small that no experiment of "
                "people can find it."
            )
        )
    lines.append(wrapped("Per arm, for dr:"))
    arms = [name.removeprefix("users.") for name in map(str, result.frame.columns) if name.startswith("users.")]
    for row in result.frame[result.frame.estimator == "dr"].to_dict("records"):
        counts = [f"{arm} {_count(row[f'users.{arm}'])}" for arm in arms]
        lines.append(wrapped(f"{row['design']}: {', '.join(counts)}", "  "))
    lines += [wrapped(f"{name}: {MEANING[name]}.") for name in result.frame.design.unique()]
    lines.append(
        wrapped(
            "dr, sn, ipw: how the new log is evaluated, doubly robust, self-normalised or plainly weighted; means: "
            "an ordinary A/B test of the two policies, one group's mean less the other's."
        )
    )
    least, most = (f"{end:.3g}" for end in (result.frame.design_effect.min(), result.frame.design_effect.max()))
    if result.frame.design_effect.max() > 1:
        times = most if least == most else f"{least} to {most}"
        lines.append(
            wrapped(
                f"Users of a cluster are alike, which multiplies the numbers by {times}; clusters like those of this "
                "log are assumed."
            )
        )
    lines += [wrapped(f"Unsure: {words}.") for words in result.caveats]
    return "\n".join(lines)


def _gain(result: NextExperiment) -> str:
    source = "as the policies themselves promise" if result.promised else "as given"
    half = float(ndtri((1 + result.level) / 2)) * result.verified_se
    low, high = result.verified - half, result.verified + half
    words = (
        f"Predicted gain: {result.predicted_gain:,.4g} a user, {source}; this log's own estimate is "
        f"{result.verified:,.4g} ({low:,.4g} to {high:,.4g})."
    )
    if result.predicted_gain > high:
        words += " The prediction lies above that interval: it is too high, and the numbers below are too small."
    elif result.promised:
        words += " A promise is optimistic: half of the gain needs four times the users."
    return words


def _table(result: NextExperiment) -> list[str]:
    """Designs down, estimators across."""
    users = result.frame.pivot(index="design", columns="estimator", values="users")
    order = [name for name in ("dr", "sn", "ipw", "means") if name in users]
    lines = ["  " + "design".ljust(9) + "".join(name.rjust(15) for name in order)]
    for design in result.frame.design.unique():
        row = "".join(_count(users.loc[design, name]).rjust(15) for name in order)
        lines.append(f"  {design.ljust(9)}{row}")
    return lines


def _count(users: float) -> str:
    return "-" if math.isnan(users) else f"{users:,.0f}"
