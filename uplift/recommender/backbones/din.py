"""DIN: what stands for the user depends on the candidate, by attention over the history."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uplift.recommender.backbones.base import Adapt, every_item, item_vectors, row_of_events

CELLS = 1 << 25  # hidden cells of all attentions held at once: 128 MiB in single precision, some five times over


class DeepInterest(nn.Module):
    """Deep interest network: events are weighed by how they fit the candidate, without a softmax over events.

        a_j   = w . prelu(A h_j + B c + C (h_j * c) + b) + b_a     weight of event j for candidate c
        u     = sum_j a_j h_j                                      what stands for the user
        score = v . prelu(U u + V c + W (u * c) + b') + b_v + bias_c

    h_j and c are item vectors. A state is the history itself, (p, L) item codes, so scoring every item costs
    n_items x L attentions a user: about a hundred times a sequence backbone. Order matters only through the cut at
    `length`.

    Source: Zhou et al. 2018, Deep Interest Network for Click-Through Rate Prediction (arXiv 1706.06978), section
    4.3; the activation unit there reads the outer product, and its activation (Dice) normalises over the batch.
    """

    def __init__(self, n_items: int, width: int, length: int, dropout: float, attention: int = 8) -> None:
        super().__init__()
        self.n_items, self.width, self.length = n_items, width, length
        self.rows_at_once = max(1, CELLS // (n_items * length * attention))
        self.items = item_vectors(n_items, width)
        self.bias = nn.Embedding(n_items + 1, 1, padding_idx=0)
        nn.init.zeros_(self.bias.weight)
        self.event, self.candidate = nn.Linear(width, attention), nn.Linear(width, attention, bias=False)
        self.product = nn.Linear(width, attention, bias=False)
        self.weight = nn.Linear(attention, 1)
        self.slope = nn.Parameter(torch.full((1,), 0.25))
        self.user, self.other = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.both = nn.Linear(width, width, bias=False)
        self.out_slope = nn.Parameter(torch.full((1,), 0.25))
        self.out = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)

    def states(self, items: Tensor) -> Tensor:
        """The history up to every event, (p, L) item codes, zero after the event; see `Backbone`."""
        row, place = row_of_events(items)
        seen = torch.arange(items.shape[1], device=items.device) <= place[:, None]
        return items[row] * seen

    def last(self, items: Tensor) -> Tensor:
        """The history itself, (b, L)."""
        return items

    def score(self, states: Tensor, candidates: Tensor | None, adapt: Adapt | None = None) -> Tensor:
        """Scores (p, c); see `Backbone`."""
        if candidates is None:
            candidates = every_item(self.n_items, states.device)
        c = self.items(candidates)  # (p, c, d) or (c, d)
        u = self._interest(states, c)  # (p, c, d)
        u = u if adapt is None else adapt(u)
        hidden = F.prelu(self.user(u) + self.other(c) + self.both(u * c), self.out_slope)
        scores: Tensor = self.out(self.dropout(hidden))[..., 0] + self.bias(candidates)[..., 0]
        return scores

    def vector(self, states: Tensor, adapt: Adapt | None = None) -> Tensor:
        """The interest at the mean of the user's own items as candidate, (p, d)."""
        known = states.ne(0)
        mean = self.items(states).sum(dim=1) / known.sum(dim=1, keepdim=True).clamp(min=1)
        u = self._interest(states, mean[:, None, :])
        return (u if adapt is None else adapt(u))[:, 0]

    def _interest(self, states: Tensor, c: Tensor) -> Tensor:
        """u for every candidate, (p, c, d)."""
        h = self.dropout(self.items(states))  # (p, L, d)
        (p, L, d), a = h.shape, self.product.out_features  # sizes in full: of no states -1 could be anything
        by_event = h[:, :, None, :] * self.product.weight  # (p, L, a, d): C (h * c) = (h * C) c
        flat = by_event.reshape(p, L * a, d)
        pairs = (c @ flat.transpose(1, 2)).reshape(p, c.shape[-2], L, a)  # (p, c, L, a)
        fit = pairs + self.event(h)[:, None] + self.candidate(c)[..., None, :]
        weight = self.weight(F.prelu(fit, self.slope))[..., 0] * states.ne(0)[:, None, :]  # (p, c, L)
        u: Tensor = weight @ h
        return u
