"""Losses against sums written out in numpy, with the negatives replayed from the generator."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from uplift import InputError
from uplift.recommender.backbones import BACKBONES, backbone
from uplift.recommender.losses import LOSSES, Loss

ITEMS = 9
WINDOWS = torch.tensor([[3, 1, 4, 1], [5, 9, 0, 0], [2, 6, 5, 0]])  # six targets: 1 4 1, 9, 6 5
CONTEXTS = [[3], [3, 1], [3, 1, 4], [5], [2], [2, 6]]
TARGETS = np.array([1, 4, 1, 9, 6, 5])
every_net = pytest.mark.parametrize("name", BACKBONES)


def made(name, n_items=ITEMS):
    return backbone(name, n_items, width=4, length=5, seed=2).double().eval()


def generator():
    return torch.Generator().manual_seed(7)


def table(net, adapt=None):
    """Scores (6, ITEMS) of all items at each target's context, one context at a time."""
    rows = [net.score(net.last(torch.tensor([h])), None, adapt)[0] for h in CONTEXTS]
    return torch.stack(rows).detach().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@every_net
@pytest.mark.parametrize("adapt", [None, lambda x: 2 * x + 1])
def test_softmax(name, adapt):
    """The mean over the six targets of -log(e^own / sum over all items)."""
    net = made(name)
    s = table(net, adapt)
    expected = np.mean([-np.log(np.exp(row[v - 1]) / np.exp(row).sum()) for row, v in zip(s, TARGETS, strict=True)])
    assert_allclose(Loss("softmax")(net, WINDOWS, generator(), adapt).item(), expected, rtol=1e-10)


@every_net
@pytest.mark.parametrize("negatives", [1, ITEMS - 1])
def test_sampled_softmax(name, negatives):
    """The same negatives for all targets, repeated ones counted again; those equal to the target are left out."""
    net = made(name)
    drawn = torch.randint(1, ITEMS + 1, (negatives,), generator=generator()).tolist()
    assert negatives == 1 or set(TARGETS) & set(drawn)
    expected = 0.0
    for row, v in zip(table(net), TARGETS, strict=True):
        below = np.exp(row[v - 1]) + sum(np.exp(row[u - 1]) for u in drawn if u != v)
        expected -= np.log(np.exp(row[v - 1]) / below) / 6
    assert_allclose(Loss("sampled_softmax", negatives)(net, WINDOWS, generator()).item(), expected, rtol=1e-10)


@every_net
@pytest.mark.parametrize("negatives", [ITEMS, 1000])
def test_as_many_negatives_as_items_are_the_softmax(name, negatives):
    net = made(name)
    sampled = Loss("sampled_softmax", negatives)(net, WINDOWS, generator())
    assert torch.equal(sampled, Loss("softmax")(net, WINDOWS, generator()))


@every_net
@pytest.mark.parametrize("negatives", [1, 20])
def test_pointwise(name, negatives):
    """Log losses of one positive and each target's own negatives, a hit drawn once more, over their number."""
    net = made(name)
    replay = generator()
    first, second = (torch.randint(1, ITEMS + 1, (6, negatives), generator=replay).numpy() for _ in range(2))
    hits, expected = 0, 0.0
    for row, v, a, b in zip(table(net), TARGETS, first, second, strict=True):
        expected -= np.log(sigmoid(row[v - 1]))
        for u, again in zip(a, b, strict=True):
            hits += u == v
            expected -= np.log(sigmoid(-row[(again if u == v else u) - 1]))
    assert negatives == 1 or hits > 5
    expected /= 6 * (1 + negatives)
    assert_allclose(Loss("pointwise", negatives)(net, WINDOWS, generator()).item(), expected, rtol=1e-10)


@pytest.mark.parametrize("name", ["softmax", "sampled_softmax"])
def test_a_single_item_is_certain(name):
    """All negatives are hits: nothing to tell it from, loss 0 and gradient 0, no NaN."""
    net = made("sasrec", 1)
    loss = Loss(name, 5)(net, torch.tensor([[1, 1, 1]]), generator())
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert max(p.grad.abs().max() for p in net.parameters() if p.grad is not None) < 1e-12


@pytest.mark.parametrize("name", LOSSES)
def test_of_states_is_the_same_loss(name):
    """From states that were computed before, as plugins are trained."""
    net = made("gru4rec")
    loss = Loss(name, 3)
    states = torch.cat([net.last(torch.tensor([h])) for h in CONTEXTS])
    found = loss.of_states(net, states, torch.from_numpy(TARGETS), generator())
    assert_allclose(found.item(), loss(net, WINDOWS, generator()).item(), rtol=1e-12)


def test_settings_refused():
    with pytest.raises(InputError, match=r"there is no loss 'softmaks'.*softmax"):
        Loss("softmaks")
    for bad in (0, -1, 2.0, True, "4", None):
        with pytest.raises(InputError, match=r"negatives is .*; a whole number of at least 1"):
            Loss("pointwise", bad)
