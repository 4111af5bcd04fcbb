"""The gradient of the goal when each user gets every arm in the share of a softmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from allocation.policies.gradients.registry import register


@register("softmax", gap_noise=math.pi / math.sqrt(3))
def softmax(score: Tensor, worth: Tensor, width: float, generator: torch.Generator | None) -> Tensor:
    """The exact gradient of mean_i sum_j p_ij W_ij with p_ij = softmax_j(S_ij / width).

        g_ij = p_ij (W_ij - sum_k p_ik W_ik) / (width n)

    `score`, `worth` (n, K+1), `width` the temperature, in the unit of the scores; the result is in worth a unit of
    score. Nothing is drawn.
    Kernel: Gumbel. The softmax is the share of draws in which an arm is best when independent Gumbel noise of scale
    `width` is added to every score; the difference of two arms' noise is then logistic with standard deviation
    1.81 `width`.
    Misleads: its tails are fatter than the other kernels', so users far from any flip still pull a little at the
    scores; a temperature small beside the gaps leaves next to no gradient, a large one the gradient of a policy that
    mixes all arms.
    Raises InputError as `Estimator` says.
    Source: the differentiable surrogates of Bi-DFCL (NeurIPS'25) and maximum-entropy decision losses; not checked
    against a numbered equation (not reachable here). The gradient itself is calculus.
    """
    highest, best = score.max(dim=1, keepdim=True)
    share = ((score - highest) / width).exp_()  # at most 1, whatever the width
    share /= share.sum(dim=1, keepdim=True)
    # Measured from the decided arm: where that has nearly all of the share, nothing is lost by cancellation.
    gain = worth - worth.gather(1, best)
    gain -= (share * gain).sum(dim=1, keepdim=True)
    return share.mul_(gain).div_(width).div_(len(score))
