"""The simulated campaign: shapes, seeds, the documented truth, and draws that agree with it."""

import hashlib
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from uplift import InputError, synthetic

DOSES = np.array([0.0, 1.0, 2.0, 4.0, 8.0])
N = 100_000


@pytest.fixture(scope="module")
def simulation():
    """One large simulation for the statistical tests."""
    return synthetic.simulate(N, seed=11)


def received(simulation, table):
    """Of a table (n, K+1), the cell of the arm that each user received."""
    return table[np.arange(len(table)), simulation.campaign.treatment]


def mean_is(expected, draws):
    """The mean of the draws lies within five standard errors of what is expected."""
    assert abs(draws.mean() - expected) < 5 * draws.std(ddof=1) / math.sqrt(len(draws))


@pytest.mark.parametrize("n", [1, 2, 300])
def test_shapes(n):
    """Five arms, twenty features, one row a user in log and truth, from a single user upwards."""
    drawn = synthetic.simulate(n, seed=0)
    log, truth = drawn.campaign, drawn.truth
    assert log.X.shape == (n, 20)
    assert log.X.dtype == np.float32
    assert len(log.features) == 20
    assert len(log.arms) == 5
    assert truth.arms == log.arms
    assert truth.value.shape == truth.cost.shape == log.propensity.shape == (n, 5)
    assert log.treatment.shape == log.value.shape == log.cost.shape == (n,)
    assert_array_equal(log.user_id, range(n))
    assert_array_equal(truth.user_id, log.user_id)
    assert_array_equal(log.propensity, np.full((n, 5), 0.2))


def test_same_seed_same_arrays():
    """Byte for byte with one seed, different with another."""
    one, two, other = (synthetic.simulate(200, seed=seed) for seed in (5, 5, 6))
    for name in ("X", "treatment", "value", "cost"):
        assert getattr(one.campaign, name).tobytes() == getattr(two.campaign, name).tobytes()
        assert getattr(one.campaign, name).tobytes() != getattr(other.campaign, name).tobytes()
    assert one.truth.value.tobytes() == two.truth.value.tobytes()
    assert one.truth.cost.tobytes() == two.truth.cost.tobytes()


def test_truth_is_the_documented_one():
    """The formulas of the docstring, in plain arithmetic, for twenty users."""
    drawn = synthetic.simulate(20, seed=3)

    def sigma(z):
        return 1 / (1 + math.exp(-z))

    for i, x in enumerate(drawn.campaign.X.astype(float)):
        b = 4 * math.exp(0.5 * x[0] + 0.4 * abs(x[1]) + 0.2 * x[2] * x[3] - 0.3)
        a = 10 * sigma(2.4 * x[4] - 1.6 * x[5] + 1.4 * x[0] * x[6] - 0.5) * (1.5 if x[7] > 0 else 1)
        h = 1.5 * math.exp(0.4 * x[9])
        for j, s in enumerate(DOSES):
            assert drawn.truth.value[i, j] == pytest.approx(b + a * (1 - math.exp(-s / h)), rel=1e-12)
            r = sigma(-1 + 0.8 * x[8] + 0.5 * x[4] + 0.35 * math.sqrt(s))
            assert drawn.truth.cost[i, j] == pytest.approx(s * r, rel=1e-12)


def test_logged_value_agrees_with_truth(simulation):
    """In each arm the mean logged value is the mean true one; the noise has a third of the mean as its spread."""
    residual = simulation.campaign.value - received(simulation, simulation.truth.value)
    relative = residual / received(simulation, simulation.truth.value)
    for j in range(5):
        rows = simulation.campaign.treatment == j
        mean_is(0, residual[rows])
        mean_is(1 / 9, relative[rows] ** 2)


def test_logged_cost_agrees_with_truth(simulation):
    """In each arm the mean logged cost is the mean true cost of its users."""
    residual = simulation.campaign.cost - received(simulation, simulation.truth.cost)
    for j in range(1, 5):
        mean_is(0, residual[simulation.campaign.treatment == j])


def test_cost_is_paid_on_redemption_only(simulation):
    """A user of a dose costs the dose or nothing, and both happen; control never costs."""
    log = simulation.campaign
    for j, dose in enumerate(DOSES):
        assert set(np.unique(log.cost[log.treatment == j])) == {0.0, dose}
    assert_array_equal(simulation.truth.cost[:, 0], 0)


def test_treatment_is_random(simulation):
    """Each arm gets a fifth of the users, and they look like all others in every feature."""
    for j in range(5):
        rows = simulation.campaign.treatment == j
        mean_is(0.2, rows.astype(float))
        for k in range(20):
            mean_is(0, simulation.campaign.X[rows, k].astype(float))


def test_features(simulation):
    """Standard normal, but x7, which is -1 or 1."""
    X = simulation.campaign.X.astype(float)
    assert set(np.unique(X[:, 7])) == {-1.0, 1.0}
    assert_allclose(np.delete(X, 7, axis=1).std(axis=0), 1, atol=5 / math.sqrt(2 * N))


def test_response_to_the_dose_is_concave_and_does_not_fall(simulation):
    """For every user: more money never earns less, and each further euro earns less than the one before."""
    slope = np.diff(simulation.truth.value, axis=1) / np.diff(DOSES)
    assert (slope >= 0).all()
    assert (np.diff(slope, axis=1) <= 1e-12).all()
    assert (simulation.truth.value > 0).all()
    assert (np.diff(simulation.truth.cost, axis=1) > 0).all()


@pytest.mark.parametrize("n", [0, -1])
def test_no_users(n):
    """At least one user is needed."""
    with pytest.raises(InputError, match=rf"n_users is {n}; a whole number, at least 1 user"):
        synthetic.simulate(n)


@pytest.fixture(scope="module")
def confounded():
    """One large confounded simulation."""
    return synthetic.confounded(N, seed=12)


def test_simulate_is_what_it_was():
    """The draws of `simulate`, recorded before other worlds joined it.

    What is drawn or chosen is the same to the byte; what numpy's exponentials enter may differ in the last digit from
    one processor to another, so of that sums are compared, and sums weighted by position.
    """
    drawn = synthetic.simulate(5_000, seed=3)
    log, digest = drawn.campaign, hashlib.md5()
    for array in (log.X, log.treatment, log.cost, log.propensity, log.user_id):
        digest.update(array.tobytes())
    assert digest.hexdigest() == "598784e7d1c3a6486531c67a6f6e44f9"
    for array, total, weighted in (
        (log.value, 42007.65458679569, 105768014.22651738),
        (drawn.truth.value, 209729.48246028405, 2625405764.5302625),
        (drawn.truth.cost, 34365.36783632309, 431776397.549235),
    ):
        assert array.sum() == pytest.approx(total, rel=1e-12)
        assert array.ravel() @ np.arange(array.size) == pytest.approx(weighted, rel=1e-12)
    assert_array_equal(drawn.propensity, log.propensity)


def test_confounded_truth_is_the_documented_one():
    """The formulas of the docstring, in plain arithmetic, for twenty users: propensity, value and cost."""
    drawn = synthetic.confounded(20, seed=3, strength=0.7)

    def sigma(z):
        return 1 / (1 + math.exp(-z))

    for i, x in enumerate(drawn.campaign.X.astype(float)):
        u = math.log(1 + drawn.campaign.activeness[i]) - 2
        odds = [math.exp(0.7 * u * (j - 2)) for j in range(5)]
        assert_allclose(drawn.propensity[i], np.array(odds) / sum(odds), rtol=1e-12)
        b = 4 * math.exp(0.5 * x[0] + 0.4 * abs(x[1]) + 0.2 * x[2] * x[3] - 0.3) * math.exp(0.4 * u)
        a = 10 * sigma(2.4 * x[4] - 1.6 * x[5] + 1.4 * x[0] * x[6] - 0.5) * (1.5 if x[7] > 0 else 1)
        h = 1.5 * math.exp(0.4 * x[9])
        for j, s in enumerate(DOSES):
            effect = 2 * sigma(-0.8 * u) * a * (1 - math.exp(-s / h))
            assert drawn.truth.value[i, j] == pytest.approx(b + effect, rel=1e-12)
            r = sigma(-1 + 0.8 * x[8] + 0.5 * x[4] + 0.35 * math.sqrt(s))
            assert drawn.truth.cost[i, j] == pytest.approx(s * r, rel=1e-12)


def test_confounded_log_agrees_with_its_truth(confounded):
    """Values and costs average to the truth of the arms received, and arms to their propensities, also at the ends
    of activeness."""
    log = confounded.campaign
    for j in range(5):
        rows = log.treatment == j
        mean_is(0, (log.value - received(confounded, confounded.truth.value))[rows])
        if j:
            mean_is(0, (log.cost - received(confounded, confounded.truth.cost))[rows])
        for users in (slice(None), log.activeness == 0, log.activeness > 30):
            mean_is(0, (rows - confounded.propensity[:, j])[users])
    assert_allclose(confounded.propensity.sum(axis=1), 1)


def test_activeness_is_a_count_with_the_documented_mean(confounded):
    """E exp(2 + .9 N) = exp(2 + .405)."""
    a = confounded.campaign.activeness
    assert_array_equal(a, np.floor(a))
    mean_is(math.exp(2 + 0.9**2 / 2), a)


def test_what_the_confounded_log_tells():
    """No propensity, activeness apart from X unless asked for, the rest as without it."""
    apart, inside = (synthetic.confounded(300, seed=1, activeness_in_features=b).campaign for b in (False, True))
    assert apart.propensity is None
    assert apart.features == tuple(f"x{j}" for j in range(20))
    assert inside.features == (*apart.features, "activeness")
    assert_array_equal(inside.X[:, :20], apart.X)
    assert_array_equal(inside.X[:, 20], apart.activeness)
    assert_array_equal(inside.value, apart.value)


def test_strength_of_confounding(confounded):
    """The raw difference of the largest dose is too large; at strength 0 assignment is uniform and it is not."""

    def excess(drawn):
        log = drawn.campaign
        sides = [log.value[log.treatment == j] for j in (4, 0)]
        error = math.sqrt(sum(side.var() / len(side) for side in sides))
        truth = (drawn.truth.value[:, 4] - drawn.truth.value[:, 0]).mean()
        return (sides[0].mean() - sides[1].mean() - truth) / error

    assert excess(confounded) > 10
    even = synthetic.confounded(N, seed=12, strength=0)
    assert_allclose(even.propensity, 0.2)
    assert abs(excess(even)) < 5
    assert excess(synthetic.confounded(N, seed=12, strength=-0.5)) < -10


def test_confounded_seeds():
    """Byte for byte with one seed, different with another, and not the users of `simulate`."""
    one, two, other = (synthetic.confounded(200, seed=seed).campaign for seed in (5, 5, 6))
    for name in ("X", "treatment", "value", "cost", "activeness"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
        assert getattr(one, name).tobytes() != getattr(other, name).tobytes()
    assert one.X.tobytes() != synthetic.simulate(200, seed=5).campaign.X.tobytes()


def test_confounded_refuses():
    with pytest.raises(InputError, match="n_users is 0; a whole number, at least 1 user"):
        synthetic.confounded(0)
    for strength in (math.nan, math.inf, "strong", 1e308, -1e308, True, None):
        with pytest.raises(InputError, match=r"strength is .*; a finite number is expected, 0 for a randomised log"):
            synthetic.confounded(10, strength=strength)
    assert synthetic.confounded(1, strength=1e6).propensity.max() == 1
