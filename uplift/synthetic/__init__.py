"""Simulated campaigns whose true response is known: the yardstick for estimates, decisions and intervals.

A world is a truth (expected value and cost of every arm), a rule of assignment (the propensities) and the noise that
all of them share; each public function composes one: same `seed`, same bytes. `REGIMES` names the worlds in which
methods are compared, `regime` gives one by its name.

>>> from uplift import synthetic
>>> simulation = synthetic.regime("small_student", 1_000, seed=0)
>>> simulation.truth.value.shape
(1000, 5)
"""

from __future__ import annotations

from uplift.synthetic.confounding import LARGEST_STRENGTH, confounded
from uplift.synthetic.linear import well_specified
from uplift.synthetic.regimes import REGIMES, regime, scarce
from uplift.synthetic.simulation import ARMS, DOSES, N_FEATURES, NOISE_SHAPE, Simulation
from uplift.synthetic.spend import heavy_tail
from uplift.synthetic.student import null, small_student
from uplift.synthetic.two_logs import TwoLogs, confounded_plus_rct
from uplift.synthetic.world import simulate

__all__ = [
    "ARMS",
    "DOSES",
    "LARGEST_STRENGTH",
    "NOISE_SHAPE",
    "N_FEATURES",
    "REGIMES",
    "Simulation",
    "TwoLogs",
    "confounded",
    "confounded_plus_rct",
    "heavy_tail",
    "null",
    "regime",
    "scarce",
    "simulate",
    "small_student",
    "well_specified",
]
