"""Applying a rule to the losses of groups and a network: it writes `.grad`, and says how the groups got on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from uplift.causal.aggregation.base import Rule, check_weights
from uplift.causal.aggregation.blocks import combine, cosines, dense_block, filtered_share, joined, row_block, write
from uplift.causal.aggregation.registry import rule as named_rule
from uplift.causal.aggregation.words import in_words
from uplift.errors import InputError
from uplift.words import counted

SCOPES = ("tensor", "all")


@dataclass(frozen=True, eq=False)
class Step:
    """What happened in one call of `backward`, for m groups.

    Attributes
    ----------
    losses : (m,) float64; NaN for a group without a loss in this step.
    cosines : (m, m) float64, of the groups' gradients over the parameters (of an embedding: the rows) that both
        touch; NaN for a pair that shares none, where a gradient is zero, and without `diagnose`.
    filtered : (m,) float64, the share of the parameters that a group touches on which the rule left it out.
    """

    losses: NDArray[np.float64]
    cosines: NDArray[np.float64]
    filtered: NDArray[np.float64]

    def __str__(self) -> str:
        return in_words(f"A step of {counted(len(self.losses), 'group')}", self.losses, self.cosines, self.filtered)

    def __repr__(self) -> str:
        return str(self)


def backward(
    losses: Sequence[Tensor | None],
    module: nn.Module,
    rule: Rule | str,
    *,
    weights: ArrayLike | Tensor | None = None,
    scope: str = "tensor",
    embedding_rule: Rule | str | None = None,
    diagnose: bool = True,
) -> Step:
    """Combine the gradients of several losses by a rule and write the result to `.grad`, in place of what was there.

    Parameters
    ----------
    losses : one scalar a group or loss, such as the mean loss over the group's rows of the batch; None for a group
        without rows in this batch.
    module : its parameters that require a gradient are written.
    rule : a `Rule`, or the name of one (seed 0; for a rule that draws make it once and pass it to every step).
    weights : (m,), for the rule; see `Rule`.
    scope : "tensor" applies the rule to each parameter tensor alone, "all" to all dense tensors that the same groups
        reach, as one vector.
    embedding_rule : for the weights of nn.Embedding and nn.EmbeddingBag; None is the same rule, "balanced" leaves
        them out of the surgery.
    diagnose : whether to compute the cosines of the `Step`, which take time on large embeddings; else they are NaN.

    A tensor that one loss alone reaches (a group's own head) gets that loss's gradient as it is; by "sum", "erm" and
    "balanced" with its weight, by "norm_matched" the goal's times gamma. Of an embedding, rows that the same groups
    touch are combined together, by these groups: a group that never touches a row neither dilutes a cosine nor has a
    vote there. There are at most min(rows, 2^m - 1) such sets of groups, so many groups on a large embedding take
    time. Sparse gradients stay sparse.

    One pass of autograd a loss. A parameter that no loss reaches gets no gradient (None). Raises InputError for
    losses that are no finite scalars, need no gradient or were used by an earlier call, a gradient with NaN or
    infinite cells (parameter and group named), an unknown scope, and what the rule refuses; `.grad` is then as
    it was.
    """
    rule = _as_rule(rule)
    of_rows = rule if embedding_rule is None else _as_rule(embedding_rule)
    if scope not in SCOPES:
        raise InputError(f"scope is {scope!r}; one of {', '.join(SCOPES)} is expected")
    losses = _listed(losses)
    checked = _check_losses(losses)
    named = _parameters(module)
    gradients = _gradients(losses, [p for _, p in named])
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)}
    blocks = []
    for k, (name, parameter) in enumerate(named):
        of_groups = [of_all[k] for of_all in gradients]
        if any(g is not None for g in of_groups):
            by_row = id(parameter) in embeddings or any(g is not None and g.is_sparse for g in of_groups)
            blocks.append((row_block if by_row else dense_block)(parameter, of_groups))
            if not bool(torch.isfinite(blocks[-1].values).all()):
                _name_not_finite(of_groups, name)
    if not blocks:
        raise InputError("no loss depends on a parameter of this module; give the module that made the predictions")
    w = None if weights is None else check_weights(weights, torch.zeros(len(losses), 1, dtype=torch.float64))
    if scope == "all":
        blocks = joined(blocks)
    done = [combine(block, rule if block.rows is None else of_rows, w) for block in blocks]
    for _, parameter in named:
        parameter.grad = None
    for block, (result, _) in zip(blocks, done, strict=True):
        write(block, result)
    m = len(losses)
    between = cosines(blocks) if diagnose else np.full((m, m), np.nan)
    return Step(checked, between, filtered_share(blocks, [left_out for _, left_out in done]))


@dataclass(frozen=True, eq=False)
class Summary:
    """Many steps together: `losses` (T, m), and the means over the steps of `cosines` (m, m) and `filtered` (m,).

    NaN cells (a group without rows in a step) are left out of the means; a cell that is NaN in every step stays NaN.
    """

    losses: NDArray[np.float64]
    cosines: NDArray[np.float64]
    filtered: NDArray[np.float64]

    def __str__(self) -> str:
        steps, groups = self.losses.shape
        what = f"{counted(steps, 'step')} of {counted(groups, 'group')}; means over the steps"
        return in_words(what, _mean(self.losses), self.cosines, self.filtered)

    def __repr__(self) -> str:
        return str(self)


def summarise(steps: Step | Iterable[Step]) -> Summary:
    """How the groups got on over many steps; a single one is a list of one.

    Raises InputError for no steps, for what is no step, and for steps of different numbers of groups.
    """
    try:
        steps = [steps] if isinstance(steps, Step) else list(steps)
    except TypeError:
        raise InputError(f"steps is {steps!r:.60}; a list of what `backward` returns is expected") from None
    if not steps:
        raise InputError("there are no steps to summarise; collect what `backward` returns")
    for i, one in enumerate(steps):
        if not isinstance(one, Step):
            raise InputError(f"step {i} is a {type(one).__name__}; a list of what `backward` returns is expected")
        if len(one.losses) != len(steps[0].losses):
            raise InputError(
                f"step {i} has {len(one.losses)} groups, step 0 {len(steps[0].losses)}; give None for a group "
                "without rows in a batch"
            )
    return Summary(
        np.stack([one.losses for one in steps]),
        _mean(np.stack([one.cosines for one in steps])),
        _mean(np.stack([one.filtered for one in steps])),
    )


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the first axis of what is no NaN."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _as_rule(rule: Rule | str) -> Rule:
    if isinstance(rule, str):
        return named_rule(rule)
    if not isinstance(rule, Rule):
        raise InputError(f"rule is {rule!r:.80}; a name such as 'pcgrad', or what `rule(name)` gives, is expected")
    return rule


def _parameters(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters that require a gradient, with their names."""
    if not isinstance(module, nn.Module):
        raise InputError(
            f"module is a {type(module).__name__}; the torch.nn.Module that made the predictions is expected, not "
            "its parameters() nor an optimiser"
        )
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    if not named:
        raise InputError("the module has no parameter that requires a gradient; nothing can be trained")
    return named


def _listed(losses: Sequence[Tensor | None]) -> list[Tensor | None]:
    try:
        found = list(losses)
    except TypeError:
        raise InputError("losses is no list; one scalar tensor a group is expected, as a list") from None
    if not found:
        raise InputError("losses is empty; one scalar tensor a group is expected, None for a group without rows")
    return found


def _check_losses(losses: list[Tensor | None]) -> NDArray[np.float64]:
    values = np.full(len(losses), np.nan)
    for i, loss in enumerate(losses):
        if loss is None:
            continue
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            raise InputError(
                f"the loss of group {i} is {loss!r:.80}; a tensor of one number that depends on the parameters is "
                "expected, or None for a group without rows"
            )
        values[i] = loss.item()
        if not np.isfinite(values[i]):
            raise InputError(f"the loss of group {i} is {values[i]}; a finite number is expected")
    if np.isnan(values).all():
        raise InputError("losses has None only; at least one group must have rows in the batch")
    return values


def _gradients(losses: Sequence[Tensor | None], parameters: list[nn.Parameter]) -> list[tuple[Tensor | None, ...]]:
    """One pass of autograd a loss; the graph goes with the last."""
    last = max(i for i, loss in enumerate(losses) if loss is not None)
    found: list[tuple[Tensor | None, ...]] = []
    for i, loss in enumerate(losses):
        if loss is None:
            found.append((None,) * len(parameters))
            continue
        try:
            found.append(torch.autograd.grad(loss, parameters, retain_graph=i < last, allow_unused=True))
        except RuntimeError as error:
            if "second time" not in str(error) and "inplace operation" not in str(error):
                raise
            raise InputError(
                f"the graph of the loss of group {i} is gone: an earlier call of `backward` has used it, or the "
                "parameters have changed since; compute the losses anew before each call"
            ) from None
    return found


def _name_not_finite(of_groups: list[Tensor | None], name: str) -> None:
    for i, g in enumerate(of_groups):
        if g is not None and not bool(torch.isfinite(g.coalesce().values() if g.is_sparse else g).all()):
            raise InputError(
                f"the gradient of group {i} at parameter {name!r} has NaN or infinite cells; lower the learning "
                "rate, clip, or look for a division by zero or a logarithm of zero in its loss"
            )
