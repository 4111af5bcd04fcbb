"""Rules by name, with their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from uplift.causal.aggregation.auxiliary import norm_matched
from uplift.causal.aggregation.base import Rule, torch_generator
from uplift.causal.aggregation.conflict import agreement_random, agreement_sum, gradient_aggregation, pcgrad
from uplift.causal.aggregation.linear import balanced, erm, total
from uplift.causal.aggregation.published import PUBLISHED, published
from uplift.errors import InputError, nearest

OWN: dict[str, Callable[..., Rule]] = {
    "sum": total,
    "erm": erm,
    "balanced": balanced,
    "pcgrad": pcgrad,
    "agr_sum": agreement_sum,
    "agr_rand": agreement_random,
    "gradient_aggregation": gradient_aggregation,
    "norm_matched": norm_matched,
}


def rules() -> tuple[str, ...]:
    """The names that `rule` knows: ours first, then those that torchjd computes."""
    return (*OWN, *PUBLISHED)


def rule(name: str, *, seed: int | np.random.Generator = 0, **parameters: Any) -> Rule:
    """The rule of this name, such as `rule("pcgrad", seed=1)` or `rule("norm_matched", gamma=0.5)`.

        sum                    sum_i w_i g_i: the gradient of the sum of the losses
        erm                    sum_z (n_z / N) g_z; weights are the events n_z of the groups, and needed
        balanced               sum_z P(z) g_z; weights are the users of the groups, equal by default
        pcgrad                 sum_i g_i', each g_i less what opposes another g_j
        agr_sum, agr_rand      the sum where no two groups have opposite signs, elsewhere 0, or noise of like size
        gradient_aggregation   groups that oppose the mean left out, the others weighed by how they agree
        norm_matched           f + gamma |f| / |s'| s': a second loss, turned and sized so as not to undo the first
        upgrad, mgda, ...      those of torchjd (`rules` lists all)

    Formulas in full, what misleads and sources: in the docstrings of `uplift.causal.aggregation.linear`, `conflict`,
    `auxiliary` and `published`, a function each.

    `seed` matters to "pcgrad", "agr_rand" and "graddrop", which draw: a rule goes on drawing from call to call, and a
    new rule of the same seed draws the same. The other `parameters` are those of the rule's own function.
    Raises InputError for an unknown name or parameter, and where torchjd, or what a rule of it needs, is missing.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of a rule is {name!r}; text is expected, such as 'pcgrad'")
    generator = torch_generator(seed)
    if name in PUBLISHED:
        return published(name, generator, **parameters)
    if name not in OWN:
        raise InputError(f"there is no rule {name!r}.{nearest(name, rules())}")
    known = set(inspect.signature(OWN[name]).parameters)
    unknown = [given for given in parameters if given not in known - {"generator"}]
    if unknown:
        raise InputError(
            f"rule {name!r} has no parameter {unknown[0]!r}.{nearest(unknown[0], sorted(known - {'generator'}))}"
        )
    return OWN[name](**parameters, **({"generator": generator} if "generator" in known else {}))
