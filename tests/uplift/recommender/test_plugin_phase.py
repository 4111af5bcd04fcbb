"""Training of plugins: the backbone keeps its bytes, a group its independence, and each its own best epoch."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from uplift import InputError
from uplift.recommender import plugin_phase
from uplift.recommender.backbones import BACKBONES, backbone
from uplift.recommender.batches import windows
from uplift.recommender.grouped_trainer import GroupedTrainer
from uplift.recommender.histories import Histories
from uplift.recommender.losses import LOSSES, Loss
from uplift.recommender.plugin_phase import fit_plugins, frozen_states
from uplift.recommender.plugins import Plugins
from uplift.recommender.ranked_validation import Validation
from uplift.recommender.splitting import Queries

ITEMS, WIDTH, USERS = 15, 6, 24
GROUP = np.arange(USERS) % 2
TRAINER = GroupedTrainer(epochs=6, batch_size=16, lr=0.05)


def log(other=None):
    """Training histories of 2 to 9 events, and a query a user; `other` draws those of group 1 anew."""
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 10, USERS)
    items = rng.integers(1, ITEMS + 1, counts.sum(), dtype=np.int32)
    target = rng.integers(1, ITEMS + 1, USERS, dtype=np.int32)
    if other is not None:
        anew, mine = np.random.default_rng(other), np.repeat(GROUP, counts) == 1
        items[mine] = anew.integers(1, ITEMS + 1, mine.sum())
        target[GROUP == 1] = anew.integers(1, ITEMS + 1, USERS // 2)
    train = Histories(items, np.concatenate([[0], np.cumsum(counts)]))
    return train, Validation(Queries(np.arange(USERS), train, target), "ranked")


def made(name="gru4rec"):
    return backbone(name, ITEMS, width=WIDTH, length=4, dropout=0.5, seed=1)


def fit(net, other=None, trainer=TRAINER, validation=None, loss="softmax", group=GROUP):
    train, usual = log(other)
    plugins = Plugins(int(group.max()) + 1, WIDTH, 2, seed=4)
    return fit_plugins(net, plugins, windows(train, 4), group, Loss(loss, 3), trainer, validation or usual)


def state(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("loss", LOSSES)
def test_plugins_alone_are_trained(name, loss):
    """The backbone keeps its bytes and what of it requires a gradient; the plugins' losses fall."""
    net = made(name)
    net.items.weight.requires_grad_(False)
    wanted, before = [p.requires_grad for p in net.parameters()], state(net).clone()
    phase = fit(net, loss=loss)
    assert torch.equal(state(net), before)
    assert [p.requires_grad for p in net.parameters()] == wanted
    assert all(p.grad is None for p in net.parameters())
    assert phase.plugins.routed.tolist() == [True, True]
    losses = phase.training.losses
    assert losses.shape == (6, 2)
    assert losses[-1].sum() < losses[0].sum() or loss == "sampled_softmax"  # of which few negatives make a noisy sum


def test_the_backbone_is_released_after_an_error():
    """A group of users with one event has nothing to train on."""
    net, group = made(), np.append(GROUP[:-1], 2)
    train, validation = log()
    cut = windows(train.first(np.append(train.counts[:-1], 1)), 4)
    with pytest.raises(InputError, match="group 2"):
        fit_plugins(net, Plugins(3, WIDTH), cut, group, Loss(), TRAINER, validation)
    assert all(p.requires_grad for p in net.parameters())


def test_a_plugin_depends_on_its_own_group_alone():
    """Other items and other queries in group 1: group 0 learns the same, group 1 something else."""
    one, other = (fit(made(), seed) for seed in (None, 7))
    first, second = (torch.stack([state(p) for p in phase.plugins.of_group]) for phase in (one, other))
    torch.testing.assert_close(first[0], second[0], rtol=1e-5, atol=1e-6)
    assert one.best[0] == other.best[0]
    assert not torch.allclose(first[1], second[1], rtol=1e-2)


def test_the_rule_is_the_sum_whatever_the_trainer_says():
    one, other = (fit(made(), trainer=GroupedTrainer(rule, epochs=2, lr=0.05)) for rule in ("sum", "pcgrad"))
    assert torch.equal(state(one.plugins), state(other.plugins))


class Told:
    """A validation that says what it is told of each group, and notes the plugins that it was shown."""

    def __init__(self, values):
        self.values, self.shown = values, []
        self.queries = log()[1].queries

    def of_groups(self, scorer, group, n_groups):
        self.shown.append([copy.deepcopy(p.state_dict()) for p in scorer.plugins.of_group])
        return np.array(self.values[len(self.shown) - 1])


@pytest.mark.parametrize(("look", "best"), [(1, 2), (2, 4)])
def test_every_group_keeps_its_own_best_epoch(look, best):
    """Group 0 was best as the identity, group 1 first at the third look."""
    told = Told([(0.5, 0.1), (0.4, 0.3), (0.1, 0.6), (0.5, 0.6)])
    phase = fit(made(), trainer=GroupedTrainer(epochs=3 * look, look=look, lr=0.05), validation=told)
    assert phase.best.tolist() == [0, best]
    assert not phase.plugins.of_group[0].up.weight.any()
    for z, seen in ((0, 0), (1, 2)):
        for key, kept in phase.plugins.of_group[z].state_dict().items():
            assert torch.equal(kept, told.shown[seen][z][key])
    looked = phase.training.validation[~np.isnan(phase.training.validation)]
    assert_allclose(looked, [0.3, 0.35, 0.35, 0.55])  # as many queries in both groups


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("rows", [3, 1_000])
def test_frozen_states(name, rows, monkeypatch):
    """Window by window those of the backbone, without dropout and in order of time, in few batches or many."""
    monkeypatch.setattr(plugin_phase, "ROWS", rows)
    net, cut = made(name), windows(log()[0], 4)
    states, targets, window = frozen_states(net.train(), cut)
    assert len(states) == len(targets) == len(window) == cut.targets.sum()
    net.eval()
    for w in range(len(cut)):
        events = cut.histories.padded([w], 5)[0][: cut.histories.counts[w]]
        assert_array_equal(targets[window == w], events[1:])
        expected, found = net.states(torch.from_numpy(events[None, :-1])), states[window == w]
        if name == "din":  # codes of the history, padded
            expected = torch.nn.functional.pad(expected, (0, found.shape[1] - expected.shape[1]))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not states.requires_grad
