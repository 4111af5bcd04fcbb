"""A small log with an order to learn, and a recommender on it with every part in use."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import torch

from uplift.recommender import (
    GroupedTrainer,
    Interactions,
    Loss,
    Recommender,
    RecommenderSettings,
    Split,
    fit_recommender,
    leave_last_out,
)

N_ITEMS = 20
FEW = GroupedTrainer(epochs=1, batch_size=64)
SETTINGS = RecommenderSettings(width=4, length=5, trainer=FEW, plugin_trainer=FEW, n_strata=3)


def frame(n_users: int = 60, seed: int = 0) -> pd.DataFrame:
    """Users walk round a ring of 20 items, from 1 to 11 steps each; text ids, and times."""
    rng = np.random.default_rng(seed)
    steps, start = rng.integers(1, 12, n_users), rng.integers(0, N_ITEMS, n_users)
    rows = [(f"u{u}", f"i{(start[u] + t) % N_ITEMS}", t) for u in range(n_users) for t in range(steps[u])]
    return pd.DataFrame(rows, columns=["user", "item", "t"])


@cache
def log() -> Interactions:
    return Interactions.from_frame(frame(), order="t")


@cache
def split() -> Split:
    return leave_last_out(log())


@cache
def recommender(backbone: str = "sasrec", loss: str = "sampled_softmax") -> Recommender:
    """Trained for an epoch; then every group gets a plugin that does something, and a weight of the memory."""
    fitted = fit_recommender(split(), replace(SETTINGS, backbone=backbone, loss=Loss(loss, 4)))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for plugin in fitted.plugins.of_group:
            plugin.up.weight.copy_(torch.randn(plugin.up.weight.shape, generator=generator))
    groups = fitted.strata.n_groups
    fitted.plugins.route(np.arange(groups) != 1)
    return replace(fitted, memory=fitted.memory.weighing(np.linspace(0, 1, groups)))
