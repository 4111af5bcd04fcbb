"""Estimates: what each arm does to each user, in value and in cost.

A `Campaign` is a log with its column roles checked once; a learner fitted on it predicts a `Response`, the table
of value and cost of every arm for every user. `synthetic` simulates campaigns whose truth is known; `datasets`
loads named public experiments.

>>> from uplift import synthetic
>>> simulation = synthetic.simulate(1_000, seed=0)
>>> simulation.campaign.arms
('none', '1 EUR', '2 EUR', '4 EUR', '8 EUR')
"""

from uplift import datasets, synthetic
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.response import Response

__all__ = ["Campaign", "InputError", "Response", "datasets", "synthetic"]
