"""One net fitted by several processes: each takes its users of every batch, and the gradients are added up."""

from __future__ import annotations

import hashlib

import torch
import torch.distributed as dist
from torch import Tensor, nn

from uplift.learners.training import Gradient


def share(net: nn.Module, gradient: Gradient) -> Gradient:
    """The gradient of whole batches, each process of the torch.distributed group working on its users alone.

        g = sum over processes r of |B_r| / |B| g_r,    B_r = every P-th user of the batch B, from the r-th on

    which is the gradient of the mean loss over B: P processes that begin with the same net, log and seed take the
    steps that one would take, up to the rounding of sums. Every process has the same sums, to the bit. Each must
    hold the log; what is shared is the work.
    """
    rank, processes = dist.get_rank(), dist.get_world_size()
    weights = list(net.parameters())

    def _of_batch(rows: Tensor) -> Tensor:
        own = rows[rank::processes]
        part = len(own) / len(rows)
        loss = gradient(own) * part if len(own) else weights[0].new_zeros(())
        pieces = [torch.zeros_like(w) if w.grad is None else w.grad * part for w in weights]
        together = torch.cat([loss.reshape(1), *(piece.reshape(-1) for piece in pieces)])
        dist.all_reduce(together)
        sums = torch.split(together[1:], [w.numel() for w in weights])
        for w, of_all in zip(weights, sums, strict=True):
            w.grad = of_all.reshape(w.shape)
        return together[0]

    return _of_batch


def digest(net: nn.Module) -> str:
    """The hash of all weights of a net: alike where every bit is."""
    found = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        found.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
