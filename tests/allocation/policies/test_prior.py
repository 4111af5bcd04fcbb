"""A second log as features: what is appended, in which order, and which second logs are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from allocation.policies.end_to_end import EndToEnd
from allocation.policies.prior import campaign_with_prior, check_prior, with_prior
from allocation.policies.two_stage import TwoStage
from tests.allocation.policies.end_to_end_logs import LINEAR, SMALL, drawn_costs, noisy, policy, shorten
from uplift.errors import InputError
from uplift.learners import NeuralResponse
from uplift.response import Response


def others(log):
    """The log of other users: their ids are another ten thousand."""
    return replace(log, user_id=log.user_id + 10_000)


RANDOMISED, OBSERVED, NEW = drawn_costs(200, seed=0), others(drawn_costs(300, seed=1)), drawn_costs(50, seed=2)


class Known:
    """A prior that predicts value 10 j + x0 and cost 100 j."""

    def predict(self, X):
        j = np.arange(3)
        return Response(10.0 * j + X[:, :1], np.tile(100.0 * j, (len(X), 1)), RANDOMISED.arms)


@pytest.fixture
def fitted(monkeypatch):
    shorten(monkeypatch)
    return policy().fit(RANDOMISED, observed=OBSERVED)


def test_controls_value_the_effects_and_the_costs_of_the_treatments_are_appended():
    X = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
    got = with_prior(Known(), X)
    np.testing.assert_array_equal(got, [[1, 2, 3, 1, 10, 20, 100, 200], [4, 5, 6, 4, 10, 20, 100, 200]])
    assert got.dtype == np.float32


def test_the_campaign_gets_named_features_and_stays_the_same_else():
    got = campaign_with_prior(Known(), RANDOMISED)
    assert got.features == (
        *("x0", "x1", "x2", "prior value", "prior effect of a1", "prior effect of a2"),
        *("prior cost of a1", "prior cost of a2"),
    )
    np.testing.assert_array_equal(got.X, with_prior(Known(), RANDOMISED.X))
    for name in ("value", "cost", "treatment", "propensity", "user_id"):
        assert getattr(got, name) is getattr(RANDOMISED, name)
    assert RANDOMISED.X.shape == (200, 3)


def test_other_arms_and_other_features_are_refused():
    with pytest.raises(
        InputError, match=r"observed log has the arms a0, a1; those .* expected, in its order: a0, a1"
    ):
        check_prior(RANDOMISED, noisy(30, K=1))
    turned = replace(OBSERVED, features=("x1", "x0", "x2"))
    with pytest.raises(InputError, match=r"the features x1, x0, x2; .* in its order: x0, x1, x2"):
        policy().fit(RANDOMISED, observed=turned)
    with pytest.raises(InputError, match="observed log has no cost"):
        policy().fit(RANDOMISED, observed=replace(OBSERVED, cost=None))


def test_an_observed_log_of_the_same_users_is_refused():
    mixed = replace(OBSERVED, user_id=np.arange(190, 490))
    with pytest.raises(InputError, match=r"10 users of the campaign are in the observed log too.*leave them out"):
        policy().fit(RANDOMISED, observed=mixed)


def test_the_observed_log_needs_no_propensity(monkeypatch):
    shorten(monkeypatch)
    got = policy().fit(RANDOMISED, observed=replace(OBSERVED, propensity=None))
    assert got.prior_.n_features_in_ == 3
    assert got.learner_.n_features_in_ == 8


def test_the_prior_is_the_two_stage_net_of_the_observed_log(fitted):
    expected = TwoStage(SMALL).fit(OBSERVED).predict(NEW.X)
    got = fitted.prior_.predict(NEW.X)
    np.testing.assert_array_equal(got.value, expected.value)
    np.testing.assert_array_equal(got.cost, expected.cost)


def test_prediction_takes_the_features_of_the_log_and_keeps_the_ids_of_a_campaign(fitted):
    """Rows of X in single or double precision or as lists, and a campaign: one prediction, by way of the prior."""
    by_hand = fitted.learner_.predict(with_prior(fitted.prior_, NEW.X))
    for X in (NEW.X, NEW.X.astype(np.float64), NEW.X.tolist()):
        np.testing.assert_array_equal(fitted.predict(X).value, by_hand.value)
        assert fitted.predict(X).user_id is None
    named = replace(NEW, user_id=np.arange(50) + 700)
    np.testing.assert_array_equal(fitted.predict(named).user_id, np.arange(50) + 700)
    np.testing.assert_array_equal(fitted.predict(named).cost, by_hand.cost)
    decided = [fitted.decide(users, 20.0).decision for users in (NEW.X, named, fitted.predict(NEW.X))]
    np.testing.assert_array_equal(decided[0], decided[1])
    np.testing.assert_array_equal(decided[0], decided[2])
    with pytest.raises(ValueError, match="8 features, but NeuralResponse is expecting 3"):
        fitted.predict(with_prior(fitted.prior_, NEW.X))


def test_a_second_fit_without_the_observed_log_forgets_the_prior(fitted):
    again = fitted.fit(RANDOMISED)
    assert again.prior_ is None
    once = policy().fit(RANDOMISED)
    np.testing.assert_array_equal(again.predict(NEW.X).value, once.predict(NEW.X).value)


def test_behind_the_gate_the_two_stage_net_has_the_prior_too(monkeypatch):
    """A gate that nothing passes: what decides is the two-stage net of the log with the prior's features."""
    shorten(monkeypatch)
    got = policy(gate=True, level=0.999999).fit(RANDOMISED, observed=OBSERVED)
    assert got.result_.kept == "two-stage"
    wide = campaign_with_prior(got.prior_, RANDOMISED)
    expected = TwoStage(SMALL).fit(wide).predict(campaign_with_prior(got.prior_, NEW))
    np.testing.assert_array_equal(got.predict(NEW).value, expected.value)


def test_the_bias_of_a_prior_does_not_carry_over():
    """The observed log overstates the effect 1 + x0 of the treatment by 5; what the small
    randomised log teaches on top of it is right in the mean."""
    rng = np.random.default_rng(0)

    def _log(n, bias):
        log = noisy(n, seed=int(rng.integers(1e6)), K=1)
        effect = 1 + log.X[:, 0] + bias
        return replace(log, value=log.treatment * effect + rng.normal(size=n))

    net = NeuralResponse(hidden=(), epochs=6)
    got = EndToEnd(net, outcome_learner=LINEAR, gate=False).fit(_log(600, 0.0), observed=others(_log(2_000, 5.0)))
    fresh = _log(500, 0.0)
    biased = got.prior_.predict(fresh.X).effect[:, 0] - (1 + fresh.X[:, 0])
    assert abs(biased.mean() - 5) < 0.3
    assert abs((got.predict(fresh.X).effect[:, 0] - (1 + fresh.X[:, 0])).mean()) < 0.3
