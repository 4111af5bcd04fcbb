"""DirectRank, DRP and DCL on a log with known returns; what a Ranking refuses to be asked."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from uplift import InputError
from uplift.learners.dcl import DCL
from uplift.learners.direct_rank import DirectRank
from uplift.learners.drp import DRP
from uplift.learners.log import Log
from uplift.learners.scorer import contrast_weights, mean_contrasts, spread, unexplained
from uplift.ranking import Ranking

N = 3_000
RNG = np.random.default_rng(0)
X = RNG.choice([-1.0, 1.0], (N, 2)).astype(np.float32)
T = RNG.permutation(np.repeat([0, 1, 2], N // 3))
# Treatment 1 returns 3 or 1 by x0, treatment 2 returns 0.5 or 2 by x1; they cost 1 and 2 on top of 0.
RETURN = np.column_stack([2 + X[:, 0], 1.25 + 0.75 * X[:, 1]])
ARM_COST = np.array([1.0, 2.0])
VALUE = 5 * X[:, 1] + np.column_stack([np.zeros(N), RETURN * ARM_COST])[np.arange(N), T] + RNG.standard_normal(N)
COST = np.array([0.0, 1.0, 2.0])[T]
ARMS = ("none", "mail", "call")
CLASSES = [DirectRank, DRP, DCL]
every = pytest.mark.parametrize("ranker", CLASSES)


def fitted(ranker, value=VALUE, cost=COST, features=X, **params):
    model = ranker(**{"hidden": (8,), "epochs": 1, "weight_decay": 0.0, **params})
    return model.fit(features, value, treatment=T, cost=cost, arms=ARMS)


def of_kinds(table):
    """The mean of a table (n, 2) over users of each value of the feature that its treatment heeds."""
    return np.array([[table[X[:, j] == side, j].mean() for side in (-1, 1)] for j in (0, 1)])


def test_drp_finds_the_return():
    model = fitted(DRP, largest_return=5.0, epochs=12)
    assert_allclose(of_kinds(model.predict(X).roi), [[1, 3], [0.5, 2]], atol=0.2)


def test_drp_reads_the_largest_return_off_the_log():
    """The larger of the two average returns is 2 (1.25 the other), so 4 times that, up to the noise of a mean."""
    model = fitted(DRP, epochs=12)
    assert model.largest_return_ == pytest.approx(8, rel=0.1)
    assert_allclose(of_kinds(model.predict(X).roi), [[1, 3], [0.5, 2]], atol=0.3)


def test_drp_sticks_at_the_largest_return():
    roi = fitted(DRP, largest_return=0.4, epochs=12).predict(X).roi
    assert 0.33 < roi.min() <= roi.max() <= 0.4


def test_dcl_finds_the_net_gain_at_the_price():
    """Gains less 1.5 times the cost: 1 - 1.5, 3 - 1.5; 1 - 3, 4 - 3."""
    model = fitted(DCL, price=1.5, epochs=12)
    ranking = model.predict(X)
    assert ranking.price == 1.5
    assert_allclose(of_kinds(ranking.roi), [[-0.5, 1.5], [-2, 1]], atol=0.25)


def test_dcl_takes_the_average_return_for_its_price():
    """Average gains 2 and 2.5 over costs 1 and 2: 4.5 / 3."""
    assert fitted(DCL).price_ == pytest.approx(1.5, rel=0.1)
    assert fitted(DCL, value=-VALUE).price_ == 0
    assert fitted(DCL, cost=None).price_ == 0
    assert fitted(DCL, price=0).price_ == 0


def test_direct_rank_puts_high_returns_above_low_ones():
    """In each treatment, and the best pair of all, 3, above the worst, .5."""
    kinds = of_kinds(fitted(DirectRank, epochs=12).predict(X).roi)
    assert (kinds[:, 1] > kinds[:, 0] + 0.3).all()
    assert kinds[0, 1] > kinds[1, 0]


@pytest.mark.parametrize(
    ("ranker", "average"), [(DRP, lambda model: model.largest_return_ / 4), (DCL, lambda model: model.price_)]
)
def test_propensities_undo_a_confounded_assignment(ranker, average):
    """Users of x0 = 1, worth 8 more, get it 4 times as often: its return is 2, plainly seen 2 + 8 x .6."""
    rng = np.random.default_rng(1)
    p = np.where(X[:, :1] > 0, [0.2, 0.8], [0.8, 0.2])
    t = (rng.random(N) < p[:, 1]).astype(int)
    log = {"X": X, "value": 4 * X[:, 0] + 2 * t, "treatment": t, "cost": 1.0 * t}
    plain, weighted = (average(ranker(epochs=1).fit(**log, propensity=given)) for given in (None, p))
    assert plain == pytest.approx(6.8, abs=0.4)
    assert weighted == pytest.approx(2, abs=0.4)


def test_contrast_weights_by_hand():
    """Arm 0: users 0 and 3, weights 1 and 3; arm 1: user 1; arm 2: user 2. Each side sums to 1."""
    zeros = np.zeros(4)
    log = Log(zeros[:, None], zeros, np.array([0, 1, 2, 0]), zeros, np.array([1.0, 2.0, 5.0, 3.0]), ARMS)
    assert_allclose(contrast_weights(log), [[-0.25, -0.25], [1, 0], [0, 1], [-0.75, -0.75]])
    assert_allclose(mean_contrasts(log, np.array([4.0, 10.0, 0.0, 8.0])), [3, -7])


def test_unexplained_is_the_residual_of_least_squares():
    rng = np.random.default_rng(1)
    y = 3 + 2 * X[:, 0] - X[:, 1] + rng.standard_normal(N)
    design = np.column_stack([np.ones(N), X])
    want = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert_allclose(unexplained(X, y), want, atol=1e-5)


@every
def test_the_unit_of_money_changes_nothing_but_the_unit(ranker):
    one, other = fitted(ranker).predict(X).roi, fitted(ranker, value=1e12 * VALUE, cost=1e12 * COST).predict(X).roi
    assert_allclose(other / (1e12 if ranker is DCL else 1), one, rtol=1e-2, atol=1e-2)


@every
def test_same_seed_same_bytes_and_nothing_global(ranker):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    one, same = (fitted(ranker, seed=2).predict(X).roi.tobytes() for _ in range(2))
    assert one == same
    assert fitted(ranker, seed=3).predict(X).roi.tobytes() != one
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@every
def test_a_round_trip_through_json_and_arrays_gives_the_same_bytes(ranker):
    model = fitted(ranker)
    meta, arrays = model._to_arrays()
    again = ranker(**model.get_params())._from_arrays(json.loads(json.dumps(meta)), arrays)
    want, got = model.predict(X), again.predict(X)
    assert_array_equal(got.roi, want.roi)
    assert (got.arms, got.price) == (want.arms, want.price)


@every
def test_any_container_linear_scores_and_missing_features(ranker):
    want = fitted(ranker, hidden=()).predict(X).roi
    for features in (X.tolist(), pd.DataFrame(X, columns=["a", "b"]), pl.DataFrame(X, schema=["a", "b"])):
        assert_array_equal(fitted(ranker, hidden=(), features=features).predict(features).roi, want)
    holes = X.copy()
    holes[::7, 1] = np.nan
    assert np.isfinite(fitted(ranker, features=holes).predict(holes).roi).all()


@every
def test_degenerate_logs_give_finite_scores(ranker):
    for value in (np.zeros(N), -VALUE, (VALUE > 0).astype(int)):
        assert np.isfinite(fitted(ranker, value=value, features=np.ones((N, 1))).predict(np.ones((3, 1))).roi).all()
    model = ranker(epochs=2).fit([[0.0], [1.0]], [1.0, 2.0], treatment=[0, 1], cost=[0.0, 1.0])
    assert model.predict([[0.5]]).roi.shape == (1, 1)


@pytest.mark.parametrize("ranker", [DirectRank, DRP])
def test_a_treatment_that_costs_nothing_extra_is_refused(ranker):
    with pytest.raises(InputError, match=r"treatment 'mail' costs 0 more than control on average.*give cost"):
        fitted(ranker, cost=None)
    with pytest.raises(InputError, match="treatment 'call' costs -1 more"):
        fitted(ranker, cost=np.array([1.0, 2.0, 0.0])[T])


@pytest.mark.parametrize(
    ("ranker", "params", "match"),
    [
        (DRP, {"largest_return": 0}, "largest_return is 0; a number above 0"),
        (DCL, {"price": -1.0}, "price is -1.0; a number of at least 0"),
        (DCL, {"price": True}, "price is True"),
        (DCL, {"price": "high"}, "price is 'high'"),
        (DirectRank, {"epochs": 0}, "epochs is 0"),
        (DirectRank, {"hidden": None}, "hidden is None"),
    ],
)
def test_a_parameter_that_no_fit_can_use_is_refused(ranker, params, match):
    with pytest.raises(InputError, match=match):
        fitted(ranker, **params)


@pytest.mark.parametrize("same", [0.1, 0.3, 0.7, 1.1, 2.3])
def test_rounding_is_taken_for_no_cost(same):
    """All cost the same: the averages of two arms then differ by 1e-16 or so, or by 0, and that is no cost."""
    cost = np.full(N, same)
    model = fitted(DCL, cost=cost)
    assert model.price_ == 0
    assert_array_equal(model.predict(X).roi, fitted(DCL, cost=None).predict(X).roi)
    for ranker in (DRP, DirectRank):
        with pytest.raises(InputError, match="treatment 'mail' costs 0 more than control"):
            fitted(ranker, cost=cost)


def test_a_constant_value_has_no_largest_return():
    """Of nothing extra every return is 0, whatever bound is in use; rounding may not become the bound."""
    assert fitted(DRP, value=np.full(N, 0.3)).largest_return_ == 1


@pytest.mark.parametrize("amount", [0.1, 0.3, 1.1])
def test_a_spread_of_rounding_errors_is_none(amount):
    assert spread(np.full(1_000, amount)) == 1
    assert spread(np.array([0.0, 2e-30])) == pytest.approx(1e-30)


@pytest.mark.parametrize("ranker", [DRP, DCL])
def test_a_refit_that_fails_leaves_the_fitted_model_whole(ranker):
    model = fitted(ranker)
    want = model.predict(X).roi
    with pytest.raises(InputError, match="take a smaller lr"):
        model.set_params(lr=1e30).fit(X, 50 * VALUE, treatment=T, cost=COST, arms=ARMS)
    assert_array_equal(model.predict(X).roi, want)


@every
def test_reversed_arrays_gradients_off_and_another_default_dtype_change_nothing(ranker):
    want = fitted(ranker).predict(X).roi
    assert_array_equal(fitted(ranker).predict(X[::-1]).roi, want[::-1])
    with torch.inference_mode():
        model = fitted(ranker, features=X[:, ::-1][:, ::-1])
    assert_array_equal(model.predict(X).roi, want)
    torch.set_default_dtype(torch.float64)
    try:
        assert_array_equal(fitted(ranker).predict(X).roi, want)
        again = ranker()._from_arrays(*model.set_params(hidden=(99,))._to_arrays())
    finally:
        torch.set_default_dtype(torch.float32)
    assert_array_equal(again.predict(X).roi, want)


@every
def test_a_feature_constant_in_the_log_is_ignored_later(ranker):
    wide, moved = (np.column_stack([X, np.full(N, cell)]) for cell in (0.1, 7.1))
    model = fitted(ranker, features=wide)
    assert_array_equal(model.predict(moved).roi, model.predict(wide).roi)


@every
def test_estimator_conventions(ranker):
    assert clone(ranker(seed=4)).get_params() == ranker(seed=4).get_params()
    with pytest.raises(NotFittedError):
        ranker().predict(X)
    with pytest.raises(InputError, match="a log of one arm"):
        ranker().fit(X, VALUE, treatment=np.zeros(N, dtype=int), cost=COST)


@pytest.mark.parametrize("name", ["value", "cost", "effect"])
def test_a_ranking_has_no_tables_and_names_who_has(name):
    ranking = Ranking(np.zeros((2, 1)), ("none", "mail"))
    assert len(ranking) == 2
    with pytest.raises(
        InputError, match=rf"a ranker gives the return.*\.roi, and no {name}.*SLearner.*NeuralResponse"
    ):
        getattr(ranking, name)


@pytest.mark.parametrize(
    ("roi", "match"),
    [
        (np.zeros((2, 2)), r"roi has shape \(2, 2\).*\(users, 1\) are expected, a column for each of mail"),
        (np.zeros(2), r"roi has shape \(2,\)"),
        ([["a"]], "floats"),
        ([[np.nan]], "roi has 1 missing"),
    ],
)
def test_a_ranking_of_the_wrong_shape_is_refused(roi, match):
    with pytest.raises(InputError, match=match):
        Ranking(roi, ("none", "mail"))
