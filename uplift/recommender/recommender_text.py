"""A fitted recommender in words: a line a stratum, how it trained, and what the gates let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uplift.recommender.gate import FEWEST
from uplift.words import wrapped

if TYPE_CHECKING:
    from uplift.recommender.gate import Gate
    from uplift.recommender.recommender import Recommender


def in_words(recommender: Recommender) -> str:
    """At most 80 columns wide."""
    r, s = recommender, recommender.settings
    rule = s.trainer.rule if isinstance(s.trainer.rule, str) else s.trainer.rule.name
    weights = "events" if s.trainer.weights == "samples" else "users"
    lines = [wrapped(f"{s.backbone}, d = {s.width}, loss {s.loss.name}, groups joined by {rule} over {weights}")]
    if r.training is not None:
        lines.append(
            f"backbone: parameters of epoch {r.training.best} of {len(r.training.losses)}, "
            f"{r.training.seconds:.0f} s of training"
        )
        if r.training.best == 0:
            lines.append(wrapped("No epoch was better than the net before training: take another lr or more epochs."))
    if r.plugins is not None:
        lines.append(f"plugins: {r.plugins.share(r.net):.2%} of the backbone's parameters")
    lines += ["", *_table(recommender), ""]
    told = ["Events: of a user in training."]
    if r.training is not None:
        told.append(
            "Loss: mean of the last epoch. Left: share of the steps looked at in which the rule left the group "
            "out of some parameters."
        )
    if r.gates:
        first = next(iter(r.gates.values()))
        told.append(
            f"Change of NDCG@10 on held-out queries, with the lower end of its {first.level:.0%} interval: what is "
            f"added is used where it changes something and that end is at least {-first.epsilon or 0:g}; else the "
            f"backbone answers. Too few: under {FEWEST} queries."
        )
    return "\n".join([*lines, wrapped(" ".join(told))])


def _table(r: Recommender) -> list[str]:
    head = f"{'stratum':<8}{'events':>9}{'users':>8}"
    if r.training is not None:
        head += f"{'loss':>5}{'left':>6}"
    above = f"{'':<{len(head)}}" + "".join(f"{name:>16}{'':5}" for name in r.gates)
    lines = [above.rstrip()] if r.gates else []
    lines.append(head + f"{'change':>8}{'low':>8}{'used':>5}" * len(r.gates))
    users = np.bincount(r.strata.group, minlength=r.strata.n_groups)
    for z, name in enumerate(r.strata.names):
        line = f"{name:<8}{f'{r.strata.lowest[z]:g}-{r.strata.highest[z]:g}':>9}{users[z]:>8,}"
        if r.training is not None:
            line += f"{r.training.losses[-1, z]:>5.3g}{r.training.filtered[z]:>6.0%}"
        lines.append(line + "".join(_judged(gate, z) for gate in r.gates.values()))
    return lines


def _judged(gate: Gate, z: int) -> str:
    if not np.isfinite(gate.low[z]):
        return f"{'too few':>16}{'no':>5}"
    return f"{gate.difference[z]:>+8.4f}{gate.low[z]:>+8.4f}{'yes' if gate.passed[z] else 'no':>5}"
