"""How sure a figure is: the level of its interval, and what stands in its place where the log cannot tell."""

from __future__ import annotations

import math

from scipy.special import ndtri

from allocation.evaluation.verified_path import Estimated

LEVEL = 0.95  # of every interval, one at a time
Z95 = float(ndtri(0.5 + LEVEL / 2))  # standard errors from an estimate to either end
UNVERIFIED = Estimated(math.nan, math.nan, math.nan)
NO_LOG = "no log of these users is there"
TOO_FEW = "too few logged users received what is decided for them"
