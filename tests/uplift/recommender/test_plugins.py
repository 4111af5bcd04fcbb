"""Plugins: the identity before training, to the bit; who is routed; the formula, the share, the seeds."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from uplift import InputError
from uplift.recommender.backbones import BACKBONES, backbone
from uplift.recommender.histories import Histories
from uplift.recommender.net_scorer import NetScorer
from uplift.recommender.plugins import Plugin, Plugins

ITEMS, WIDTH, USERS = 15, 6, 30
GROUP = np.arange(USERS) % 3


def histories(seed=0):
    """Of 0 to 9 events, the net reads 7."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.permutation(np.arange(USERS) % 10))])
    return Histories(rng.integers(1, ITEMS + 1, offsets[-1], dtype=np.int32), offsets)


def made(name="gru4rec"):
    return backbone(name, ITEMS, width=WIDTH, length=7, seed=1)


def trained(n_groups=3):
    """Plugins that do something, each something else."""
    plugins = Plugins(n_groups, WIDTH, 2, seed=4)
    torch.manual_seed(8)
    for plugin in plugins.of_group:
        torch.nn.init.normal_(plugin.up.weight)
        torch.nn.init.constant_(plugin.down.bias, 3.0)  # else relu leaves some users as they are
    return plugins


def bits(array):
    return np.ascontiguousarray(array).view(np.uint32)


def answers(net, plugins=None, rows=None):
    """Scores and vectors of these users, bit by bit."""
    rows = np.arange(USERS) if rows is None else rows
    scorer = NetScorer(net, plugins, None if plugins is None else GROUP)
    return bits(scorer.scores(histories(), rows, rows)), bits(scorer.vectors(histories(), rows, rows))


@pytest.mark.parametrize("name", BACKBONES)
def test_untrained_plugins_change_no_bit(name):
    net = made(name)
    for found, expected in zip(answers(net, Plugins(3, WIDTH)), answers(net), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", BACKBONES)
def test_routing(name):
    """Who is not routed keeps the backbone's bits; the others get their own group's plugin and no other."""
    net, plugins = made(name), trained()
    plugins.route([True, False, True])
    before, after = answers(net), answers(net, plugins)
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old[GROUP == 1], new[GROUP == 1])
        assert (old[GROUP != 1] != new[GROUP != 1]).any(axis=1).all()
    states = net.last(torch.from_numpy(histories().padded(np.arange(USERS), 7)))
    for z in (0, 2):
        alone = net.score(states, None, plugins.alone(z)).detach().numpy()[z == GROUP]
        assert_allclose(after[0].view(np.float32)[z == GROUP], alone, rtol=1e-4, atol=1e-5)
    plugins.route([False] * 3)
    for old, new in zip(before, answers(net, plugins), strict=True):
        assert np.array_equal(old, new)


def test_users_of_a_batch_do_not_matter():
    """The same answer alone as beside users of other groups, whichever rows are asked for."""
    net, plugins = made(), trained()
    together = answers(net, plugins)[0].view(np.float32)
    for rows in ([4], [7, 2, 20], []):
        rows = np.array(rows, dtype=np.int64)
        alone = answers(net, plugins, rows)[0].view(np.float32)
        assert_allclose(alone, together[rows], rtol=1e-4, atol=1e-5)


def test_formula():
    """x + W_up relu(W_down x + b), number by number."""
    plugin = trained().of_group[0]
    P = {name: p.detach().numpy() for name, p in plugin.named_parameters()}
    assert {name: p.shape for name, p in P.items()} == {"down.weight": (2, 6), "down.bias": (2,), "up.weight": (6, 2)}
    x = np.random.default_rng(0).standard_normal((4, 5, WIDTH)).astype(np.float32)
    for i, j in np.ndindex(4, 5):
        hidden = [max(0.0, P["down.weight"][r] @ x[i, j] + P["down.bias"][r]) for r in range(2)]
        expected = x[i, j] + P["up.weight"] @ hidden
        assert_allclose(plugin(torch.from_numpy(x))[i, j].detach(), expected, rtol=1e-5, atol=1e-6)


def test_share_of_parameters():
    """A plugin has 2 x 6 + 2 + 6 x 2 = 26; GRU4Rec 16 x 6 vectors, 2 x 18 x 6 weights and 2 x 18 biases, 348."""
    assert Plugins(3, WIDTH, 2).share(made()) == pytest.approx(3 * 26 / 348)
    assert sum(p.numel() for p in Plugin(WIDTH, 2).parameters()) == 26


@pytest.mark.parametrize(("width", "bottleneck"), [(6, 3), (7, 3), (1, 1)])
def test_half_the_width_by_default(width, bottleneck):
    assert Plugins(1, width).of_group[0].down.weight.shape == (bottleneck, width)


def test_seeds_and_saving():
    """Same seed, same bytes; groups start apart; what is routed is saved with the weights."""
    state = torch.get_rng_state()
    one, same, other = (Plugins(2, WIDTH, seed=s).of_group[1].down.weight for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    plugins, loaded = trained(), Plugins(3, WIDTH, 2)
    assert not torch.equal(plugins.of_group[0].down.weight, plugins.of_group[1].down.weight)
    plugins.route(np.array([False, True, True]))
    loaded.load_state_dict(plugins.state_dict())
    assert loaded.routed.tolist() == [False, True, True]
    assert all(np.array_equal(*pair) for pair in zip(answers(made(), loaded), answers(made(), plugins), strict=True))


def test_refused():
    for bad in (0, 2.0, True, "4"):
        with pytest.raises(InputError, match=r"bottleneck is .*; a whole number of at least 1"):
            Plugins(3, WIDTH, bad)
    for bad in ([True], [True] * 4, True, [0, 2, 1]):
        with pytest.raises(InputError, match=r"groups has shape .*; a boolean for each of the 3 groups"):
            trained().route(bad)
    with pytest.raises(InputError, match="users is None; plugins and memory go by"):
        NetScorer(made(), trained(), GROUP).scores(histories(), np.arange(3))
