"""How nets are fitted: AdamW on shuffled batches under a one-cycle learning rate, on one thread, from one seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uplift.errors import InputError, check_number, check_whole

STEPS_AN_EPOCH = 100  # smaller logs take smaller batches, so that they see as many steps as large ones
SMALLEST_BATCH = 32
RISE = 0.25  # share of the steps in which the learning rate rises
LARGEST_GRADIENT = 10.0  # norm, times the batch's largest weight: cuts explosions, while rare users count in full
SMALLEST_DECAY = 0.1  # of the weight decay where it is chosen by the size of the log

Progress = Callable[[int, int, float], None]
Gradient = Callable[[Tensor], Tensor]  # writes `.grad` for the users of a batch and returns its mean loss
Share = Callable[[nn.Module, Gradient], Gradient]  # that of a batch of which other processes take a part


@dataclass(frozen=True)
class Schedule:
    """How long and in which steps a net learns; `progress(epoch, epochs, mean loss)` is called after each epoch.

    `largest_decay` bounds the weight decay that the size of the log chooses; a log of fewer than `steps` times
    `batch_size` users takes smaller batches. Raises InputError for what no fit can use.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float | None
    progress: Progress | None = None
    largest_decay: float = 0.3
    steps: int = STEPS_AN_EPOCH

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            check_whole(getattr(self, name), name)
        check_number(self.lr, "lr", ", such as 0.01", positive=True)
        if self.weight_decay is not None:
            check_number(self.weight_decay, "weight_decay", ", or None")
        if self.progress is not None and not callable(self.progress):
            raise InputError(
                f"progress is {self.progress!r}; a function of (epoch, epochs, mean loss) is expected, or None"
            )

    def rows(self, n: int) -> int:
        """Users in a batch: `batch_size`, fewer where a log of n users would else see under `steps` an epoch."""
        return min(self.batch_size, max(SMALLEST_BATCH, math.ceil(n / self.steps)))

    def decay(self, n: int) -> float:
        """Weight decay: as given, else 40 / sqrt(n) within .1 and `largest_decay`: fewer users, a smoother net."""
        if self.weight_decay is not None:
            return float(self.weight_decay)
        return min(max(40 / math.sqrt(n), SMALLEST_DECAY), self.largest_decay)

    def rate(self, done: float) -> float:
        """Learning rate when the share `done` of the steps is over: a linear rise to `lr`, then a cosine to 0."""
        if done < RISE:
            return self.lr * (0.04 + 0.96 * done / RISE)
        return self.lr * (1 + math.cos(math.pi * (done - RISE) / (1 - RISE))) / 2


def train(
    net: nn.Module,
    loss: Callable[[Tensor], Tensor],
    weight: NDArray[np.floating[Any]],
    schedule: Schedule,
    rng: np.random.Generator,
    share: Share | None = None,
) -> tuple[float, ...]:
    """Fit the net in place; `loss(rows)` is the mean loss of the users `rows` (b,) int64, a scalar; losses by epoch.

    As `descend`, with the gradient by autograd; `share` shares each batch out, as `uplift.learners.shared` does.
    """

    def _gradient(rows: Tensor) -> Tensor:
        of_batch = loss(rows)
        of_batch.backward()  # type: ignore[no-untyped-call]
        return of_batch.detach()

    return descend(net, _gradient if share is None else share(net, _gradient), weight, schedule, rng)


def descend(
    net: nn.Module,
    gradient: Gradient,
    weight: NDArray[np.floating[Any]],
    schedule: Schedule,
    rng: np.random.Generator,
    enough: Callable[[int], bool] | None = None,
) -> tuple[float, ...]:
    """Fit the net in place; `gradient(rows)` writes `.grad` for a batch and returns its loss; the losses by epoch.

    `weight` (n,) is what each user counts in the loss; it scales the norm at which a batch's gradient is cut.
    Batches are slices of a new permutation each epoch. `enough(epoch)`, asked after each, may end the descent. Raises
    InputError when the loss is no longer finite.
    """
    n = len(weight)
    weights = [p for name, p in net.named_parameters() if not name.endswith("bias")]
    biases = [p for name, p in net.named_parameters() if name.endswith("bias")]
    groups = [{"params": weights, "weight_decay": schedule.decay(n)}, {"params": biases, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=schedule.lr, fused=True)
    device = weights[0].device
    batch = schedule.rows(n)
    batches = math.ceil(n / batch)
    losses: list[float] = []
    with learning():
        for epoch in range(schedule.epochs):
            order = rng.permutation(n)
            largest = [LARGEST_GRADIENT * float(weight[order[i : i + batch]].max()) for i in range(0, n, batch)]
            users = torch.from_numpy(order).to(device)
            total = torch.zeros((), device=device, dtype=torch.float32)
            for i in range(batches):
                for group in optimiser.param_groups:
                    group["lr"] = schedule.rate((epoch + i / batches) / schedule.epochs)
                optimiser.zero_grad()
                total += gradient(users[i * batch : (i + 1) * batch])
                nn.utils.clip_grad_norm_([*weights, *biases], largest[i])
                optimiser.step()
            mean = float(total) / batches
            if not math.isfinite(mean):
                raise InputError(
                    f"the loss is {mean} after epoch {epoch + 1}; take a smaller lr than {schedule.lr:g}"
                )
            if schedule.progress is not None:
                schedule.progress(epoch + 1, schedule.epochs, mean)
            losses.append(mean)
            if enough is not None and enough(epoch + 1):
                break
    optimiser.zero_grad()
    return tuple(losses)


@contextmanager
def learning() -> Iterator[None]:
    """One torch thread, and gradients even where the caller switched them off (`no_grad`, `inference_mode`)."""
    with one_thread(), torch.inference_mode(mode=False), torch.enable_grad():
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread, and the former number afterwards: sums then do not depend on the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def device_of(name: str) -> torch.device:
    """The torch device: "auto" takes CUDA where there is one. Raises InputError for a device that is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device is {name!r}, which cannot be used ({reason}); take 'auto' or 'cpu'") from None
    return device


def single(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array in single precision on the device; torch takes no reversed or read-only one."""
    return torch.from_numpy(np.require(array, np.float32, ("C", "W"))).to(device)


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """A torch generator of its own, started from a numpy one."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def layers(hidden: object) -> tuple[int, ...]:
    """Widths of the hidden layers, () for a linear model. Raises InputError for anything but whole numbers."""
    widths = tuple(hidden) if isinstance(hidden, tuple | list) else None
    if widths is None or not all(isinstance(w, int | np.integer) and w > 0 and w is not True for w in widths):
        raise InputError(f"hidden is {hidden!r}; a tuple of layer widths is expected, such as (64, 64), or ()")
    return tuple(int(w) for w in widths)
