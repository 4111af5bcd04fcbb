"""Engagement: raw by hand, and a calibration that gives probabilities back where they are known."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit

from tests.uplift.recommender import tiny
from tests.uplift.recommender.test_top import Table, histories
from uplift.errors import InputError
from uplift.recommender.engagement import Calibration, calibrate, raw_engagement
from uplift.recommender.features import user_features
from uplift.recommender.splitting import Queries
from uplift.recommender.top import top_items

FALLING = np.log(np.arange(13.0, 0, -1)).astype(np.float32)  # e^s of items 1..13 is 13, 12, .. 1


def of_one(history: list[int], scores: np.ndarray, loss: str) -> float:
    return float(raw_engagement(scores[None], histories([history]), np.array([0]), loss)[0])


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_raw_engagement_is_the_mass_of_the_ten_best_new_items(loss: str):
    """Without item 1, 12 + .. + 3 = 75 of 12 + .. + 1 = 78. Without 13 too, of 77. Of nine others all; of none 0."""
    assert of_one([1], FALLING, loss) == pytest.approx(75 / 78)
    assert of_one([13, 13, 1], FALLING, loss) == pytest.approx(75 / 77)
    assert of_one([1, 2, 3, 4], FALLING, loss) == 1
    assert of_one(list(range(1, 14)), FALLING, loss) == 0


def test_raw_engagement_of_the_pointwise_loss_is_a_mean_of_odds():
    """sigma(log a) = a / (1 + a), of 12 .. 3 without item 1, and of 2 and 1 where they are all that is left."""
    assert of_one([1], FALLING, "pointwise") == pytest.approx(np.mean([a / (1 + a) for a in range(3, 13)]))
    assert of_one(list(range(1, 12)), FALLING, "pointwise") == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert of_one(list(range(1, 14)), FALLING, "pointwise") == 0


@pytest.mark.parametrize("loss", ["softmax", "pointwise"])
def test_large_scores_do_not_overflow_and_the_scores_are_left_as_they_were(loss: str):
    scores = np.concatenate([np.full(11, 900.0), np.full(11, -900.0)]).astype(np.float32)
    before = scores.copy()
    assert of_one([12], scores, loss) == pytest.approx({"softmax": 10 / 11, "pointwise": 1}[loss])
    assert (scores == before).all()


def drawn(n: int, intercept: float, slope: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Raw engagement and the chance of a hit."""
    odds = np.random.default_rng(seed).normal(0, 2, n)
    return expit(odds), expit(intercept + slope * odds)


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (-2.5, 0.2), (1.0, 3.0), (-1.0, 0.0)])
def test_a_known_intercept_and_slope_are_recovered(intercept: float, slope: float):
    """From chances as fractional hits nearly exactly; from drawn hits within five standard errors, of about .005."""
    raw, chance = drawn(200_000, intercept, slope)
    exact = Calibration.fit(raw, chance)
    assert_allclose([exact.intercept, exact.slope], [intercept, slope], atol=2e-3)
    found = Calibration.fit(raw, np.random.default_rng(1).random(len(raw)) < chance)
    assert_allclose([found.intercept, found.slope], [intercept, slope], atol=0.06)


def least_surprise(raw: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Intercept and slope, at least 0, of the largest likelihood with smoothed targets, by a general solver."""
    n1, n0 = hit.sum(), (1 - hit).sum()
    target = hit * (n1 + 1) / (n1 + 2) + (1 - hit) / (n0 + 2)
    odds = logit(np.clip(raw, 1e-6, 1 - 1e-6))

    def surprise(at: np.ndarray) -> float:
        eta = at[0] + at[1] * odds
        return float((target * np.logaddexp(0, -eta) + (1 - target) * np.logaddexp(0, eta)).sum())

    bounds = [(None, None), (0, None)]
    return minimize(surprise, [0.0, 0.5], method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-9}).x


@pytest.mark.parametrize("seed", range(8))
def test_few_queries_agree_with_a_general_solver(seed: int):
    """Edges, fractions, and raw engagement that is worse than none, whose slope is held at 0."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    raw = np.concatenate([rng.random(n), [0, 1]])
    hit = np.concatenate([rng.choice([0, 0.25, 1], n), rng.integers(0, 2, 2)])
    found = Calibration.fit(raw, hit)
    assert_allclose([found.intercept, found.slope], least_surprise(raw, hit), atol=2e-4)


def test_what_has_no_finite_answer_of_itself_has_one_without_a_warning():
    """All hits, n of them, are (n + 1) / (n + 2), none is 1 / (n + 2); a threshold that tells all hits is finite."""
    raw = np.array([0.1, 0.2, 0.7, 0.9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_allclose(Calibration.fit(raw, np.ones(4)).probability(raw), 5 / 6, rtol=1e-6)
        assert_allclose(Calibration.fit(raw, np.zeros(4)).probability(raw), 1 / 6, rtol=1e-6)
        told = Calibration.fit(raw, [0, 0, 1, 1]).probability(raw)
        assert_allclose(Calibration.fit([0.3], [1]).probability(0.9), 2 / 3)
    assert (told[:2] < 0.4).all()
    assert (told[2:] > 0.6).all()
    assert told[3] < 0.9


def test_raw_engagement_that_is_the_same_for_all_or_misleads_gives_the_share_of_hits():
    """A quarter of 40 hits: 10 x 11/12 + 30 x 1/32, of 40."""
    hit = np.repeat([1, 0], [10, 30])
    share = (10 * 11 / 12 + 30 / 32) / 40
    for raw in (np.full(40, 0.3), np.linspace(0.1, 0.9, 40)):
        found = Calibration.fit(raw, hit)
        assert found.slope == 0
        assert_allclose(found.probability([0.2, 1.0]), share)


def test_a_probability_rises_with_raw_engagement_and_nothing_left_stays_nothing():
    found = Calibration(-1.0, 0.5).probability([0, 1e-9, 0.5, 0.9, 1])
    assert found[0] == 0
    assert found[2] == pytest.approx(expit(-1))
    assert (np.diff(found) > 0).all()
    assert found[-1] < 1


@pytest.fixture(scope="module")
def true_model() -> tuple[np.ndarray, Queries]:
    """Log chances of 30 items for 8,000 users, some sure and some not, none of them seen, and items drawn by them.

    Item 30 is the whole history of everybody and never comes next.
    """
    rng = np.random.default_rng(3)
    n = 8_000
    scores = rng.normal(size=(n, 30)) * rng.uniform(0.2, 3, n)[:, None]
    scores[:, -1] = -40
    chances = np.exp(log_softmax(scores, axis=1)).cumsum(axis=1)
    target = 1 + np.minimum((chances < rng.random(n)[:, None]).sum(axis=1), 28)
    return scores.astype(np.float32), Queries(np.arange(n), histories([[30]] * n), target.astype(np.int32))


def test_a_true_model_is_taken_at_its_word(true_model: tuple[np.ndarray, Queries]):
    scores, queries = true_model
    found = calibrate(Table(scores), queries, 30, "softmax")
    assert_allclose([found.intercept, found.slope], [0, 1], atol=0.12)


@pytest.mark.parametrize("too_sure", [2.5, 0.4])
def test_a_model_that_is_too_sure_or_too_shy_gives_probabilities(true_model: tuple[np.ndarray, Queries], too_sure):
    """In each fifth of other queries than those of the calibration the mean is the share of hits, within 4 errors."""
    scores, queries = true_model
    wrong = scores * np.float32(too_sure)
    first, rest = np.arange(4_000), np.arange(4_000, 8_000)
    found = calibrate(Table(wrong), queries.take(first), 30, "softmax")
    assert (found.slope < 0.8) if too_sure > 1 else (found.slope > 1.5)
    raw = raw_engagement(wrong[rest], queries.histories.take(rest), np.arange(4_000), "softmax")
    best = np.argsort(-wrong[rest, :29], axis=1)[:, :10] + 1
    hit = (best == queries.target[rest][:, None]).any(axis=1)
    for fifth in np.array_split(np.argsort(raw), 5):
        chance = hit[fifth].mean()
        assert found.probability(raw[fifth]).mean() == pytest.approx(chance, abs=4 * (0.25 / len(fifth)) ** 0.5)


def test_hits_of_a_fit_are_those_of_the_best_items_that_it_would_show():
    """Raw engagement as features have it without a calibration, hits as the lists do; an old item is none."""
    own, queries = tiny.recommender(), tiny.split().validation
    again = queries.target.copy()
    again[:9] = queries.histories.items[queries.histories.offsets[:9]]
    queries = replace(queries, target=again)
    raw = user_features(replace(own, calibration=None), queries.histories, np.arange(len(queries)))["engagement"]
    shown = top_items(own, queries.histories, own.strata.group[queries.user], n=10).item
    hit = (shown == again[:, None]).any(axis=1)
    assert 0 < hit[9:].sum() < len(hit) - 9
    found = calibrate(own.scorer(), queries, tiny.N_ITEMS, "sampled_softmax")
    assert_allclose([found.intercept, found.slope], least_surprise(np.asarray(raw, float), hit * 1.0), atol=1e-3)


BAD = {
    "lengths": ([0.1, 0.2], [1], r"shapes \(2,\) and \(1,\)"),
    "none": ([], [], r"shapes \(0,\) and \(0,\)"),
    "raw": ([0.1, 1.5], [1, 0], "raw is 1.5 at query 1"),
    "hit": ([0.1, 0.2], [np.nan, 0], "hit is nan at query 0"),
    "text": (["a", 0.2], [1, 0], "raw holds no numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_calibrated_is_refused(case: str):
    raw, hit, words = BAD[case]
    with pytest.raises(InputError, match=words):
        Calibration.fit(raw, hit)


@pytest.mark.parametrize("numbers", [(np.nan, 1.0), (0.0, -0.1), (0.0, np.inf)])
def test_numbers_that_are_no_calibration_are_refused(numbers: tuple[float, float]):
    with pytest.raises(InputError, match=r"intercept is .* and slope .*; finite numbers are expected"):
        Calibration(*numbers)


@pytest.mark.parametrize("raw", [np.nan, 2.0, -0.1])
def test_raw_engagement_that_is_no_share_has_no_probability(raw: float):
    with pytest.raises(InputError, match=r"raw is .* at query 1; 0 to 1 is expected"):
        Calibration(0.0, 1.0).probability([0.5, raw])
