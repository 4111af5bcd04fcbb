"""What the rankers share: the net with an output a treatment, its fit to a loss, its state as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from uplift.errors import InputError
from uplift.learners.features import read_features
from uplift.learners.log import Log
from uplift.learners.nets import Trunk, linear, trunk_of
from uplift.learners.training import Schedule, device_of, layers, learning, one_thread, single, torch_generator, train
from uplift.metrics import aucc
from uplift.seeds import stream

Array = NDArray[np.float64]
RankLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # score, contrast weight (n, K), value, cost (n,)
ROUNDING = 1e-9  # of the largest amount: differences below it are errors of sums, not of users
LARGEST_DECAY = 1.0  # small logs need smoother nets here than in NeuralResponse: a contrast is noisier than a level
RIDGE = 1e-3  # of the control variate, in users


class Scorer(nn.Module):
    """A trunk and a linear output for each treatment: (n, d) -> (n, K)."""

    def __init__(self, trunk: Trunk, K: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.trunk = trunk
        self.output = linear(trunk.width, K, generator)

    def forward(self, X: Tensor) -> Tensor:
        """The scores, (n, K)."""
        scores: Tensor = self.output(self.trunk(X))
        return scores


def contrast_weights(log: Log) -> Array:
    """Weights (n, K): 1/p where treatment j was received, -1/p where control, else 0; each side scaled to sum 1.

    p is the propensity of the arm received; without propensities (or where they are the same for all users of an
    arm) the scaling makes it the arm's share in the log.
    """
    inverse = log.weights
    own = (log.treatment[:, None] == np.arange(len(log.arms))) * inverse[:, None]
    own /= own.sum(axis=0)
    return np.asarray(own[:, 1:] - own[:, :1])


def mean_contrasts(log: Log, y: Array) -> Array:
    """The average of y under each treatment less that under control, (K,); what only rounding leaves is 0."""
    contrasts = np.asarray(y @ contrast_weights(log))
    return np.where(np.abs(contrasts) < ROUNDING * np.abs(y).max(), 0.0, contrasts)


def fit_scorer(ranker: Any, log: Log, loss: RankLoss, value: Array, cost: Array) -> None:
    """Fit `ranker.net_` so that the loss of a whole log is smallest; value and cost (n,) in the loss's own units.

    What a least-squares fit on the features explains is first taken off both: it is a function of X alone, so under
    random treatment it leaves the expectation of DRP's and of DCL's loss as it is and takes noise away (a control
    variate). Approximately so for DRM, a ratio whose two shares of users are each scaled to sum 1 in a batch.
    """
    schedule = Schedule(ranker.epochs, ranker.batch_size, ranker.lr, ranker.weight_decay, largest_decay=LARGEST_DECAY)
    hidden, device = layers(ranker.hidden), device_of(ranker.device)
    rng = stream(ranker.seed, "ranker")
    generator = torch_generator(rng)
    n = len(log.value)
    with learning():
        trunk = trunk_of(log.X, hidden, generator)
        net = Scorer(trunk, len(log.arms) - 1, generator).to(device)
        contrast = contrast_weights(log) * n
        X, weight, y, c = (
            single(array, device) for array in (log.X, contrast, unexplained(log.X, value), unexplained(log.X, cost))
        )

        def _of_batch(rows: Tensor) -> Tensor:
            return loss(net(X[rows]), weight[rows] / len(rows), y[rows], c[rows])

        train(net, _of_batch, np.abs(contrast).max(axis=1), schedule, rng)
    ranker.arms_ = log.arms
    ranker.net_ = net.requires_grad_(False).to("cpu")


def unexplained(X: NDArray[np.float32], y: Array) -> Array:
    """y (n,) less its least-squares fit on standardised X (n, d) and a constant; missing cells count as the mean."""
    trunk = trunk_of(X, (), torch.Generator())
    # In double precision: sums over all users of single products would leave a remainder that hangs on their order.
    Z = np.nan_to_num((X.astype(np.float64) - trunk.mean.numpy()) / trunk.scale.numpy(), nan=0.0)
    residual = y - y.mean()
    gram = Z.T @ Z + RIDGE * np.eye(Z.shape[1])
    return np.asarray(residual - Z @ np.linalg.solve(gram, Z.T @ residual))


def rank(ranker: Any, X: ArrayLike) -> Array:
    """The raw scores of the fitted net, (n, K)."""
    features = read_features(ranker, X, missing=True)
    with torch.inference_mode(), one_thread():
        return np.asarray(ranker.net_(single(features, torch.device("cpu"))).numpy().astype(np.float64))


def to_arrays(ranker: Any, facts: dict[str, Any]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The fitted state of a ranker as JSON-able facts and arrays."""
    known = {"arms": list(ranker.arms_), "hidden": list(ranker.net_.trunk.hidden), **facts}
    return known, {name: tensor.numpy().copy() for name, tensor in ranker.net_.state_dict().items()}


def from_arrays(ranker: Any, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Restore what `to_arrays` gave."""
    with learning():
        state = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        trunk = Trunk(state["trunk.mean"], state["trunk.scale"], state["trunk.flagged"], meta["hidden"], None)
        net = Scorer(trunk, len(meta["arms"]) - 1, None)
        net.load_state_dict(state)
    ranker.arms_ = tuple(meta["arms"])
    ranker.net_ = net.requires_grad_(False)
    ranker.n_features_in_ = len(state["trunk.mean"])


def check_costly(log: Log) -> NDArray[np.float64]:
    """The average extra cost of each treatment, (K,) money; a return needs all of them above 0."""
    extra = mean_contrasts(log, log.cost)
    free = np.flatnonzero(~(extra > 0))
    if free.size:
        j = int(free[0])
        raise InputError(
            f"treatment {log.arms[j + 1]!r} costs {extra[j]:.3g} more than control on average; value per cost needs "
            "a cost above control's: give cost, leave the arm out, or take DCL or NeuralResponse"
        )
    return extra


def spread(amount: NDArray[np.float64]) -> float:
    """The standard deviation, or 1 of a constant (up to rounding): so that the unit of money changes nothing."""
    deviation = float(amount.std())
    return deviation if deviation > ROUNDING * float(np.abs(amount).max()) else 1.0


def number_or_none(name: str, number: float | None, *, zero: bool = False) -> float | None:
    """None, or the number if it is finite and above 0, or at least 0 where `zero` is allowed."""
    if number is None:
        return None
    is_number = isinstance(number, int | float | np.number) and not isinstance(number, bool)
    if not is_number or not 0 <= number < np.inf or (number == 0 and not zero):
        least = "of at least 0" if zero else "above 0"
        raise InputError(f"{name} is {number!r}; a number {least} is expected, or None to read it off the log")
    return float(number)


def cost_curve_score(
    self: Any,
    X: ArrayLike,
    value: ArrayLike,
    *,
    treatment: ArrayLike,
    cost: ArrayLike,
    propensity: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Area under the cost curve of the returns (`uplift.metrics.aucc`, .5 is random): `score` of the rankers.

    For GridSearchCV; it needs the cost, so route it: `set_score_request(treatment=True, cost=True)`.
    """
    if sample_weight is not None:
        raise InputError("sample_weight is given, which the cost curve does not take; give propensity for weights")
    return aucc(self.predict(X).roi, value, treatment, cost, propensity=propensity).area
