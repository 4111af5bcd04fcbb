"""The goal, and its gradient by the predicted values and costs at one or several prices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allocation.policies.gradients.registry import Estimator, check_tables, find
from uplift.errors import InputError
from uplift.seeds import stream


def goal(score: Tensor, worth: Tensor) -> Tensor:
    """Mean worth of the decisions that the scores make, a scalar: mean_i W_i,z_i with z_i = argmax_j S_ij.

    `score`, `worth` (n, K+1); the result is in the unit of worth. The first of equal scores is decided. It is a step
    function of the scores, so it has no useful gradient of its own: see `gradient`.
    Raises InputError for tables that are no float tensors of one shape, dtype and device, or not finite.
    """
    check_tables(score=score, worth=worth)
    return worth.gather(1, score.argmax(dim=1, keepdim=True)).mean()


def gradient(
    estimator: str | Estimator,
    value: Tensor,
    cost: Tensor,
    worth_value: Tensor,
    worth_cost: Tensor,
    price: float | Sequence[float] | NDArray[np.floating],
    *,
    width: float,
    seed: int | np.random.Generator = 0,
) -> tuple[Tensor, Tensor]:
    """Gradients of the smoothed goal by predicted value and predicted cost, (n, K+1) each, detached.

        S = value - price cost,    W = worth_value - price worth_cost,    g = estimate of dG/dS
        dG/dvalue = g,    dG/dcost = -price g              (several prices: the mean over them)

    Parameters
    ----------
    estimator : a name in ESTIMATORS, or such a function, for instance `partial(nes, pairs=64)`.
    value, cost : (n, K+1), what the model predicts, in the units of value and of money.
    worth_value, worth_cost : (n, K+1), value and cost of deciding an arm for a user by the log (doubly robust or
        inverse-propensity scores), in the same units.
    price : at least 0, value a unit of money; one, or several.
    width : the smoothing, in the unit of value; the same at every price.
    seed : for estimators that draw. The same seed gives the same bytes on the same device; give a training one numpy
        generator for all its steps.

    The result is in worth a unit of value, and worth a unit of money, with the 1/n of the mean. The price is taken as
    fixed: that a change of predictions also moves the price at which a budget is met is left out. Follow the gradient
    upwards: an optimiser that minimises gets its negative.
    Raises InputError for an unknown name, for prices that are negative, not finite or none, and as `Estimator` says.

    Examples
    --------
    The model leaves a user alone by a little (1.0 against 1.9 - 1.0), while by the log the arm pays (4.0 - 1.0):

    >>> value, cost = torch.tensor([[1.0, 1.9]]), torch.tensor([[0.0, 1.0]])
    >>> logged_value, logged_cost = torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 1.0]])
    >>> by_value, by_cost = gradient("finite_difference", value, cost, logged_value, logged_cost, 1.0, width=0.5)
    >>> by_value.tolist(), by_cost.tolist()
    ([[-2.0, 2.0]], [[2.0, -2.0]])
    """
    estimate = find(estimator) if isinstance(estimator, str) or not callable(estimator) else estimator
    check_tables(value=value, cost=cost, worth_value=worth_value, worth_cost=worth_cost)
    prices = _checked_prices(price)
    generator = torch.Generator(value.device).manual_seed(int(stream(seed, "gradient estimator").integers(2**62)))
    by_value, by_cost = torch.zeros_like(value), torch.zeros_like(value)
    for p in prices:
        score, worth = (v.detach() - p * c.detach() for v, c in ((value, cost), (worth_value, worth_cost)))
        g = estimate(score, worth, width, generator)
        by_value += g
        by_cost -= p * g
    return by_value.div_(len(prices)), by_cost.div_(len(prices))


def _checked_prices(price: float | Sequence[float] | NDArray[np.floating]) -> list[float]:
    try:
        prices = np.asarray(price, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        prices = np.empty((0, 0))
    if prices.ndim > 1 or not prices.size or not np.isfinite(prices).all() or (prices < 0).any():
        raise InputError(
            f"price is {price!r}; a finite number of at least 0 is expected, value a unit of money, or a list of such"
        )
    return [float(p) for p in np.atleast_1d(prices)]
