"""Means from a randomised log: against textbook loops, unbiased by enumeration, silent where nobody matches."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.evaluation.estimators import ESTIMATORS, effective_size, off_policy
from allocation.evaluation.outcomes import Outcomes
from allocation.evaluation.scores import SPEND, VALUE, bias_bounds, score_tables, table_of
from tests.allocation.evaluation.logs import clipped_total, dr_total, log_of, logs
from tests.oracles import ipw_total, sn_total
from uplift.errors import InputError


def weights(decision, log):
    rows = np.arange(len(log))
    return (np.asarray(decision) == log.treatment) / log.propensity[rows, log.treatment]


def estimate(estimator, decision, log, amount, model=None, largest=None):
    rows = np.arange(len(log))
    given_model = {} if model is None else {"expected": model[rows, decision], "fitted": model[rows, log.treatment]}
    return off_policy(amount, weights(decision, log), estimator=estimator, largest_weight=largest, **given_model)


def textbook(estimator, decision, log, amount, model, largest):
    known = decision, log.treatment, log.propensity, amount
    return {
        "ipw": lambda: ipw_total(*known),
        "sn": lambda: sn_total(*known),
        "dr": lambda: dr_total(*known, model),
        "switch": lambda: dr_total(*known, model, largest),
        "clipped": lambda: clipped_total(*known, largest),
    }[estimator]()


def test_a_worked_example():
    """Users 0 and 2 match, at 1/2 and 1/4: ipw 3 x 2 + 5 x 4 = 26; sn 3 x 26 / (2 + 4) = 13; weights cut at 3: 21.

    With a model that says 1 everywhere: 3 + 2 x 2 + 4 x 4 = 23; where weights above 3 are not believed 3 + 2 x 2 = 7.
    """
    log = log_of([0, 1, 1], [3, 100, 5], [[0.5, 0.5], [0.5, 0.5], [0.75, 0.25]])
    totals = {name: 3 * estimate(name, [0, 0, 1], log, log.value, np.ones((3, 2)), 3.0).mean for name in ESTIMATORS}
    assert totals == pytest.approx({"ipw": 26, "sn": 13, "dr": 23, "switch": 7, "clipped": 21})


@given(logs(), st.floats(1.0, 6.0))
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_equals_the_textbook_loop_as_arrays_and_as_tables(estimator, case, largest):
    """Also through the score tables of every arm, of which a decision picks its cells."""
    log, decision, model = case
    tables = score_tables(log, [estimator], Outcomes(model, model), largest)
    rows, matched = np.arange(len(log)), (decision == log.treatment).any()
    for amount, logged in ((VALUE, log.value), (SPEND, log.cost)):
        expected = textbook(estimator, decision, log, logged, model, largest)
        found = estimate(estimator, decision, log, logged, model, largest)
        assert len(log) * found.mean == pytest.approx(expected if matched else math.nan, abs=1e-9, nan_ok=True)
        if estimator != "sn":
            total = tables[table_of(estimator), amount][rows, decision].sum()
            assert total == pytest.approx(0.0 if math.isnan(expected) else expected, abs=1e-9)


@pytest.mark.parametrize("estimator", ["ipw", "dr"])
def test_unbiased_over_every_assignment(estimator):
    """Four users, three arms, all 81 assignments at their probabilities: the mean is 2 + 10 + 4 + 6 = 22.

    The model of "dr" is as wrong as can be, and does not depend on the assignment.
    """
    potential = np.array([[1, 2, 9], [3, 7, 10], [4, 0, 5], [8, 6, 1.0]])
    p = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.9, 0.05, 0.05], [0.1, 0.6, 0.3]])
    decision, rows, mean = np.array([1, 2, 0, 1]), np.arange(4), 0.0
    model = np.random.default_rng(0).normal(0, 20, (4, 3))
    for treatment in itertools.product(range(3), repeat=4):
        log = log_of(treatment, potential[rows, treatment], p)
        scores = score_tables(log, [estimator], Outcomes(model, None), 1.0)[estimator, VALUE]
        mean += p[rows, treatment].prod() * scores[rows, decision].sum()
    assert mean == pytest.approx(22.0)


def test_the_bias_of_trimming_is_within_its_bound():
    """Over all assignments of 4 users the mean estimate differs from the truth by no more than the mean bound."""
    potential = np.array([[1, 2.0], [3, 7], [4, 1], [8, 6]])
    p = np.array([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1], [0.05, 0.95]])
    decision, rows, largest = np.array([1, 0, 1, 0]), np.arange(4), 4.0
    model = Outcomes(np.full((4, 2), 2.0), None)
    truth = potential[rows, decision].sum()
    for estimator in ("switch", "clipped"):
        mean = bound = 0.0
        for treatment in itertools.product(range(2), repeat=4):
            chance, log = p[rows, treatment].prod(), log_of(treatment, potential[rows, treatment], p)
            scores = score_tables(log, [estimator], model, largest)[estimator, VALUE]
            mean += chance * scores[rows, decision].sum()
            bound += chance * bias_bounds(estimator, VALUE, log, model, largest, decision[None])[0]
        assert 0 < abs(mean - truth) <= bound


def test_without_large_weights_nothing_is_trimmed():
    log, model = log_of([0, 1, 1, 0], [3, 1, 5, 2], [[0.5, 0.5]] * 4), np.ones((4, 2))
    for trimmed, plain in (("switch", "dr"), ("clipped", "ipw")):
        one, other = (estimate(name, [0, 0, 1, 1], log, log.value, model, 2.0) for name in (trimmed, plain))
        assert (one.mean, one.bias_bound) == (other.mean, 0.0)


def test_the_bound_of_arrays_counts_the_weights_that_were_cut():
    """10 of 100 at weight 50, values 10: cut at 10 by 40, .1 x 40 x 10 = 40 a user; SWITCH drops .1 x 50 x 10."""
    value, weight = np.full(100, 10.0), np.r_[np.full(10, 50.0), np.full(90, 0.9)]
    assert off_policy(value, weight, estimator="clipped", largest_weight=10).bias_bound == pytest.approx(40)
    model = {"expected": np.zeros(100), "fitted": np.zeros(100)}
    assert off_policy(value, weight, estimator="switch", largest_weight=10, **model).bias_bound == pytest.approx(50)
    assert off_policy(value, weight, estimator="clipped", largest_weight=50).bias_bound == 0


@given(logs(), st.floats(-50, 50))
def test_sn_moves_with_a_constant_added_to_every_outcome(case, shift):
    log, decision, _ = case
    plain, moved = (estimate("sn", decision, log, log.value + by).mean for by in (0.0, shift))
    assert moved == pytest.approx(plain + shift, rel=1e-9, abs=1e-7, nan_ok=True)


@given(logs())
def test_deciding_what_was_logged_under_propensities_of_1_gives_plain_means(case):
    log, _, model = case
    certain = log_of(log.treatment, log.value, np.ones_like(log.propensity), log.cost)
    for name in ESTIMATORS:
        mean = estimate(name, log.treatment, certain, log.value, model, 1.0).mean
        assert mean == pytest.approx(log.value.mean(), abs=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_silence_is_not_zero(estimator):
    log = log_of([0, 0], [1, 2], [[0.5, 0.5]] * 2)
    found = estimate(estimator, [1, 1], log, log.value, np.ones((2, 2)))
    assert math.isnan(found.mean)
    assert (found.matched, found.effective_size) == (0, 0)


def test_the_standard_error_is_that_of_a_mean():
    """ipw: sd(w y) / n^.5 with n - 1 below; of four pairs of equal users as of their four sums."""
    rng = np.random.default_rng(0)
    weight, value = rng.integers(0, 2, 50) * 2.0, rng.normal(3, 1, 50)
    found = off_policy(value, weight)
    assert found.se() == pytest.approx((weight * value).std(ddof=1) / math.sqrt(50))
    low, high = found.interval(0.95)
    assert (high - found.mean, found.mean - low) == pytest.approx([1.959964 * found.se()] * 2)
    weight, value = np.repeat([2.0, 0, 2, 2], 2), np.repeat([1.0, 9, 4, 6], 2)
    sums = np.array([2.0, 0, 8, 12])
    paired = off_policy(value, weight).se(cluster=list("aabbccdd"))
    assert paired == pytest.approx(sums.std(ddof=1) / math.sqrt(4))


def test_the_error_of_a_ratio_agrees_with_repeated_logs():
    """sn over 4,000 logs of 100 users: their spread is the mean closed-form standard error, to 5%."""
    rng = np.random.default_rng(1)
    means, errors = [], []
    for _ in range(4_000):
        p = np.where(rng.random(100) < 0.5, 0.3, 0.7)
        found = off_policy(2 + rng.normal(size=100), (rng.random(100) < p) / p, estimator="sn")
        means.append(found.mean)
        errors.append(found.se())
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.05)


def test_effective_size_counts_equal_weights_once_each():
    assert effective_size(np.array([3.0, 3, 0, 3])) == pytest.approx(3)
    assert effective_size(np.array([1e300, 1e-300])) == pytest.approx(1)
    assert effective_size(np.zeros(3)) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"estimator": "drr"}, r"estimator 'drr' is unknown\. Did you mean 'dr'\?"),
        ({"estimator": "dr"}, r"needs expected= and fitted="),
        (
            {"estimator": "dr", "expected": [1.0], "fitted": [1.0, 2.0]},
            r"expected has 1 and fitted 2 users, weight 2",
        ),
        ({"weight": [1.0, -1.0]}, r"weight is -1 in row 1; ratios of probabilities are 0 or more"),
        ({"weight": [1.0, math.nan]}, r"weight is nan in row 1; a finite number for every user"),
        ({"weight": [1.0]}, r"weight has 1 users and amount 2"),
        ({"amount": [[1.0, 2.0]]}, r"amount has shape \(1, 2\)"),
        ({"amount": ["a", "b"]}, r"amount is a list that holds no numbers"),
        ({"estimator": "clipped", "largest_weight": 0}, r"largest_weight is 0; a positive number"),
        ({"weight": [], "amount": []}, r"weight has 0 users"),
    ],
)
def test_refused_with_the_mend(given, message):
    with pytest.raises(InputError, match=message):
        off_policy(**({"amount": [1.0, 2.0], "weight": [2.0, 2.0]} | given))


def test_an_estimate_prints_itself_with_its_uncertainty():
    """100 users at weight 2, values 0 and 1 in turn: 1 a user, se 2 x .5 / (99)^.5 = .1005; one match is too few."""
    text = str(off_policy(np.tile([0.0, 1.0], 50), np.full(100, 2.0)))
    assert text == "1 a user (se 0.1, 95% 0.803016 to 1.19698); matched: 100 of 100, effectively 100"
    few = str(off_policy(np.ones(100), np.r_[2.0, np.zeros(99)], estimator="clipped", largest_weight=1.0))
    assert "matched: 1 of 100, effectively 1;" in few
    assert "trimming may bias it by up to 0.01" in few
    assert few.endswith(": below 30 no interval can be trusted")
    none = str(off_policy([1.0, 2.0], [0.0, 0.0]))
    assert none == "no estimate: none of 2 users received what the policy would give"
