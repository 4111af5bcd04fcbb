"""Estimates: what each arm does to each user, in value and in cost.

A `Campaign` is a log with its column roles checked once; a learner of `uplift.learners` fitted on it predicts a
`Response`, the table of value and cost of every arm for every user (the rankers a `Ranking`, returns alone). `causal`
adjusts logs that were no experiment; `metrics` judges rankings and effects; `synthetic` simulates campaigns whose
truth is known; `datasets` loads named public ones.

>>> from uplift import synthetic
>>> simulation = synthetic.simulate(1_000, seed=0)
>>> simulation.campaign.arms
('none', '1 EUR', '2 EUR', '4 EUR', '8 EUR')
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from uplift.errors import InputError

if TYPE_CHECKING:
    from uplift import causal, datasets, learners, metrics, synthetic
    from uplift.campaign import Campaign
    from uplift.ranking import Ranking
    from uplift.response import Response

# What not everybody needs is imported when it is first asked for: the nightly job needs the errors alone.
_ROOMS = ("causal", "datasets", "learners", "metrics", "synthetic")
_HOME = {"Campaign": "uplift.campaign", "Ranking": "uplift.ranking", "Response": "uplift.response"}

__all__ = [
    "Campaign",
    "InputError",
    "Ranking",
    "Response",
    "causal",
    "datasets",
    "learners",
    "metrics",
    "synthetic",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"uplift.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'uplift' has no attribute {name!r}")
