"""GRU4Rec and SASRec: an encoder reads the history, and an item's score is its vector times the state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uplift.recommender.backbones.base import Adapt, item_vectors


class NextItem(nn.Module):
    """A backbone of an encoder (b, L, d) -> (b, L, d) whose output at t sees events up to t alone.

        score of item v = <state, E_v>

    E are the item vectors, which the encoder reads, too. The state of an empty history is the output for one event
    of padding.
    """

    rows_at_once = 1024

    def __init__(self, encoder: nn.Module, n_items: int, width: int, length: int, dropout: float) -> None:
        super().__init__()
        self.n_items, self.width, self.length = n_items, width, length
        self.items = item_vectors(n_items, width)
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)

    def _encoded(self, items: Tensor) -> Tensor:
        out: Tensor = self.encoder(self.dropout(self.items(items) * self.width**0.5), items.ne(0))
        return out

    def states(self, items: Tensor) -> Tensor:
        """The state after every event, (p, d), row by row; see `Backbone`."""
        return self._encoded(items)[items.ne(0)]

    def last(self, items: Tensor) -> Tensor:
        """The state after the last event of each row, (b, d)."""
        place = (items.ne(0).sum(dim=1) - 1).clamp(min=0)
        return self._encoded(items)[torch.arange(len(items), device=items.device), place]

    def score(self, states: Tensor, candidates: Tensor | None, adapt: Adapt | None = None) -> Tensor:
        """Scores (p, c); see `Backbone`."""
        h = self.vector(states, adapt)
        vectors: Tensor = self.items.weight[1:] if candidates is None else self.items(candidates)
        return h @ vectors.T if vectors.ndim == 2 else (vectors @ h[:, :, None])[:, :, 0]

    def vector(self, states: Tensor, adapt: Adapt | None = None) -> Tensor:
        """The state itself, through the plugin where one is given, (p, d)."""
        return states if adapt is None else adapt(states)


class Recurrent(nn.Module):
    """The encoder of GRU4Rec: one layer of gated recurrent units.

    Source: Hidasi, Karatzoglou, Baltrunas, Tikk 2016, Session-based Recommendations with Recurrent Neural Networks
    (arXiv 1511.06939), section 3; the losses there are others.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, events: Tensor, _known: Tensor) -> Tensor:
        """(b, L, d) to (b, L, d); padding stands at the right, after all that is read."""
        out: Tensor = self.dropout(self.gru(events)[0])
        return out


class SelfAttention(nn.Module):
    """The encoder of SASRec: learned places, then blocks of masked self-attention, and a norm.

    An event attends to itself and to earlier events (causal mask) that are no padding (padding mask). Places count
    from the start of what is read, so the early events of an active user teach what to do for a user with few.

    Source: Kang and McAuley 2018, Self-Attentive Sequential Recommendation (arXiv 1808.09781), section III, with
    the norm before each layer; there places count from the end.
    """

    def __init__(self, width: int, length: int, dropout: float, blocks: int = 2, heads: int = 1) -> None:
        super().__init__()
        self.places = nn.Embedding(length, width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.blocks = nn.ModuleList(_Block(width, dropout, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, events: Tensor, known: Tensor) -> Tensor:
        """(b, L, d) and which events are no padding (b, L) to (b, L, d)."""
        L = events.shape[1]
        x = events + self.places.weight[:L]
        causal = torch.ones(L, L, dtype=torch.bool, device=events.device).tril()
        itself = torch.eye(L, dtype=torch.bool, device=events.device)  # a row without any key would be NaN
        mask = (causal & known[:, None, :]) | itself  # (b, L, L)
        for block in self.blocks:
            x = block(x, mask)
        out: Tensor = self.norm(x)
        return out


class _Block(nn.Module):
    """Attention and a feed-forward layer, each with its norm before and its input added after."""

    def __init__(self, width: int, dropout: float, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(b, L, d), and which event attends to which (b, L, L), to (b, L, d)."""
        b, L, d = x.shape
        parts = self.query_key_value(self.before_attention(x)).view(b, L, 3, self.heads, d // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (b, heads, L, d / heads)
        kept = self.dropout.p if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None], dropout_p=kept)
        x = x + self.dropout(self.out(attended.transpose(1, 2).reshape(b, L, d)))
        forward = self.second(self.dropout(F.relu(self.first(self.before_forward(x)))))
        out: Tensor = x + self.dropout(forward)
        return out
