"""What a backbone is: a net that turns a history into states, and scores candidate items for each state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

# What a plugin does to the vector that stands for the user: (p, ..., d) -> (p, ..., d), a state a row.
Adapt = Callable[[Tensor], Tensor]


class Backbone(Protocol):
    """A net for next-item recommendation, as the trainer, the plugins and the ranking use it.

    A batch of histories is `items` (b, L) int64: item codes 1..n_items in time order, padded with 0 at the right. A
    *state* is what is known of the user after an event; what it holds is the backbone's own affair.

    Attributes
    ----------
    n_items : how many items there are; codes run from 1 to n_items.
    width : d, of item vectors and of the vector that stands for the user.
    length : the longest history that it reads.
    rows_at_once : histories for which scores of all items are asked at a time, for the memory that they take.
    """

    n_items: int
    width: int
    length: int
    rows_at_once: int

    def states(self, items: Tensor) -> Tensor:
        """The state after every event, (p, ...), for the p events that are no padding, row by row."""
        ...

    def last(self, items: Tensor) -> Tensor:
        """The state after the last event of each row, (b, ...); of an empty history, that of knowing nothing."""
        ...

    def score(self, states: Tensor, candidates: Tensor | None, adapt: Adapt | None = None) -> Tensor:
        """Scores (p, c) of candidates (p, c) of each state, (c,) of all alike, or None: every item, 1..n_items."""
        ...

    def vector(self, states: Tensor, adapt: Adapt | None = None) -> Tensor:
        """What stands for the user, (p, d), without a candidate in view."""
        ...


def item_vectors(n_items: int, width: int) -> nn.Embedding:
    """Vectors of the items, normal with standard deviation 1 / sqrt(d); row 0 is padding, zero for good."""
    table = nn.Embedding(n_items + 1, width, padding_idx=0)
    with torch.no_grad():
        nn.init.normal_(table.weight, std=width**-0.5)
        table.weight[0] = 0
    return table


def every_item(n_items: int, device: torch.device) -> Tensor:
    """The codes of all items, (n_items,)."""
    return torch.arange(1, n_items + 1, device=device)


def row_of_events(items: Tensor) -> tuple[Tensor, Tensor]:
    """Row and place of every event of a padded batch, two (p,) tensors, row by row."""
    row, place = items.ne(0).nonzero(as_tuple=True)
    return row, place
