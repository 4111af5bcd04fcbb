"""The end-to-end policy of a demo: fitted where that takes seconds, else left out with a word on how to get it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocation.jobs.policies_named import make_end_to_end
from allocation.policies.base import Policy
from uplift.campaign import Campaign
from uplift.errors import InputError

if TYPE_CHECKING:
    from allocation.policies.tuning_result import TuningResult

FEWEST = 1_000  # users to fit on below which the gate's folds tell nothing from noise
MOST = 20_000  # above it the fit, five folds of three nets each, takes more than a minute


@dataclass(frozen=True, eq=False)
class Tuned:
    """The fitted policy, or None and a warning that says why; words : what the fit says of itself."""

    policy: Policy | None
    words: str = ""
    warning: str = ""


def fit_end_to_end(
    train: Campaign,
    budgets_per_user: Sequence[float],
    seed: int,
    progress: Callable[[str], None],
) -> Tuned:
    """Fit `EndToEnd` as `earmark evaluate` does, tuned for these budgets (money per user) and kept by its gate.

    Left out for fewer than FEWEST or more than MOST users, and where a fold lacks an arm.
    """
    if len(train) < FEWEST:
        return Tuned(
            None,
            words=f"End-to-end is left out: on fewer than {FEWEST:,} users ({len(train):,} are here) nothing would "
            "show whether it is better.",
        )
    if len(train) > MOST:
        return Tuned(
            None,
            warning=f"The end-to-end policy is left out of a demo that fits on more than {MOST:,} users, since its "
            f"fit takes minutes ({len(train):,} users are here): `earmark evaluate --policies s,end-to-end` has it.",
        )
    progress(f"fitting end-to-end on {len(train):,} users")
    budgets = [budget * len(train) for budget in budgets_per_user] or None
    try:
        policy = make_end_to_end(seed, budgets=budgets).fit(train)
    except InputError as error:
        return Tuned(None, warning=f"The end-to-end policy is left out: {error}.")
    return Tuned(policy, _words(policy.result_) if hasattr(policy, "result_") else "")


def _words(result: TuningResult) -> str:
    """Who decides, and why; without the seconds, which no two runs share."""
    from allocation.policies.tuning_result import KEPT

    told = f"Of its candidates {KEPT[result.kept]} decides"
    if result.gain is None:
        return f"{told}."
    low, high = result.gain.interval(result.level)
    verdict = "is" if result.passed else "is not shown to be"
    return (
        f"{told}: by folds of the training half the end-to-end net {verdict} worth more than the two-stage net "
        f"({result.gain.mean:+.3g} [{low:+.3g}, {high:+.3g}] a user, spend counted at the price)."
    )
