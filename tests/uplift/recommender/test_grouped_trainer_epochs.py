"""Which epoch is kept and when training ends, what it reports, its seeds, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from tests.uplift.recommender.test_grouped_trainer import Problem, parameters
from uplift import InputError
from uplift.causal.aggregation import rule
from uplift.recommender.batches import Examples
from uplift.recommender.grouped_trainer import GroupedTrainer


def validated(values, **settings):
    """A training of which the validation says these values, and the parameters when it was asked."""
    problem, seen, left = Problem([20, 10]), [], list(values)

    def _validate():
        assert not problem.net.training
        assert not torch.is_grad_enabled()
        seen.append(parameters(problem.net).clone())
        return left.pop(0)

    trainer = GroupedTrainer(**({"epochs": 4, "batch_size": 10, "lr": 0.05} | settings))
    return trainer.fit(problem.net, problem.loss, problem.data, _validate), problem, seen


@pytest.mark.parametrize(
    ("values", "best"), [([0.1, 0.5, 0.2, 0.3, 0.4], 1), ([9, 1, 2, 3, 4], 0), ([0, 1, 2, 3, 4], 4), ([1] * 5, 0)]
)
def test_the_best_epoch_is_kept(values, best):
    """The first of equals; 0 is the net before training."""
    training, problem, seen = validated(values)
    assert training.best == best
    assert_array_equal(training.validation, values)
    assert torch.equal(parameters(problem.net), seen[best])
    assert not problem.net.training


@pytest.mark.parametrize(("patience", "epochs"), [(1, 2), (2, 5), (3, 6)])
def test_patience(patience, epochs):
    """Looks without a better one since the best: after epoch 2 one, after epoch 3 a new best, then all worse."""
    training, problem, seen = validated([1, 3, 2, 4, 0, 0, 0, 0, 0], patience=patience, epochs=8)
    assert len(training.losses) == len(training.validation) - 1 == epochs
    assert training.best == (1 if epochs == 2 else 3)
    assert torch.equal(parameters(problem.net), seen[training.best])


def test_looks_in_between():
    """Before training, after epochs 2 and 4, and at the end; NaN where nobody looked."""
    training, _, seen = validated([1, 2, 5, 3], epochs=5, look=2)
    assert_array_equal(training.validation, [1, np.nan, 2, np.nan, 5, 3])
    assert training.best == 4
    assert len(seen) == 4


def test_without_validation_the_last_is_kept():
    problem = Problem([20, 10])
    training = problem.fit("erm", patience=1, look=2)
    assert training.best == 3
    assert np.isnan(training.validation).all()
    assert len(training.validation) == 4
    assert str(training).startswith("parameters of epoch 3 of 3")


@pytest.mark.parametrize(("name", "looked_at"), [("erm", 3), ("gradient_aggregation", 9)])
def test_report(name, looked_at):
    """Nine steps: of a linear rule every third is looked at; losses are means over an epoch's steps."""
    problem, said = Problem([12, 10, 8]), []

    def _loss(rows, z, generator):
        loss = problem.loss(rows, z, generator)
        said.append(loss.item())
        return loss

    calls = []
    trainer = GroupedTrainer(name, epochs=3, batch_size=10, diagnose=3, progress=lambda *now: calls.append(now))
    training = trainer.fit(problem.net, _loss, problem.data)
    assert_allclose(training.losses, np.reshape(said, (3, 3, 3)).mean(axis=1), rtol=1e-10)
    found = training.diagnostics
    assert found.losses.shape == (looked_at, 3)
    assert found.cosines.shape == (3, 3)
    assert_allclose(np.diag(found.cosines), 1)
    assert ((found.filtered >= 0) & (found.filtered <= 1)).all()
    targets = np.bincount(problem.data.group, weights=problem.targets)
    assert [call[:2] for call in calls] == [(1, 3), (2, 3), (3, 3)]
    assert calls[2][2] == pytest.approx(training.losses[2] @ targets / targets.sum())
    assert training.seconds >= 0


@pytest.mark.parametrize("name", ["erm", "agr_rand"])
def test_same_seed_same_bytes(name):
    """Order, rule, dropout and the generator for the loss; torch's own stream neither matters nor is touched."""
    ends = []
    for turn, seed in enumerate((3, 3, 4)):
        problem, drop, drawn = Problem([20, 10]), nn.Dropout(0.5), []
        torch.manual_seed(turn)

        def _loss(rows, z, generator, problem=problem, drop=drop, drawn=drawn):
            drawn.append(torch.rand(1, generator=generator))
            return problem.of(problem.net, rows) + drop(problem.net.out.weight).square().sum() + drawn[-1]

        state = torch.get_rng_state()
        GroupedTrainer(name, epochs=2, batch_size=10, lr=0.05, seed=seed).fit(problem.net, _loss, problem.data)
        assert torch.equal(torch.get_rng_state(), state)
        ends.append((parameters(problem.net), torch.cat(drawn)))
    for one, same, other in zip(*ends, strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_a_frozen_parameter_stays():
    """Decay included."""
    problem = Problem([20, 10])
    problem.net.items.weight.requires_grad_(False)
    before = parameters(problem.net.items), parameters(problem.net.out)
    problem.fit(rule("pcgrad", seed=1), weight_decay=0.5)
    assert torch.equal(parameters(problem.net.items), before[0])
    assert not torch.equal(parameters(problem.net.out), before[1])


@pytest.mark.parametrize(
    ("diagnose", "message"),
    [(1, "the loss of group 0 is nan; a finite"), (1_000, r"losses of the groups are \[nan.*take a smaller lr")],
)
def test_a_loss_that_is_not_finite(diagnose, message):
    """From the second step on, looked at or not; the parameters stay those of the first."""
    problem, after = Problem([20, 10]), []

    def _loss(rows, z, generator):
        loss = problem.loss(rows, z, generator)
        after.append(parameters(problem.net).clone())
        return loss * (math.nan if len(after) > 2 else 1)

    with pytest.raises(InputError, match=message):
        GroupedTrainer(batch_size=10, diagnose=diagnose).fit(problem.net, _loss, problem.data)
    assert torch.equal(parameters(problem.net), after[-1])


def test_data_and_validation_refused():
    problem = Problem([20, 10])
    empty = Examples(problem.data.group, problem.targets, np.array([3, 4, 1]))
    with pytest.raises(InputError, match=r"group 2 \(counted from 0\) has no user with two training events"):
        GroupedTrainer().fit(problem.net, problem.loss, empty)
    with pytest.raises(InputError, match="the validation is nan after epoch 1; a finite number"):
        validated([0.5, math.nan])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0; a whole number of at least 1"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5; a whole"),
        ({"look": True}, "look is True; a whole"),
        ({"diagnose": None}, "diagnose is None; a whole"),
        ({"patience": 0}, "patience is 0; a whole"),
        ({"lr": 0}, "lr is 0; a number above 0"),
        ({"lr": math.nan}, "lr is nan; a number above 0"),
        ({"weight_decay": -1}, "weight_decay is -1; a number of at least 0"),
        ({"weights": "events"}, "weights is 'events'; one of samples, users"),
        ({"rule": "pcgrat"}, r"there is no rule 'pcgrat'.*pcgrad"),
        ({"rule": None}, "rule is None; a name such as 'pcgrad'"),
        ({"embedding_rule": 3}, "embedding_rule is 3; a name such as 'pcgrad'"),
        ({"embedding_rule": "mean"}, "there is no rule 'mean'"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_refused(settings, message):
    """Before anything is trained."""
    problem = Problem([20, 10])
    with pytest.raises(InputError, match=message):
        GroupedTrainer(**settings).fit(problem.net, problem.loss, problem.data)
    assert problem.asked == []


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [1.0] * 8), ("decay", [1, 1, 1, 1, 1, 1, 1, 0.5]), ("falling", [1 - k / 8 for k in range(8)])],
)
def test_the_schedule_is_the_step_size_of_every_step(schedule, rates):
    """Under a constant gradient every step of Adam moves by its step size: 2 epochs of 4 steps."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    data = Examples(np.zeros(4, np.int64), np.ones(4, np.int64), np.array([4]))
    trainer = GroupedTrainer(epochs=2, batch_size=1, lr=0.01, schedule=schedule)
    trainer.fit(net, lambda _rows, _z, _generator: net.weight.sum(), data)
    assert net.weight.item() == pytest.approx(-0.01 * sum(rates), rel=1e-5)


def test_an_unknown_schedule_is_refused():
    data = Examples(np.zeros(4, np.int64), np.ones(4, np.int64), np.array([4]))
    with pytest.raises(InputError, match="schedule is 'linear'; one of constant, decay, falling is expected"):
        GroupedTrainer(schedule="linear").fit(nn.Linear(1, 1), lambda *_: torch.zeros(()), data)
