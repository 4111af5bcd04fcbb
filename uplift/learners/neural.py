"""NeuralResponse: one net for the value and the cost of every arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from uplift.errors import InputError
from uplift.learners.base import factual_score
from uplift.learners.costs import CostRange
from uplift.learners.features import read_features
from uplift.learners.log import checked_log
from uplift.learners.net_fit import NetFit, tables
from uplift.learners.nets import ResponseNet, Trunk
from uplift.learners.outcomes import Outcome, monotone_range
from uplift.learners.training import Progress, Schedule, device_of, layers, learning
from uplift.response import Response
from uplift.seeds import stream

MONOTONE = {None: (False, False), "value": (True, False), "cost": (False, True), "both": (True, True)}


class NeuralResponse(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A shared trunk of hidden layers, an embedding for each treatment, and a head each for value and cost.

        h = trunk(x);    a_0(x) = u'h,    a_j(x) = a_0(x) + <e_j, B h> + b_j;    value[i, j] = mean of likelihood(a_j)

    and the same for cost with its own u, B, b and the same embeddings e_j. It minimises the mean over users of
    w_i (-ln P(value_i | x_i, t_i) - ln P(cost_i | x_i, t_i)), w = 1/propensity of the arm received, mean 1.

    Parameters
    ----------
    hidden : widths of the trunk's layers; () makes it linear in the features.
    epochs : how often every user is seen. Learning ends with a rate of 0, so there is no early stopping.
    batch_size : users in a step; logs under 100 times that take n / 100 (32 at least).
    lr : the highest learning rate of the one-cycle schedule of AdamW.
    weight_decay : of AdamW, on all weights but not on biases; None takes 40 / sqrt(n), within .1 and .3.
    value_likelihood, cost_likelihood : "gaussian", "bernoulli" (a value of the same two amounts in all arms; a cost
        of two amounts an arm), "poisson" (nothing negative), "zero_inflated_lognormal" (spend of the few who buy),
        or "auto": the first that fits of bernoulli, gaussian (something is negative, or the smallest amount is above
        twice the standard deviation), poisson (a cost, or a value of at most 20 different amounts), zero-inflated
        lognormal (more than half are at 0), gaussian. What is predicted is the mean.
    monotone : None, "value", "cost" or "both": what may not fall from each arm to the next, control first.
    device : "auto" (CUDA where there is one), "cpu" or another name of torch.
    seed : of the first weights and of the batches.
    progress : called after each epoch with (epoch, epochs, mean loss), or None. A function is no part of a saved
        model: it comes back with None.

    Attributes
    ----------
    arms_ : names of the arms. net_ : the `uplift.learners.nets.ResponseNet`, whose call gives differentiable
    tables. value_range_ (2,), cost_range_ (2, K+1) : the logged ranges; predictions stay inside them.
    value_likelihood_, cost_likelihood_ : names of the likelihoods in use. losses_ : the mean loss of each epoch.

    Notes
    -----
    Assumes that treatment was random given X, with the propensities given. An arm whose every logged user cost the
    same has a known cost, which is not learnt. Features may be missing (NaN). Value and cost are standardised
    inside, so the unit of money does not matter. The same seed gives the same bytes on a CPU whatever the number of
    threads (fit and prediction take one), on another kind of processor or on CUDA equal up to rounding.
    Misleads where the log has few users for the net: with some hundreds a smaller `hidden`, () in the end, is
    steadier, and effects that are small beside the noise come out too much alike (an effect of .3 in half of 5,000
    users, beside a level and a noise of 1 and .5: .14 apart); a smaller `weight_decay` shows more of them and more
    noise. Source of the parts: shared layers and a head an arm, Shalit, Johansson and Sontag 2017, arXiv 1606.03976
    (TARNet, for one treatment; not re-read); the embedding of treatments, the contrast to control and every default
    are this project's own, by measurement on simulated campaigns.

    Examples
    --------
    >>> from uplift import synthetic
    >>> log = synthetic.simulate(2_000, seed=0).campaign
    >>> model = NeuralResponse(hidden=(8,), epochs=2).fit(log.X, log.value, treatment=log.treatment, cost=log.cost)
    >>> model.predict(log.X).effect.shape
    (2000, 4)
    """

    def __init__(
        self,
        hidden: Sequence[int] = (64, 64),
        epochs: int = 10,
        batch_size: int = 4096,
        lr: float = 1e-2,
        weight_decay: float | None = None,
        value_likelihood: str = "auto",
        cost_likelihood: str = "auto",
        monotone: str | None = None,
        device: str = "auto",
        seed: int | np.random.Generator = 0,
        progress: Progress | None = None,
    ) -> None:
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.value_likelihood = value_likelihood
        self.cost_likelihood = cost_likelihood
        self.monotone = monotone
        self.device = device
        self.seed = seed
        self.progress = progress

    def fit(
        self,
        X: ArrayLike,
        value: ArrayLike,
        *,
        treatment: ArrayLike,
        cost: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
        arms: Sequence[str] | None = None,
    ) -> Self:
        """Fit the net; arguments, units and errors as in `ResponseLearner.fit`. X may have missing cells (NaN).

        Raises InputError also for a parameter outside its range, a device that is not here, an outcome outside the
        support of the likelihood asked for, known costs that fall from arm to arm where cost is to be monotone, and
        a loss that is no longer finite.
        """
        begun = self.begin(X, value, treatment=treatment, cost=cost, propensity=propensity, arms=arms)
        schedule = Schedule(self.epochs, self.batch_size, self.lr, self.weight_decay, self.progress)
        return self.finish(begun, begun.fit(schedule))

    def begin(
        self,
        X: ArrayLike,
        value: ArrayLike,
        *,
        treatment: ArrayLike,
        cost: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
        arms: Sequence[str] | None = None,
    ) -> NetFit:
        """The log and the net at its starting weights, for whoever trains it by another loss; then `finish`.

        Arguments and errors as in `fit`. The result holds `net`, to be trained in place, and `log`.
        """
        Schedule(self.epochs, self.batch_size, self.lr, self.weight_decay, self.progress)  # refused before any work
        hidden = layers(self.hidden)
        device = device_of(self.device)
        value_rises, cost_rises = _monotone(self.monotone)
        log = checked_log(self, X, value, treatment, cost, propensity, arms, missing=True)
        paid = CostRange.of(log)
        low, high = monotone_range(paid.low, paid.high) if cost_rises else (paid.low, paid.high)
        worth = np.array([log.value.min(), log.value.max()])
        everywhere = (np.full(len(log.arms), worth[0]), np.full(len(log.arms), worth[1]))
        values = Outcome.of("value", self.value_likelihood, log.value, log.treatment, everywhere, value_rises)
        costs = Outcome.of("cost", self.cost_likelihood, log.cost, log.treatment, (paid.low, paid.high), cost_rises)
        rng = stream(self.seed, "neural response")
        return NetFit.begin(log, (values, costs), ~paid.known, (worth, np.stack([low, high])), hidden, device, rng)

    def finish(self, begun: NetFit, losses: Sequence[float]) -> Self:
        """Become the model of what `begin` gave and somebody has trained since; the learner itself.

        `losses` are the mean loss of each epoch, kept as `losses_`.
        """
        values, costs = begun.outcomes
        self.arms_ = begun.log.arms
        self.net_ = begun.net.requires_grad_(False).to("cpu")
        self.losses_ = tuple(losses)
        self.value_likelihood_, self.cost_likelihood_ = values.likelihood, costs.likelihood
        self.value_range_, self.cost_range_ = begun.ranges
        return self

    def predict(self, X: ArrayLike) -> Response:
        """Value and cost of every arm for every row of X (n, d), single precision, within the logged ranges."""
        features = read_features(self, X, missing=True)
        device = device_of(self.device)
        value, cost = tables(self.net_.to(device), features, (self.value_range_, self.cost_range_), device)
        self.net_.to("cpu")
        return Response(value, cost, self.arms_)

    score = factual_score

    def __sklearn_tags__(self) -> Any:
        """Missing features are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The fitted state as JSON-able facts and arrays."""
        check_is_fitted(self)
        facts: dict[str, Any] = {"arms": list(self.arms_), "hidden": list(self.net_.trunk.hidden)}
        facts["losses"] = list(self.losses_)
        for name, head in (("value", self.net_.value), ("cost", self.net_.cost)):
            facts[f"{name}_likelihood"] = head.family
            facts[f"{name}_monotone"] = head.monotone
        arrays = {f"net.{name}": tensor.numpy().copy() for name, tensor in self.net_.state_dict().items()}
        return facts, arrays | {"value_range": self.value_range_, "cost_range": self.cost_range_}

    def _from_arrays(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Restore what `_to_arrays` gave, onto an estimator with the same parameters."""
        alike = np.ones(len(meta["arms"]))
        outcomes = [
            Outcome(meta[f"{name}_likelihood"], alike, alike, meta[f"{name}_monotone"]) for name in ("value", "cost")
        ]
        with learning():
            state = {k.removeprefix("net."): torch.from_numpy(a.copy()) for k, a in arrays.items() if k[:4] == "net."}
            mean, scale, flagged = (state[f"trunk.{name}"] for name in ("mean", "scale", "flagged"))
            trunk = Trunk(mean, scale, flagged, meta["hidden"], None)
            net = ResponseNet(trunk, len(meta["arms"]) - 1, outcomes[0], outcomes[1], None)
            net.load_state_dict(state)
        self.arms_ = tuple(meta["arms"])
        self.losses_ = tuple(meta["losses"])
        self.value_likelihood_, self.cost_likelihood_ = (outcome.likelihood for outcome in outcomes)
        self.net_ = net.requires_grad_(False)
        self.value_range_ = arrays["value_range"]
        self.cost_range_ = arrays["cost_range"]
        self.n_features_in_ = len(state["trunk.mean"])
        return self


def _monotone(monotone: str | None) -> tuple[bool, bool]:
    """Whether value and whether cost may not fall from arm to arm."""
    if not (monotone is None or isinstance(monotone, str)) or monotone not in MONOTONE:
        raise InputError(f"monotone is {monotone!r}; None, 'value', 'cost' or 'both' is expected")
    return MONOTONE[monotone]
