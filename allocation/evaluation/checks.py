"""What an evaluation refuses: a log that cannot verify anything, and policies that it may not or cannot verify."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.groups import label_codes
from uplift.propensity import share_mismatch
from uplift.seen import Seen


def check_held_out(
    held_out: Campaign,
    *,
    allow_mismatch: bool = False,
    train: Campaign | None = None,
    cluster: ArrayLike | None = None,
) -> None:
    """Refuse a log without users or propensity, with users of `train`, or whose arms contradict its propensities.

    With `allow_mismatch` the last is a warning instead. It is none by default: arms that were not drawn with the
    stated chances make every verified figure wrong by an unknown amount. Users of a `cluster` (n,) may have got
    their arm together.
    """
    if not isinstance(held_out, Campaign):
        raise InputError(f"the held-out log is a {type(held_out).__name__}; a Campaign is expected")
    if not len(held_out):
        raise InputError("the held-out log has no users; give the users that were kept for evaluation")
    if held_out.propensity is None:
        raise InputError(
            "the log has no propensity, so nothing can be verified on it; give propensity={arm: probability}, or "
            "declare that every user was randomised alike: propensity='arm shares'"
        )
    if train is not None:
        if not isinstance(train, Campaign):
            raise InputError(f"train is a {type(train).__name__}; the Campaign that was fitted on is expected")
        check_unseen("the policies", Seen.of(train), held_out)
    code = None if cluster is None else label_codes(cluster, len(held_out), "cluster")[1]
    mismatch = share_mismatch(held_out, code)
    if mismatch is None:
        return
    if not allow_mismatch:
        raise InputError(f"{mismatch.text}, or pass allow_mismatch=True to go on at your own risk")
    warnings.warn(mismatch.text, stacklevel=3)


def check_arms(name: str, arms: Sequence[str], held_out: Campaign) -> None:
    """Refuse a policy that counts other arms than the log."""
    if tuple(arms) == held_out.arms:
        return
    never = [arm for arm in arms if arm not in held_out.arms]
    if never:
        raise InputError(
            f"policy {name!r} may give arm {never[0]!r}, which the log never gave, so that nothing about it can be "
            f"verified (fitted on the arms {', '.join(arms)}; the held-out log has {', '.join(held_out.arms)}); fit "
            "it without that arm, or evaluate it on a log that has it"
        )
    raise InputError(
        f"policy {name!r} was fitted on the arms {', '.join(arms)}; the held-out log has "
        f"{', '.join(held_out.arms)}: the same arms in the same order are expected; read both logs with "
        "the same arms=[...] (Campaign.from_frame)"
    )


def check_decision(name: str, decision: Any, held_out: Campaign, budget: float) -> NDArray[np.int64]:
    """The decision as whole numbers; refuses one that does not fit the log, or wants an arm that no user received."""
    z, n = np.asarray(decision), len(held_out)
    if not np.issubdtype(z.dtype, np.integer):
        raise InputError(f"policy {name!r} decided for {z.dtype} cells; whole numbers are expected (0 is control)")
    if z.shape != (n,):
        raise InputError(f"policy {name!r}: the decision has shape {z.shape} for {n:,} users; ({n},) is expected")
    if z.min() < 0 or z.max() >= len(held_out.arms):
        wrong = z.min() if z.min() < 0 else z.max()
        raise InputError(
            f"policy {name!r}: the decision names arm {wrong}; the log has arms 0..{len(held_out.arms) - 1}"
        )
    wanted = np.bincount(z, minlength=len(held_out.arms))
    given = np.bincount(held_out.treatment, minlength=len(held_out.arms))
    never = np.flatnonzero((wanted > 0) & (given == 0))
    if len(never):
        j = int(never[0])
        raise InputError(
            f"policy {name!r} gives arm {held_out.arms[j]!r} to {wanted[j]:,} users at a budget of {budget:,.6g}, "
            "and the log never gave it to anybody: nothing about it can be verified; take that arm from the policy, "
            "or evaluate on a log that has it"
        )
    return z.astype(np.int64)


def check_unseen(name: str, seen: Any, held_out: Campaign) -> None:
    """Refuse users whom the policy was fitted on: on them it looks better than it is.

    `seen` is a `Seen`, or the users' ids as an array (taken to be of the same log), or None where that is not known.
    """
    if seen is None:
        return
    if not isinstance(seen, Seen):
        seen = Seen(np.asarray(seen), held_out.source)
    trained = seen.among(held_out)
    if trained.any():
        first = held_out.user_id[int(np.argmax(trained))]
        raise InputError(
            f"{int(trained.sum()):,} of {len(held_out):,} users in the evaluation set trained {name} (user_id "
            f"{first!s} is the first), and on them it looks better than it is; evaluate on other users, such as the "
            "second half of campaign.split(0.5)"
        )
