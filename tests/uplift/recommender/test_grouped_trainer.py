"""Training over groups against plain training: joint, of one group, of equal groups, and rule by rule."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from uplift.causal.aggregation import backward, rules
from uplift.recommender.batches import Examples
from uplift.recommender.grouped_trainer import LINEAR, GroupedTrainer

OF_MANY = [name for name in rules() if name not in ("norm_matched", "cagrad")]  # of two; wants a solver


class Net(nn.Module):
    """Vectors of items, read by a layer."""

    def __init__(self):
        super().__init__()
        self.items, self.out = nn.Embedding(8, 3), nn.Linear(3, 1)


class Problem:
    """A number to learn for each of 8 items; group z likes each item z more. Notes what every loss was asked."""

    def __init__(self, sizes, seed=0):
        rng = np.random.default_rng(seed)
        group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
        self.targets = rng.integers(1, 4, len(group))
        self.data = Examples(group, self.targets, np.arange(2, 2 + len(sizes)))
        self.code = torch.from_numpy(rng.integers(0, 8, len(group)))
        self.y = torch.from_numpy(np.sin(self.code.numpy()) + group)
        torch.manual_seed(seed)
        self.net = Net().double()
        self.asked = []

    def of(self, net, rows):
        t = torch.from_numpy(self.targets[rows])
        error = net.out(net.items(self.code[rows]))[:, 0] - self.y[rows]
        return (t * error.square()).sum() / t.sum()

    def loss(self, rows, z, generator):
        assert (self.data.group[rows] == z).all()
        self.asked.append((rows, z))
        return self.of(self.net, rows)

    def fit(self, rule, **settings):
        settings = {"epochs": 3, "batch_size": 10, "lr": 0.05} | settings
        return GroupedTrainer(rule, **settings).fit(self.net, self.loss, self.data)


def parameters(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def plain(net, losses, lr=0.05, weight_decay=0.0):
    """AdamW, a step along the gradient of each of the losses in turn."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=weight_decay)
    for loss in losses:
        optimiser.zero_grad()
        loss(net).backward()
        optimiser.step()
    return parameters(net)


@pytest.mark.parametrize("diagnose", [1, 2, 1_000])
@pytest.mark.parametrize(("rule", "weights"), [("erm", "samples"), ("balanced", "users")])
def test_joint_and_balanced_training(rule, weights, diagnose):
    """By hand: sum_z w_z L_z / sum_z w_z with w the targets, or the users, whichever way the gradient is taken."""
    problem = Problem([30, 12, 9])
    start, groups = copy.deepcopy(problem.net), 3
    problem.fit(rule, weights=weights, diagnose=diagnose, weight_decay=0.3)
    assert [z for _, z in problem.asked] == [0, 1, 2] * 18  # ceil(51 / 10) steps in each of 3 epochs
    targets = [problem.targets[problem.data.group == z].sum() for z in range(groups)]
    w = targets if weights == "samples" else [2, 3, 4]

    def _of_step(step):
        rows = [rows for rows, _ in problem.asked[groups * step : groups * (step + 1)]]
        return lambda net: sum(w[z] * problem.of(net, rows[z]) for z in range(groups)) / sum(w)

    expected = plain(start, [_of_step(step) for step in range(18)], weight_decay=0.3)
    torch.testing.assert_close(parameters(problem.net), expected, rtol=1e-8, atol=1e-10)


def test_joint_training_in_one_step_is_the_mean_over_all_targets():
    """No word of groups in it, where one batch takes all."""
    problem = Problem([30, 12, 9])
    expected = plain(copy.deepcopy(problem.net), [lambda net: problem.of(net, np.arange(51))])
    problem.fit("erm", epochs=1, batch_size=51)
    torch.testing.assert_close(parameters(problem.net), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", LINEAR)
def test_one_pass_of_autograd_equals_backward(name):
    """Also where groups of 3 and of 1 sit out most of 5 steps."""
    ends, losses = [], []
    for diagnose in (1, 1_000):
        problem = Problem([40, 3, 1])
        losses.append(problem.fit(name, diagnose=diagnose).losses)
        ends.append(parameters(problem.net))
    torch.testing.assert_close(*ends, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(*losses, rtol=1e-8)


@pytest.mark.parametrize("name", OF_MANY)
def test_one_group_is_plain_training(name):
    """Whatever the rule, over the 15 steps of three epochs."""
    problem = Problem([47])
    start = copy.deepcopy(problem.net)
    problem.fit(name, diagnose=4)
    expected = plain(start, [lambda net, rows=rows: problem.of(net, rows) for rows, _ in problem.asked])
    assert len(problem.asked) == 15
    torch.testing.assert_close(parameters(problem.net), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in OF_MANY if name != "config"])  # a pseudo-inverse of equal rows
def test_equal_groups_train_like_one(name):
    """Every group has the loss of all rows: its gradient comes back, or three of it: one to AdamW."""
    problem = Problem([10, 10, 10])

    def _of_all(net):
        return problem.of(net, np.arange(30))

    expected = plain(copy.deepcopy(problem.net), [_of_all] * 6)
    GroupedTrainer(name, epochs=2, batch_size=10, lr=0.05).fit(
        problem.net, lambda *_: _of_all(problem.net), problem.data
    )
    torch.testing.assert_close(parameters(problem.net), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OF_MANY)
@pytest.mark.parametrize("batch_size", [2, 10])
def test_every_rule_trains_three_groups(name, batch_size):
    """Fewer examples in a step than groups are no hindrance, and the losses fall."""
    problem = Problem([12, 12, 12])
    training = problem.fit(name, batch_size=batch_size, epochs=4, lr=0.02)
    assert torch.isfinite(parameters(problem.net)).all()
    assert training.losses[-1].sum() < training.losses[0].sum()


@pytest.mark.parametrize("diagnose", [1, 1_000])
@pytest.mark.parametrize("rule", ["erm", "upgrad"])
def test_embedding_rule(rule, diagnose):
    """Items by their own rule, looked at or not: AdamW along what `backward` writes in each step."""
    problem = Problem([10, 10, 10])
    net, weights = copy.deepcopy(problem.net), [problem.targets[problem.data.group == z].sum() for z in range(3)]
    problem.fit(rule, embedding_rule="gradient_aggregation", batch_size=30, diagnose=diagnose)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.05, weight_decay=0)
    for step in range(3):
        losses = [problem.of(net, rows) for rows, _ in problem.asked[3 * step : 3 * step + 3]]
        backward(losses, net, rule, weights=weights, embedding_rule="gradient_aggregation")
        optimiser.step()
    torch.testing.assert_close(parameters(problem.net), parameters(net), rtol=1e-8, atol=1e-10)


def test_an_embedding_rule_goes_on_drawing():
    """Gradients 1 and -1 on 24 cells, in every step: the cells that move up are drawn anew each time."""
    problem, sign = Problem([2, 2]), torch.tensor([1.0, -1.0])
    seen = []

    def _loss(_rows, z, _generator):
        seen.append(problem.net.items.weight.detach().clone())
        return sign[z] * problem.net.items(torch.arange(8)).sum()

    GroupedTrainer("erm", embedding_rule="graddrop", epochs=2, batch_size=4).fit(problem.net, _loss, problem.data)
    first, second = seen[2] - seen[0], problem.net.items.weight - seen[2]
    assert 0 < (first > 0).sum() < 24
    assert not torch.equal(first > 0, second > 0)
