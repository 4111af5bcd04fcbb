"""Plugins: a small net for each group of users on a frozen backbone, which starts as the identity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from uplift.errors import InputError, check_whole
from uplift.recommender.backbones import Adapt
from uplift.seeds import stream


class Plugin(nn.Module):
    """A residual bottleneck on the vector that stands for the user.

        y = x + W_up relu(W_down x + b),   W_down (r, d), W_up (d, r)

    W_up is zero at the start, so an untrained plugin leaves every score as it was, to the bit.

    Source: "Parameters Efficient Fine-Tuning for Long-Tailed Sequential Recommendation" (doi
    10.1007/978-981-99-8850-1_36); the formula is that of the first author's other public code and not confirmed.
    There an activation stands around the sum as well, with which no plugin can start as the identity.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) to (..., d)."""
        out: Tensor = x + self.up(F.relu(self.down(x)))
        return out


class Plugins(nn.Module):
    """A plugin for each of S groups, and the groups that are routed through theirs; the others get the backbone.

        y = x + W_up relu(W_down x + b),   W_down (r, d), W_up (d, r), zero at the start: y is x, to the bit

    Parameters
    ----------
    n_groups : S. width : d, of the backbone. bottleneck : r; None is half the width. seed : of the first weights.

    Attributes
    ----------
    routed : (S,) booleans, saved with the weights; all True until a gate says otherwise.

    Raises InputError for a bottleneck below 1. Source: as `uplift.recommender.plugins.Plugin` says.
    """

    routed: Tensor

    def __init__(
        self, n_groups: int, width: int, bottleneck: int | None = None, seed: int | np.random.Generator = 0
    ) -> None:
        super().__init__()
        r = max(1, width // 2) if bottleneck is None else bottleneck
        check_whole(r, "bottleneck", more=", or None")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(stream(seed, "plugins").integers(2**62)))
            self.of_group = nn.ModuleList(Plugin(width, int(r)) for _ in range(n_groups))
        self.register_buffer("routed", torch.ones(n_groups, dtype=torch.bool))

    def route(self, groups: Sequence[bool] | NDArray[np.bool_]) -> None:
        """Send these groups (S,) through their plugins, and all others to the backbone alone.

        Raises InputError for other than one boolean a group.
        """
        chosen = np.asarray(groups)
        if chosen.shape != tuple(self.routed.shape) or chosen.dtype != np.bool_:
            raise InputError(
                f"groups has shape {chosen.shape} ({chosen.dtype}); a boolean for each of the {len(self.of_group)} "
                "groups is expected"
            )
        self.routed.copy_(torch.as_tensor(chosen))

    def alone(self, group: int) -> Adapt:
        """The plugin of one group for states of that group, whatever is routed: for training."""
        plugin: Adapt = self.of_group[group]
        return plugin

    def adapt(self, group: Tensor) -> Adapt:
        """What the routed plugins do to vectors (p, ..., d) of users in these groups (p,), as a function."""

        def _apply(x: Tensor) -> Tensor:
            y = x
            for z in torch.unique(group).tolist():
                if not bool(self.routed[z]):
                    continue
                rows = group == z
                y = y.clone() if y is x else y
                y[rows] = self.of_group[z](x[rows])
            return y

        return _apply

    def share(self, net: nn.Module) -> float:
        """The plugins' parameters as a share of the backbone's."""
        own = sum(p.numel() for p in self.parameters())
        return own / sum(p.numel() for p in net.parameters())
