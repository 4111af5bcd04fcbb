"""Finite differences: what the decision of a user is worth after the change of one score that flips it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from allocation.policies.gradients.registry import register

SMALLEST_FLIP = 0.3  # of the width: nearer flips count as being this far away


@register("finite_difference", gap_noise=0.58)
def finite_difference(score: Tensor, worth: Tensor, width: float, generator: torch.Generator | None) -> Tensor:
    """Central differences with step `width`: change one score, decide that user anew.

        d_ij = (W_i,z_i(S + width e_ij) - W_i,z_i(S - width e_ij)) / (2 width n)
        g_ij = d_ij - mean of d_i over the arms within reach        (0 for the others)

    e_ij changes the score of arm j for user i alone; ties go to the first arm, before and after. Within reach are the
    decided arm and those whom a step of `width` would make best.

    `score`, `worth` (n, K+1), `width` the step, in the unit of the scores; the result is in worth a unit of score.
    Nothing is drawn, and nothing is decided anew either: a step up flips to arm j or changes nothing, a step down
    matters only for the decided arm, which then loses to the second best. So O(nK).
    Kernel: uniform on [-width, width], for one score at a time (standard deviation .58 `width`).
    The mean is taken off because a change of all scores by the same amount moves no decision. With two arms within
    reach it is 0 already; with three or more the plain differences are not the gradient of any one smoothed goal,
    since each cell smooths along its own score. Taking it off is ours.
    Measured on simulated scores of 3 and 5 arms, against the gradient of the goal under Gaussian noise, with a step
    of twice its standard deviation: mean cosine over cells .92 to .96 (.81 to .92 without taking the mean off), in
    the parameters of a linear model .98 to 1.
    Misleads: every flip within the step counts alike, and none beyond it.
    Raises InputError as `Estimator` says.
    Source: the plain method, as DFCL (KDD'24) compares with; not checked against a numbered equation (not reachable
    here).
    """
    highest, best = score.max(dim=1, keepdim=True)  # the first of equal scores
    gap = highest - score
    arm = torch.arange(score.shape[1], device=score.device)
    flips = (gap < width) | ((gap == width) & (arm < best))
    return _from_flips(flips.to(score.dtype) / 2, gap, worth, best).div_(width).div_(len(score))


@register("improved_fd", gap_noise=0.47)
def improved_fd(score: Tensor, worth: Tensor, width: float, generator: torch.Generator | None) -> Tensor:
    """Differences over the smallest change of a score that flips the decision; flips beyond `width` count nothing.

        s_ij = S_i,z_i - S_ij              raised by this, arm j is decided instead of z_i
        s_i,z_i = S_i,z_i - second best    lowered by this, z_i is decided no longer
        d_ij = sign (W_i after the flip - W_i,z_i) / max(s_ij, .3 width) / (c n) where s_ij <= width, else 0;
               sign is -1 for z_i, else 1; c = 2 (1 + ln(1 / .3)) = 4.41
        g_ij = d_ij - mean of d_i over the arms within reach        (0 for the others)

    `score`, `worth` (n, K+1), `width` in the unit of the scores (DFCL's h; .3 there, for its scores); the result is
    in worth a unit of score. Nothing is drawn. O(nK).
    Kernel: 1 / |change|, level below .3 `width`, cut at `width`, for one score at a time (standard deviation .47
    `width`); near flips count most.
    What is ours: the bound at .3 `width`, c, and the mean. Without a bound one user at a tie outweighs all others:
    of the bounds .01, .03, .1, .2, .3, .5 that one agreed best with the gradient of the goal under Gaussian noise
    (simulated scores of 3 and 5 arms, `width` 3 standard deviations: mean cosine over cells .96 to .99, in the
    parameters of a linear model .99 to 1; a bound of .01 at its best `width` gives .59 to .62 and .88 to .99).
    c makes the kernel sum to 1, so that the result is as large as the other estimators'. The mean is taken off as in
    `finite_difference`.
    Misleads: as any finite difference it is blind beyond `width`.
    Raises InputError as `Estimator` says.
    Source: DFCL (KDD'24), improved finite difference; not checked against a numbered equation (not reachable here).
    """
    highest, best = score.max(dim=1, keepdim=True)  # the first of equal scores
    gap = highest - score
    mass = 2 * (1 - math.log(SMALLEST_FLIP))
    kernel = (gap / width).clamp_(min=SMALLEST_FLIP).reciprocal_().div_(mass).mul_(gap <= width)
    return _from_flips(kernel, gap, worth, best).div_(width).div_(len(score))


def _from_flips(kernel: Tensor, gap: Tensor, worth: Tensor, best: Tensor) -> Tensor:
    """Change of worth by each flip times its kernel (n, K+1), less the mean over the arms within reach.

    `kernel` is above 0 at the decided arm `best` (n, 1) and where `gap` (n, K+1), to its score, is within reach.
    """
    second = gap.scatter(1, best, torch.inf).argmin(dim=1, keepdim=True)
    change = (worth - worth.gather(1, best)).mul_(kernel)
    change.scatter_(1, best, -change.gather(1, second))
    reached = (kernel > 0).to(kernel.dtype)
    mean = change.sum(dim=1, keepdim=True).div_(reached.sum(dim=1, keepdim=True))
    return change.sub_(reached.mul_(mean))
