"""Training over groups of users by a rule that makes one gradient of theirs, with how the groups got on."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uplift.causal.aggregation import Rule, Step, Summary, backward, summarise
from uplift.causal.aggregation import rule as named_rule
from uplift.errors import InputError, check_number, check_whole
from uplift.learners.training import learning, torch_generator
from uplift.recommender.batches import Examples, epoch, n_steps
from uplift.seeds import stream

WEIGHTS = ("samples", "users")
SCHEDULES = {"constant": 0.0, "decay": 0.25, "falling": 1.0}  # share of the steps in which lr falls to 0, at the end
LINEAR = ("sum", "erm", "balanced")  # one pass of autograd gives the same gradient

# (rows of examples of one group, group, generator) -> mean loss over their targets
GroupLoss = Callable[[NDArray[np.int64], int, torch.Generator], Tensor]
# (epoch, epochs, mean loss, what the validation said last or None) -> None
Progress = Callable[[int, int, float, "float | None"], None]


@dataclass(frozen=True, eq=False)
class Training:
    """What happened in a training.

    Attributes
    ----------
    losses : (epochs, S) float64, the mean loss of each group in each epoch.
    diagnostics : the gradients of the groups over the steps that were looked at: their cosines, and the share of the
        parameters on which the rule left each out, item vectors included.
    filtered : (S,) float64, the share of these steps in which the rule left the group out of a parameter tensor.
    validation : (epochs + 1,) float64, before training and after each epoch; NaN where nobody looked.
    best : the epoch whose parameters the net has now; 0 is before training.
    seconds : of training, validation left out.
    """

    losses: NDArray[np.float64]
    diagnostics: Summary
    filtered: NDArray[np.float64]
    validation: NDArray[np.float64]
    best: int
    seconds: float

    def __str__(self) -> str:
        kept = f"parameters of epoch {self.best} of {len(self.losses)}, {self.seconds:.0f} s of training"
        filtered = ", ".join(f"{share:.0%}" for share in self.filtered)
        return f"{kept}\n{self.diagnostics}\nleft out of a tensor in this share of the steps, by group: {filtered}"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class GroupedTrainer:
    """How a net is trained over groups of users: in every step each group's gradient, and a rule that makes them one.

        g_z = gradient of the mean loss over the targets of group z in this step;  step along rule(g_1 .. g_S; w)

    Attributes
    ----------
    rule : a rule of `uplift.causal.aggregation`, or its name. "erm" with weights "samples" is joint training.
    weights : w_z, "samples" counts targets, as in ordinary training; "users" counts users: backdoor adjustment over
        activeness, sum_z P(z) g_z, which is causal only where activeness blocks every backdoor path (and activeness
        is partly a result of past recommendations), else no more than balance.
    embedding_rule : for vectors of items, of which a group touches few; None is the same rule.
    epochs, batch_size, lr, weight_decay : passes over all data, examples in a step, step size and decay of AdamW.
    schedule : of the step size: "constant", "decay", a straight fall to 0 over the last quarter of the steps, or
        "falling", over all of them.
    patience : end after so many looks at the validation without a better one; None never ends early.
    look : look at the validation every so many epochs, and at the last.
    diagnose : look at the groups' gradients every so many steps. Costs a pass of autograd a group with linear rules.
    seed : of the order of the examples, the negatives, the rule and dropout.
    progress : told after each epoch: it, of how many, the mean loss, the last validation or None.

    Every group sees all its data in every epoch, whatever its size. "erm", "balanced" and "sum" are one pass of
    autograd a step, other rules one a group, each over its own examples.
    """

    rule: Rule | str = "erm"
    weights: str = "samples"
    embedding_rule: Rule | str | None = None
    epochs: int = 30
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    patience: int | None = None
    look: int = 1
    diagnose: int = 20
    seed: int = 0
    progress: Progress | None = None

    def fit(
        self,
        module: nn.Module,
        loss: GroupLoss,
        data: Examples,
        validate: Callable[[], float] | None = None,
    ) -> Training:
        """Train the parameters of `module` that require a gradient, in place; how it went.

        `loss(rows, z, generator)` is the mean loss of these examples, all of group z, and `data` says which group,
        how many targets and users there are (`uplift.recommender.batches.Examples`). `validate()`, larger is better,
        chooses the epoch whose parameters are kept; without it the last are. Raises InputError for settings out of
        range, a group without examples, and a loss that is not finite.
        """
        self.check()
        weight = self._weights(data)
        rng = stream(self.seed, "recommender training")
        generator = torch_generator(rng)
        chosen = named_rule(self.rule, seed=rng) if isinstance(self.rule, str) else self.rule
        of_items = self.embedding_rule
        of_items = named_rule(of_items, seed=rng) if isinstance(of_items, str) else of_items
        linear = chosen.name in LINEAR and (of_items is None or of_items.name == chosen.name)
        parameters = [p for p in module.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=self.lr, weight_decay=self.weight_decay, fused=True)
        losses: list[NDArray[np.float64]] = []
        steps: list[Step] = []
        look = _Look(module, validate, self.patience)
        seconds, counted = 0.0, 0
        with learning(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))  # dropout draws from the global generator
            look.at(0)
            for number in range(1, self.epochs + 1):
                started = time.perf_counter()
                module.train()
                seen: list[NDArray[np.float64]] = []
                batches = list(epoch(data, self.batch_size, rng))
                for place, batch in enumerate(batches):
                    for part in optimiser.param_groups:
                        part["lr"] = self._rate((number - 1 + place / len(batches)) / self.epochs)
                    of_groups = [loss(rows, z, generator) if len(rows) else None for z, rows in enumerate(batch)]
                    diagnose = counted % self.diagnose == 0
                    if linear and not diagnose:
                        seen.append(_linear(of_groups, weight, chosen.name))
                    else:
                        step = backward(
                            of_groups, module, chosen, weights=weight, embedding_rule=of_items, diagnose=diagnose
                        )
                        steps.append(step)
                        seen.append(step.losses)
                    counted += 1
                    optimiser.step()
                    optimiser.zero_grad()
                losses.append(np.nanmean(np.stack(seen), axis=0))
                seconds += time.perf_counter() - started
                if number % self.look == 0 or number == self.epochs:
                    look.at(number)
                if self.progress is not None:
                    self.progress(number, self.epochs, float(losses[-1] @ weight / weight.sum()), look.latest)
                if look.enough():
                    break
        look.restore()
        values = np.full(len(losses) + 1, np.nan)
        values[list(look.values)] = list(look.values.values())
        filtered = np.mean([step.filtered > 0 for step in steps], axis=0)
        return Training(np.stack(losses), summarise(steps), filtered, values, look.best, seconds)

    def _rate(self, done: float) -> float:
        """The step size when this share of the steps is over."""
        falling = SCHEDULES[self.schedule]
        return self.lr * min(1, (1 - done) / falling) if falling else self.lr

    def _weights(self, data: Examples) -> NDArray[np.float64]:
        """Targets or users of each group, (S,); more where a group sits out steps: an epoch counts them all."""
        targets = np.bincount(data.group, weights=data.targets, minlength=len(data.users))
        if (targets == 0).any():
            raise InputError(
                f"group {int(np.argmin(targets))} (counted from 0) has no user with two training events; take fewer "
                "strata"
            )
        steps = n_steps(data, self.batch_size)
        present = np.minimum(np.bincount(data.group, minlength=len(data.users)), steps)
        return (targets if self.weights == "samples" else data.users) * (steps / present)

    def check(self) -> None:
        """Raise InputError for settings out of range."""
        for name in ("epochs", "batch_size", "look", "diagnose", "patience"):
            count = getattr(self, name)
            if name == "patience" and count is None:
                continue
            check_whole(count, name)
        for name in ("rule", "embedding_rule"):
            given = getattr(self, name)
            if not isinstance(given, str | Rule) and not (name == "embedding_rule" and given is None):
                raise InputError(
                    f"{name} is {given!r:.80}; a name such as 'pcgrad' is expected, or what `rule` gives"
                )
            if isinstance(given, str):
                named_rule(given)
        check_number(self.lr, "lr", positive=True)
        check_number(self.weight_decay, "weight_decay")
        for name, known in (("weights", WEIGHTS), ("schedule", SCHEDULES)):
            if not isinstance(getattr(self, name), str) or getattr(self, name) not in known:
                raise InputError(f"{name} is {getattr(self, name)!r}; one of {', '.join(known)} is expected")


class _Look:
    """What the validation said, and the parameters that it liked best."""

    def __init__(self, module: nn.Module, validate: Callable[[], float] | None, patience: int | None) -> None:
        self.module, self.validate, self.patience = module, validate, patience
        self.values: dict[int, float] = {}
        self.best = 0
        self.latest: float | None = None
        self.kept: dict[str, Any] = {}

    def at(self, number: int) -> None:
        """Look after this epoch."""
        if self.validate is None:
            self.best = number
            return
        self.module.eval()
        with torch.no_grad():
            value = self.latest = self.values[number] = float(self.validate())
        if not math.isfinite(value):
            raise InputError(f"the validation is {value} after epoch {number}; a finite number is expected")
        if number == 0 or value > self.values[self.best]:
            self.best, self.kept = number, copy.deepcopy(self.module.state_dict())

    def enough(self) -> bool:
        """Whether the last `patience` looks were no better than the best."""
        return self.patience is not None and sum(number > self.best for number in self.values) >= self.patience

    def restore(self) -> None:
        """Put the best parameters back, ready to predict."""
        if self.kept:
            self.module.load_state_dict(self.kept)
        self.module.eval()


def _linear(losses: list[Tensor | None], weight: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Write `.grad` of the weighted losses in one pass; the losses, (S,), NaN for a group that sits out."""
    w = weight if name == "sum" else weight / weight.sum()
    total = torch.stack([float(w[z]) * loss for z, loss in enumerate(losses) if loss is not None]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    values = np.array([math.nan if loss is None else loss.item() for loss in losses])
    if not np.isfinite(values[[loss is not None for loss in losses]]).all():
        raise InputError(f"the losses of the groups are {values.tolist()}; take a smaller lr")
    return values
