"""Losses of next-item recommendation: the mean over events of one history's next item against others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from uplift.errors import InputError, check_whole, nearest
from uplift.recommender.backbones import Adapt, Backbone

# (backbone, states (p, ...), targets (p,), negatives drawn a target or batch, generator, plugin) -> mean loss
_Function = Callable[[Backbone, Tensor, Tensor, int, torch.Generator, "Adapt | None"], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss of next-item recommendation by name, with how many negatives it draws; called, it is a mean over events.

    Attributes
    ----------
    name : "pointwise", "sampled_softmax" or "softmax". negatives : how many, at least 1; "softmax" draws none.

    With s the scores, v the item that came next and N the negatives, drawn uniformly from all items:

    - pointwise: -log sigma(s_v) - sum over u in N of log sigma(-s_u), as a mean over the 1 + |N| items of an event;
      `negatives` for each event. A click model: scores are log odds against a random item.
    - sampled_softmax: -log of e^{s_v} over the sum on v and N; the same `negatives` for all events of a batch. With
      as many negatives as items it is the softmax.
    - softmax: the same over all items; exact, and its cost grows with their number.

    A negative that happens to be the item that came next is left out (softmax) or drawn once more (pointwise); the
    user's earlier items may be negatives. Losses of different names or numbers of negatives do not compare.
    Raises InputError for an unknown name and fewer than one negative.
    """

    name: str = "softmax"
    negatives: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name not in LOSSES:
            raise InputError(f"there is no loss {self.name!r}.{nearest(str(self.name), LOSSES)}")
        check_whole(self.negatives, "negatives")

    def __call__(
        self,
        net: Backbone,
        batch: Tensor,
        generator: torch.Generator,
        adapt: Adapt | None = None,
    ) -> Tensor:
        """The mean loss over the targets of windows `batch` (b, L + 1) of item codes, 0 at the right, a scalar."""
        targets = batch[:, 1:]
        known = targets.ne(0)
        # A last event is a target only; as an input it would have no target.
        states = net.states(batch[:, :-1] * known)
        return self.of_states(net, states, targets[known], generator, adapt)

    def of_states(
        self,
        net: Backbone,
        states: Tensor,
        targets: Tensor,
        generator: torch.Generator,
        adapt: Adapt | None = None,
    ) -> Tensor:
        """The mean loss over targets (p,) of the states (p, ...) before them, a scalar; `net` is a `Backbone`.

        `generator` draws the negatives; `adapt` is what a plugin does to the vector of the user, or None.
        """
        return LOSSES[self.name](net, states, targets, self.negatives, generator, adapt)


def _pointwise(
    net: Backbone, states: Tensor, target: Tensor, negatives: int, generator: torch.Generator, adapt: Adapt | None
) -> Tensor:
    shape = (len(target), negatives)
    drawn = _draw(net, shape, generator)
    drawn = torch.where(drawn == target[:, None], _draw(net, shape, generator), drawn)
    scores = net.score(states, torch.cat([target[:, None], drawn], dim=1), adapt)  # (p, 1 + negatives)
    wanted = torch.zeros_like(scores)
    wanted[:, 0] = 1
    return F.binary_cross_entropy_with_logits(scores, wanted)


def _sampled_softmax(
    net: Backbone, states: Tensor, target: Tensor, negatives: int, generator: torch.Generator, adapt: Adapt | None
) -> Tensor:
    if negatives >= net.n_items:  # as many draws as items cost more than all of them
        return _softmax(net, states, target, negatives, generator, adapt)
    drawn = _draw(net, (negatives,), generator)
    others = net.score(states, drawn, adapt).masked_fill(drawn == target[:, None], -torch.inf)
    own = net.score(states, target[:, None], adapt)  # (p, 1)
    return (torch.cat([own, others], dim=1).logsumexp(dim=1) - own[:, 0]).mean()


def _softmax(
    net: Backbone, states: Tensor, target: Tensor, _negatives: int, _generator: torch.Generator, adapt: Adapt | None
) -> Tensor:
    return F.cross_entropy(net.score(states, None, adapt), target - 1)


def _draw(net: Backbone, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(1, net.n_items + 1, shape, generator=generator)


LOSSES: dict[str, _Function] = {
    "pointwise": _pointwise,
    "sampled_softmax": _sampled_softmax,
    "softmax": _softmax,
}
"""Functions of the losses by name; `Loss` says what each computes."""
