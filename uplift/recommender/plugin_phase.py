"""Training of plugins on a frozen backbone: states once, then each group's plugin on all events of its group."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uplift.learners.training import learning
from uplift.recommender.batches import Examples, Windows
from uplift.recommender.full_ranking import Counted
from uplift.recommender.grouped_trainer import GroupedTrainer, Training
from uplift.recommender.losses import Loss
from uplift.recommender.net_scorer import NetScorer
from uplift.recommender.plugins import Plugins
from uplift.recommender.ranked_validation import Validation

ROWS = 1024  # windows at a time while the states are computed


@dataclass(frozen=True, eq=False)
class PluginTraining:
    """The plugins, with how their training went.

    Attributes
    ----------
    plugins : all groups routed; a gate decides later.
    training : of all plugins together; its validation is the mean over the queries with every plugin in use.
    best : (S,) the epoch whose plugin each group kept; 0 is the identity.
    """

    plugins: Plugins
    training: Training
    best: NDArray[np.int64]


def fit_plugins(
    net: Any,
    plugins: Plugins,
    cut: Windows,
    group: NDArray[np.int64],
    loss: Loss,
    trainer: GroupedTrainer,
    validation: Validation,
    progress: Counted | None = None,
) -> PluginTraining:
    """Train the plugins in place, each on its group alone; every group keeps the plugin of its own best epoch.

    The backbone is frozen and does not drop cells out, so its states are computed once. Plugins share no parameter:
    the rule is the sum, whatever `trainer` says. `group` (U,) is that of every user of the log. `progress` is told
    within an epoch how many of its events are done, and of how many.
    """
    group = np.asarray(group)
    states, targets, window = frozen_states(net, cut)
    data = Examples(group[cut.user][window], np.ones(len(targets), np.int64), np.bincount(group))
    values: list[NDArray[np.float64]] = []
    kept: list[Any] = [None] * len(data.users)
    share = np.bincount(group[validation.queries.user], minlength=len(kept)) / len(validation.queries)

    done = 0

    def _loss(rows: NDArray[np.int64], z: int, generator: torch.Generator) -> Tensor:
        nonlocal done
        done = done % len(targets) + len(rows)
        if progress is not None:
            progress(done, len(targets))
        chosen = torch.from_numpy(rows)
        return loss.of_states(net, states[chosen], targets[chosen], generator, plugins.alone(z))

    def _validate() -> float:
        values.append(validation.of_groups(NetScorer(net, plugins, group), group, len(kept)))
        for z, plugin in enumerate(plugins.of_group):
            if len(values) == 1 or values[-1][z] > max(earlier[z] for earlier in values[:-1]):
                kept[z] = copy.deepcopy(plugin.state_dict())
        return float(values[-1] @ share)

    wanted = [p.requires_grad for p in net.parameters()]
    net.requires_grad_(False)
    try:
        training = replace(trainer, rule="sum").fit(plugins, _loss, data, _validate)
    finally:
        for parameter, was in zip(net.parameters(), wanted, strict=True):
            parameter.requires_grad_(was)
    for plugin, state in zip(plugins.of_group, kept, strict=True):
        plugin.load_state_dict(state)
    looked = np.flatnonzero(~np.isnan(training.validation))
    return PluginTraining(plugins, training, looked[np.argmax(np.stack(values), axis=0)])


def frozen_states(net: Any, cut: Windows) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
    """The state before every target, (p, ...), the targets (p,), and the window of each, (p,)."""
    net.eval()
    states, targets, window = [], [], []
    longest = int(cut.histories.counts.max(initial=1))
    order = np.argsort(cut.histories.counts, kind="stable")  # windows of like length waste no padding
    with learning(), torch.no_grad():
        for start in range(0, len(cut), ROWS):
            rows = order[start : start + ROWS]
            batch = torch.from_numpy(cut.histories.padded(rows, longest))
            known = batch[:, 1:].ne(0)
            of_batch = net.states(batch[:, :-1] * known)
            states.append(of_batch)
            targets.append(batch[:, 1:][known])
            window.append(np.repeat(rows, known.sum(dim=1).numpy()))
    if states[0].dtype == torch.int64:  # histories, one column an event of the longest in the batch
        widest = max(of_batch.shape[1] for of_batch in states)
        states = [torch.nn.functional.pad(of_batch, (0, widest - of_batch.shape[1])) for of_batch in states]
    return torch.cat(states), torch.cat(targets), np.concatenate(window)
