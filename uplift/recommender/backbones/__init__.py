"""Nets for next-item recommendation, by name: `backbone("sasrec", n_items)`; `BACKBONES` lists the names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from uplift.errors import InputError, check_whole, nearest
from uplift.recommender.backbones.base import Adapt, Backbone
from uplift.recommender.backbones.din import DeepInterest
from uplift.recommender.backbones.sequence import NextItem, Recurrent, SelfAttention
from uplift.seeds import stream

__all__ = ["BACKBONES", "Adapt", "Backbone", "backbone"]


def _gru4rec(n_items: int, width: int, length: int, dropout: float) -> nn.Module:
    return NextItem(Recurrent(width, dropout), n_items, width, length, dropout)


def _sasrec(n_items: int, width: int, length: int, dropout: float) -> nn.Module:
    return NextItem(SelfAttention(width, length, dropout), n_items, width, length, dropout)


BACKBONES: dict[str, Callable[[int, int, int, float], nn.Module]] = {
    "sasrec": _sasrec,
    "gru4rec": _gru4rec,
    "din": DeepInterest,
}
"""What `backbone` builds, by name."""


def backbone(
    name: str,
    n_items: int,
    *,
    width: int = 64,
    length: int = 50,
    dropout: float = 0.2,
    seed: int | np.random.Generator = 0,
) -> Any:
    """An untrained backbone (a torch module that is a `Backbone`), the same for the same seed.

    "sasrec" (self-attention) and "gru4rec" (recurrent) read the history into a state, whose product with an item's
    vector is its score; "din" weighs the events by how they fit each candidate, at about a hundred times the cost.

    Parameters
    ----------
    n_items : items are coded 1..n_items. width : d, of item vectors and states.
    length : the longest history it reads, the last events of a longer one. dropout : share of cells that training
        leaves out. seed : of the first weights.

    Raises InputError for an unknown name and for numbers out of range.
    Source: Kang and McAuley 2018, arXiv 1808.09781, section III (SASRec); Hidasi et al. 2016, arXiv 1511.06939,
    section 3 (GRU4Rec); Zhou et al. 2018, arXiv 1706.06978, section 4.3 (DIN); the classes say what differs.
    """
    if not isinstance(name, str) or name not in BACKBONES:
        raise InputError(f"there is no backbone {name!r}.{nearest(str(name), BACKBONES)}")
    for what, number in (("n_items", n_items), ("width", width), ("length", length)):
        check_whole(number, what)
    if isinstance(dropout, bool) or not isinstance(dropout, int | float | np.number) or not 0 <= dropout < 1:
        raise InputError(f"dropout is {dropout!r}; a share from 0 to below 1 is expected, such as 0.2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "backbone").integers(2**62)))
        return BACKBONES[name](int(n_items), int(width), int(length), float(dropout))
