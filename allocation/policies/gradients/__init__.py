"""How a decision's worth changes with the scores that make it, although a decision moves in jumps.

A user gets the arm of the best score, z_i = argmax_j S_ij, and is then worth W_i,z_i by the log. Small changes of the
scores change nothing, until one flips a decision: the gradient of mean_i W_i,z_i is zero or does not exist. Each
estimator gives the gradient of a smoothed goal instead: ESTIMATORS[name](score, worth, width, generator). `gradient`
takes it from scores to values and costs. Importing this package imports torch.
"""

from __future__ import annotations

from allocation.policies.gradients.evolution import nes
from allocation.policies.gradients.flips import finite_difference, improved_fd
from allocation.policies.gradients.objective import goal, gradient
from allocation.policies.gradients.registry import ESTIMATORS, Estimator, register
from allocation.policies.gradients.smooth import softmax

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "finite_difference",
    "goal",
    "gradient",
    "improved_fd",
    "nes",
    "register",
    "softmax",
]
