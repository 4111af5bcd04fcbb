"""Backbones: what a state may see, the three ways to score, and each net against a slow one written out."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from uplift import InputError
from uplift.recommender.backbones import BACKBONES, backbone

NAMES = tuple(BACKBONES)
ITEMS, WIDTH, LENGTH = 12, 6, 7
every_net = pytest.mark.parametrize("name", NAMES)


def made(name, **options):
    """A net in double precision whose every parameter is random, biases and slopes included."""
    net = backbone(name, ITEMS, width=WIDTH, length=LENGTH, **{"seed": 1} | options).double().eval()
    draws = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.3 * torch.randn(p.shape, generator=draws, dtype=p.dtype)
        for m in net.modules():
            if isinstance(m, nn.Embedding) and m.padding_idx is not None:
                m.weight[m.padding_idx] = 0
    return net


def scores(net, states, candidates=None, adapt=None):
    with torch.no_grad():
        return net.score(states, candidates, adapt)


def padded(*histories, length=LENGTH):
    return torch.tensor([[*h, *[0] * (length - len(h))] for h in histories])


@every_net
def test_later_events_never_reach_an_earlier_state(name):
    net = made(name)
    one, other = [3, 1, 4, 1, 5], [3, 1, 4, 9, 2]
    before = scores(net, net.states(padded(one)))
    after = scores(net, net.states(padded(other)))
    torch.testing.assert_close(before[:3], after[:3], rtol=1e-12, atol=1e-12)
    assert (before[3:] != after[3:]).any(dim=1).all()


@every_net
def test_padding_and_other_rows_change_nothing(name):
    """Each history alone and without padding, against all of them in one batch; states and last state."""
    net = made(name)
    histories = [[3, 1, 4, 1, 5], [2], [7, 7, 8, 9, 10, 11, 12], []]
    states, last = scores(net, net.states(padded(*histories))), scores(net, net.last(padded(*histories)))
    assert len(states) == 13
    row = 0
    for i, h in enumerate(histories):
        alone = padded(h, length=max(1, len(h)))
        torch.testing.assert_close(last[i], scores(net, net.last(alone))[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(states[row : row + len(h)], scores(net, net.states(alone)), rtol=1e-12, atol=1e-12)
        row += len(h)
        if h:
            torch.testing.assert_close(last[i], states[row - 1], rtol=1e-12, atol=1e-12)


@every_net
@pytest.mark.parametrize("adapt", [None, lambda x: 2 * x - x.square()])
def test_three_ways_to_give_candidates(name, adapt):
    """All items by None, by one list of codes, and by a list for each state in another order."""
    net = made(name)
    states = net.last(padded([3, 1, 4], [5, 9], []))
    full = scores(net, states, None, adapt)
    assert full.shape == (3, ITEMS)
    torch.testing.assert_close(scores(net, states, torch.arange(1, ITEMS + 1), adapt), full, rtol=1e-12, atol=1e-12)
    each = torch.stack([torch.randperm(ITEMS, generator=torch.Generator().manual_seed(i))[:5] for i in range(3)])
    torch.testing.assert_close(scores(net, states, each + 1, adapt), full.gather(1, each), rtol=1e-12, atol=1e-12)


@every_net
def test_a_plugin_acts_on_what_stands_for_the_user(name):
    """The identity changes no bit; a plugin that forgets makes all users alike, in scores and in the vector."""
    net = made(name)
    states = net.last(padded([3, 1, 4], [5, 9]))
    assert torch.equal(scores(net, states, None, lambda x: x), scores(net, states))
    assert torch.equal(net.vector(states, lambda x: x), net.vector(states))
    assert net.vector(states).shape == (2, WIDTH)
    torch.testing.assert_close(net.vector(states, lambda x: 3 * x), 3 * net.vector(states))
    forgotten = scores(net, states, None, torch.zeros_like)
    assert torch.equal(forgotten[0], forgotten[1])
    assert (scores(net, states)[0] != scores(net, states)[1]).all()


@every_net
def test_an_empty_history(name):
    """Finite scores, the same beside any other row; no state of it to learn from."""
    net = made(name)
    assert torch.isfinite(scores(net, net.last(padded([], length=1)))).all()
    assert torch.isfinite(net.vector(net.last(padded([], length=1)))).all()
    assert len(net.states(padded([], []))) == 0


@every_net
def test_padding_stays_zero_when_the_net_learns(name):
    net = backbone(name, ITEMS, width=WIDTH, length=LENGTH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.1)
    F.cross_entropy(net.score(net.last(padded([3, 1], [])), None), torch.tensor([2, 3])).backward()
    before = net.items.weight.clone()
    optimiser.step()
    assert (net.items.weight[0] == 0).all()
    assert (net.items.weight[1:] != before[1:]).any()


@every_net
def test_same_seed_same_bytes(name):
    """And torch's own stream is not touched."""
    state = torch.get_rng_state()
    one, same, other = (
        torch.cat([p.detach().flatten() for p in backbone(name, ITEMS, seed=s).parameters()])
        for s in (3, np.int64(3), 4)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_settings_refused():
    with pytest.raises(InputError, match=r"there is no backbone 'sasrek'.*sasrec"):
        backbone("sasrek", 5)
    for bad in (0, 2.5, True, "many"):
        with pytest.raises(InputError, match=r"n_items is .*; a whole number of at least 1"):
            backbone("gru4rec", bad)
    with pytest.raises(InputError, match="width is 0"):
        backbone("din", 5, width=0)
    with pytest.raises(InputError, match=r"length is -1"):
        backbone("din", 5, length=-1)
    for bad in (1, -0.1, float("nan"), "0.2", True):
        with pytest.raises(InputError, match=r"dropout is .*; a share from 0 to below 1"):
            backbone("sasrec", 5, dropout=bad)
    with pytest.raises(InputError, match="seed is -1"):
        backbone("sasrec", 5, seed=-1)
