"""Batches shared out among processes: the gradient of the whole batch, and the net of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from uplift import synthetic
from uplift.learners import shared
from uplift.learners.neural import NeuralResponse
from uplift.learners.training import Schedule

LOG = synthetic.simulate(600, seed=5).campaign
Run = Callable[[int, Callable[[], Any]], list[Any]]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the same in so many threads that take each other for processes of a torch.distributed group."""
    mine = threading.local()
    given: dict[int, torch.Tensor] = {}

    def run(number: int, work: Callable[[], Any]) -> list[Any]:
        barrier = threading.Barrier(number, timeout=60)

        def all_reduce(tensor: torch.Tensor) -> None:
            given[mine.rank] = tensor.clone()
            barrier.wait()
            tensor.copy_(sum(given[rank] for rank in range(number)))
            barrier.wait()

        def one(rank: int) -> Any:
            mine.rank = rank
            return work()

        monkeypatch.setattr(shared.dist, "get_rank", lambda: mine.rank)
        monkeypatch.setattr(shared.dist, "get_world_size", lambda: number)
        monkeypatch.setattr(shared.dist, "all_reduce", all_reduce)
        with ThreadPoolExecutor(number) as pool:
            return list(pool.map(one, range(number)))

    return run


def begun(**parameters: Any):
    model = NeuralResponse(**{"hidden": (8,), "epochs": 3, "weight_decay": 0.1} | parameters)
    roles = {name: getattr(LOG, name) for name in ("treatment", "cost", "propensity", "arms")}
    return model, model.begin(LOG.X, LOG.value, **roles)


def gradient_of(net: torch.nn.Module, loss: Callable[[torch.Tensor], torch.Tensor]):
    def gradient(rows: torch.Tensor) -> torch.Tensor:
        of_batch = loss(rows)
        of_batch.backward()
        return of_batch.detach()

    return gradient


@pytest.mark.parametrize(("number", "users"), [(2, 64), (3, 64), (3, 2), (2, 1), (1, 64)])
def test_the_sum_of_gradients_is_the_gradient_of_the_whole_batch(processes: Run, number: int, users: int):
    """Also where some process has no user of the batch."""
    rows = torch.arange(100, 100 + users)
    _, alone = begun()
    loss = gradient_of(alone.net, alone.factual_loss())(rows)

    def work():
        _, mine = begun()
        of_all = shared.share(mine.net, gradient_of(mine.net, mine.factual_loss()))(rows)
        return of_all, [w.grad for w in mine.net.parameters()]

    for of_all, gradients in processes(number, work):
        assert float(of_all) == pytest.approx(float(loss), rel=1e-6)
        for mine, whole in zip(gradients, alone.net.parameters(), strict=True):
            np.testing.assert_allclose(mine, whole.grad, rtol=1e-5, atol=1e-6)


def test_processes_end_with_the_same_bits_and_one_process_with_the_same_net(processes: Run):
    model, alone = begun()
    schedule = Schedule(model.epochs, model.batch_size, model.lr, model.weight_decay)
    losses = alone.fit(schedule)

    def work():
        mine, net_fit = begun()
        return net_fit.fit(schedule, shared.share), shared.digest(net_fit.net), mine, net_fit

    found = processes(2, work)
    assert len({digest for _, digest, _, _ in found}) == 1
    np.testing.assert_allclose(found[0][0], losses, rtol=1e-5)
    one = model.finish(alone, losses).predict(LOG.X)
    two = found[1][2].finish(found[1][3], found[1][0]).predict(LOG.X)
    np.testing.assert_allclose(two.value, one.value, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(two.cost, one.cost, rtol=1e-3, atol=1e-3)


def test_the_digest_sees_a_last_bit():
    _, one = begun()
    _, two = begun()
    assert shared.digest(one.net) == shared.digest(two.net)
    with torch.no_grad():
        weight = next(two.net.parameters())
        weight[0, 0] = float(np.nextafter(np.float32(weight[0, 0]), np.float32(9)))
    assert shared.digest(one.net) != shared.digest(two.net)
