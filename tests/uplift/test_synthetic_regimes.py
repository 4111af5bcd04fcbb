"""The regimes: each the documented world, in plain arithmetic, and logs that agree with its truth."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from uplift import InputError, synthetic
from uplift.synthetic.student import expected as student_truth

DOSES = np.array([0.0, 1.0, 2.0, 4.0, 8.0])
RANDOMISED = ("well_specified", "small_student", "scarce", "heavy_tail", "null")
N = 100_000


def sigma(z):
    return 1 / (1 + math.exp(-z))


@pytest.fixture(scope="module")
def worlds():
    """A large draw of every randomised regime."""
    return {name: synthetic.regime(name, N, seed=21) for name in RANDOMISED}


@pytest.fixture(scope="module")
def two_logs():
    """Both logs, the randomised one large too, for the statistical tests."""
    return synthetic.confounded_plus_rct(2 * N, n_randomised=N, seed=22)


def residuals(simulation):
    """Logged value and cost less the truth of the arm received."""
    log, rows = simulation.campaign, np.arange(len(simulation.campaign))
    return (
        log.value - simulation.truth.value[rows, log.treatment],
        log.cost - simulation.truth.cost[rows, log.treatment],
    )


def errors_off(draws, expected=0.0):
    """How many standard errors the mean of the draws lies above what is expected."""
    return (draws.mean() - expected) / (draws.std(ddof=1) / math.sqrt(len(draws)))


def cells(X):
    """All users, then the low and the high side of the features that bend the worlds."""
    yield np.ones(len(X), dtype=bool)
    for k in (0, 1, 2, 4, 5, 8):
        yield X[:, k] < -0.5
        yield X[:, k] > 0.5


def students(x, s):
    """Value and cost of `small_student` as its docstring says."""
    b = 12 * math.exp(0.6 * x[0] + 0.5 * abs(x[1]) + 0.4 * x[2] * x[3] + 0.4 * math.sin(2 * x[4]) - 0.4)
    a = 10 * sigma(2.4 * x[4] - 1.6 * x[5] + 1.4 * x[0] * x[6] + 1.2 * abs(x[2]) - 1.5) * (1.5 if x[7] > 0 else 1)
    h = 1.5 * math.exp(0.6 * x[9] - 0.4 * x[1])
    return b + a * (1 - math.exp(-s / h)), s * sigma(-1 + 0.8 * x[8] + 0.5 * x[4] + 0.35 * math.sqrt(s))


def without_effect(x, s):
    return students(x, 0)[0], students(x, s)[1]


def linear(x, s):
    """Value and cost of `well_specified`."""
    b = 20 + 2 * x[0] + 1.5 * x[1] - x[2] + 0.5 * x[7]
    m = 0.05 + 0.4 * x[4] - 0.3 * x[5] + 0.2 * x[6]
    r = sigma(-1 + 0.6 * x[8] + 0.3 * x[4] + 0.1 * s)
    return b + 4 * (1 - math.exp(-s / 3)) + m * s, s * r


def chances(x, s):
    """Of `heavy_tail`: probability of buying, expected spend of a buyer, probability to redeem without buying."""
    lift = 0.04 * sigma(-1.5 + 2 * x[4] - 1.5 * x[5] + 1.2 * x[3] * x[6]) * (1.5 if x[7] > 0 else 1)
    p = 0.1 * sigma(-1.6 + 0.8 * x[0] + 0.6 * x[1]) + lift * (1 - math.exp(-s / (2 * math.exp(0.4 * x[9]))))
    return p, 40 * math.exp(0.3 * x[0] + 0.4 * x[2] - 0.125), 0.03 * sigma(x[8])


def shop(x, s):
    """Value and cost of `heavy_tail`."""
    p, m, q = chances(x, s)
    return p * m, s * (p + (1 - p) * q)


@pytest.mark.parametrize(
    ("name", "formula"),
    [("small_student", students), ("null", without_effect), ("well_specified", linear), ("heavy_tail", shop)],
)
def test_truth_is_the_documented_one(name, formula):
    """The formulas of the docstring for thirty users."""
    drawn = synthetic.regime(name, 30, seed=3)
    for i, x in enumerate(drawn.campaign.X.astype(float)):
        for j, s in enumerate(DOSES):
            value, cost = formula(x, s)
            assert drawn.truth.value[i, j] == pytest.approx(value, rel=1e-12)
            assert drawn.truth.cost[i, j] == pytest.approx(cost, rel=1e-12)


def test_small_student_by_hand():
    """At x = 0: b = 12 e^-.4 = 8.04384; a = 10 sigma(-1.5) = 1.82426; h = 1.5; 1 - e^(-1/1.5) = .486583, so
    1 EUR gives 8.04384 + .887653 = 8.931493 at the cost sigma(-.65) = .342990.

    At x0 = 1, x1 = -1, x4 = .5, x6 = 1, x7 = 1, else 0: b = 12 e^(.6 + .5 + .4 sin 1 - .4) = 12 e^1.036588 =
    33.834975; a = 15 sigma(1.2 + 1.4 - 1.5) = 11.253902; h = 1.5 e^.4 = 2.237737; 1 - e^(-8 / 2.237737) = .971986;
    8 EUR gives 33.834975 + 10.938631 = 44.773607 at the cost 8 sigma(-1 + .25 + .35 sqrt 8) = 8 x .559701.
    """
    x = np.zeros((2, 10))
    x[1, [0, 1, 4, 6, 7]] = 1, -1, 0.5, 1, 1
    value, cost, redemption = student_truth(x)
    assert_allclose(value[0, [0, 1]], [8.04384, 8.931493], rtol=1e-6)
    assert cost[0, 1] == pytest.approx(0.342990, rel=1e-5)
    assert_allclose(value[1, [0, 4]], [33.834975, 44.773607], rtol=1e-7)
    assert cost[1, 4] == pytest.approx(8 * 0.559701, rel=1e-5)
    assert_array_equal(redemption[:, 0], 0)


@pytest.mark.parametrize("name", RANDOMISED)
def test_logs_agree_with_the_truth(worlds, name):
    """In each arm and each cell of a feature the mean logged value and cost are the mean true ones."""
    log = worlds[name].campaign
    value, cost = residuals(worlds[name])
    for j in range(5):
        for cell in cells(log.X):
            rows = cell & (log.treatment == j)
            assert abs(errors_off(value[rows])) < 5
            assert j == 0 or abs(errors_off(cost[rows])) < 5


@pytest.mark.parametrize("name", RANDOMISED)
def test_logs_are_randomised(worlds, name):
    """Five arms drawn alike, a propensity that says so, and costs that are the dose or nothing."""
    log = worlds[name].campaign
    assert_array_equal(log.propensity, np.full((N, 5), 0.2))
    assert_array_equal(worlds[name].propensity, log.propensity)
    for j, dose in enumerate(DOSES):
        rows = log.treatment == j
        assert abs(errors_off(rows.astype(float), 0.2)) < 5
        assert set(np.unique(log.cost[rows])) == {0.0, dose}
    assert_array_equal(worlds[name].truth.cost[:, 0], 0)
    d = 20 if name == "scarce" else 10
    assert log.X.shape == (N, d)
    assert log.features == tuple(f"x{k}" for k in range(d))


def test_noise(worlds):
    """A third of the expected value in the gamma worlds, 5 EUR in the linear one."""
    for name in ("small_student", "null"):
        drawn = worlds[name]
        mean = drawn.truth.value[np.arange(N), drawn.campaign.treatment]
        assert abs(errors_off((residuals(drawn)[0] / mean) ** 2, 1 / 9)) < 5
    off = residuals(worlds["well_specified"])[0]
    assert abs(errors_off(off**2, 25)) < 5
    assert abs(errors_off(off**4, 3 * 25**2)) < 5  # normal


def test_concave_in_the_dose(worlds):
    """Each further euro earns less, for every user; in the linear world an eighth to a fifth lose by 8 EUR.

    There the effect of 8 EUR is 4 (1 - e^(-8/3)) + 8 m = 3.722 + 8 m with m normal, of mean .05 and variance
    .4^2 + .3^2 + .2^2 = .29: below 0 with the probability Phi((-.46524 - .05) / .53852) = Phi(-.95677) = .16934.
    """
    for name in ("well_specified", "small_student", "heavy_tail"):
        slope = np.diff(worlds[name].truth.value, axis=1) / np.diff(DOSES)
        assert (np.diff(slope, axis=1) <= 1e-12).all()
        assert (slope >= 0).all() == (name != "well_specified")
    truth = worlds["well_specified"].truth.value
    assert abs(errors_off((truth[:, 4] < truth[:, 0]).astype(float), 0.16934)) < 5


def test_well_specified_is_linear(worlds):
    """Least squares on the features gives the truth of every arm without rest."""
    X = np.column_stack([np.ones(N), worlds["well_specified"].campaign.X])
    truth = worlds["well_specified"].truth.value
    fitted = X @ np.linalg.lstsq(X, truth, rcond=None)[0]
    assert_allclose(fitted, truth, atol=1e-9)


def test_null_has_no_effect(worlds):
    """Not even in the last bit; the costs are real."""
    truth = worlds["null"].truth
    assert_array_equal(truth.value[:, 1:] - truth.value[:, :1], 0)
    assert (np.diff(truth.cost, axis=1) > 0).all()


def test_scarce_is_the_first_world():
    one, other = synthetic.scarce(seed=4), synthetic.simulate(5_000, seed=4)
    assert one.campaign.value.tobytes() == other.campaign.value.tobytes()
    assert one.truth.value.tobytes() == other.truth.value.tobytes()


def test_buyers(worlds):
    """3% buy, as many as documented in each arm; log spend is normal, of spread 1 and mean log m - 1/2.

    Every buyer redeems, and of the others as many as q says.
    """
    log = worlds["heavy_tail"].campaign
    few = np.arange(40_000)
    x, t = log.X[few].astype(float), log.treatment[few]
    p, m, q = np.array([chances(x[i], DOSES[t[i]]) for i in few]).T
    bought = log.value[few] > 0
    assert 0.028 < (log.value > 0).mean() < 0.032
    for j in range(5):
        assert abs(errors_off(bought[t == j] - p[t == j])) < 5
    off = np.log(log.value[few][bought]) - np.log(m[bought]) + 0.5
    assert abs(errors_off(off)) < 5
    assert abs(errors_off(off**2, 1)) < 5
    dosed = t > 0
    assert (log.cost[few][bought & dosed] > 0).all()
    idle = dosed & ~bought
    assert abs(errors_off((log.cost[few] > 0)[idle] - q[idle])) < 5


def test_what_heavy_tail_pays():
    """The documented gains of who knows the truth, found by bisecting the price of money; 70% of the users pay."""
    truth = synthetic.heavy_tail(N, seed=9).truth
    rows = np.arange(N)
    for budget, gain in ((0.05, 0.39), (0.10, 0.50), (0.20, 0.59)):
        low, high = 0.0, 100.0
        for _ in range(40):
            price = (low + high) / 2
            arm = (truth.value - price * truth.cost).argmax(axis=1)
            low, high = (price, high) if truth.cost[rows, arm].mean() > budget else (low, price)
        assert (truth.value[rows, arm] - truth.value[:, 0]).mean() == pytest.approx(gain, abs=0.006)
    pays = ((truth.value - truth.cost)[:, 1:] > truth.value[:, :1]).any(axis=1)
    assert pays.mean() == pytest.approx(0.70, abs=0.005)


def test_two_logs_share_the_truth_of_the_first_world(two_logs):
    """Given X alone both hidden factors are 1 in the mean, which leaves the formulas of `simulate`."""
    for side in (two_logs.observed, two_logs.randomised):
        for i, x in enumerate(side.campaign.X[:20].astype(float)):
            b = 4 * math.exp(0.5 * x[0] + 0.4 * abs(x[1]) + 0.2 * x[2] * x[3] - 0.3)
            a = 10 * sigma(2.4 * x[4] - 1.6 * x[5] + 1.4 * x[0] * x[6] - 0.5) * (1.5 if x[7] > 0 else 1)
            effect = a * (1 - np.exp(-DOSES / (1.5 * math.exp(0.4 * x[9]))))
            assert_allclose(side.truth.value[i], b + effect, rtol=1e-12)


def test_randomised_log_agrees_with_the_truth(two_logs):
    """In each arm and cell; the campaign states its propensity of a fifth."""
    drawn = two_logs.randomised
    assert_array_equal(drawn.campaign.propensity, np.full((N, 5), 0.2))
    value, cost = residuals(drawn)
    for j in range(5):
        for cell in cells(drawn.campaign.X):
            rows = cell & (drawn.campaign.treatment == j)
            assert abs(errors_off(value[rows])) < 5
            assert j == 0 or abs(errors_off(cost[rows])) < 5


def test_observed_log_is_confounded_given_the_features(two_logs):
    """Adjusting for X does not cure it: the effect of 1 EUR is overstated in every cell of the features.

    That of 8 EUR is so much more where the base value is large and few respond than where it is small.
    Costs are told truly.
    """
    drawn = two_logs.observed
    assert drawn.campaign.propensity is None
    assert drawn.campaign.activeness is None
    x, arm = drawn.campaign.X, drawn.campaign.treatment
    value, cost = residuals(drawn)

    def excess(j, cell):
        sides = [value[cell & (arm == k)] for k in (j, 0)]
        return sides[0].mean() - sides[1].mean(), math.sqrt(sum(side.var() / len(side) for side in sides))

    for cell in cells(x):
        off, error = excess(1, cell)
        assert off > 10 * error
        assert all(abs(errors_off(cost[cell & (arm == j)])) < 5 for j in range(1, 5))
    large, error = excess(4, (x[:, 0] > 0.5) & (x[:, 4] < -0.5))
    small, other = excess(4, (x[:, 0] < -0.5) & (x[:, 4] > 0.5))
    assert large - small > 20 * math.hypot(error, other)
    assert large > 3
    assert small < 0


def test_raw_means_of_the_observed_log_mislead(two_logs):
    """8 EUR less control is overstated by more than a third; the randomised log tells it within its error."""
    excess = {}
    for name in ("observed", "randomised"):
        drawn = getattr(two_logs, name)
        log, effect = drawn.campaign, (drawn.truth.value[:, 4] - drawn.truth.value[:, 0]).mean()
        sides = [log.value[log.treatment == j] for j in (4, 0)]
        error = math.sqrt(sum(side.var() / len(side) for side in sides))
        excess[name] = sides[0].mean() - sides[1].mean() - effect, error, effect
    off, error, effect = excess["observed"]
    assert off > max(effect / 3, 20 * error)
    off, error, _ = excess["randomised"]
    assert abs(off) < 5 * error


def test_what_the_hidden_trait_does(two_logs):
    """log(p4 / p0) = 3.2 u gives the trait away: standard normal, it sets propensity and value as documented.

    Its factors exp(+-.6 u - .18) have the mean e^-.18 e^(.6^2 / 2) = 1, which the truth rests on.
    """
    drawn = two_logs.observed
    log, p = drawn.campaign, drawn.propensity
    u = np.log(p[:, 4] / p[:, 0]) / 3.2
    odds = np.exp(0.8 * np.outer(u, [-2, -1, 0, 1, 2]))
    assert_allclose(p, odds / odds.sum(axis=1, keepdims=True), rtol=1e-9)
    assert abs(errors_off(u)) < 5
    assert abs(errors_off(u**2, 1)) < 5
    base, rows = drawn.truth.value[:, 0], np.arange(len(u))
    effect = drawn.truth.value[rows, log.treatment] - base
    mean = base * np.exp(0.6 * u - 0.18) + effect * np.exp(-0.6 * u - 0.18)
    relative = log.value / mean - 1
    for j in range(5):
        got = log.treatment == j
        for users in (np.ones(len(u), dtype=bool), u < -1, np.abs(u) < 0.5, u > 1):
            assert abs(errors_off((got - p[:, j])[users])) < 5
            assert abs(errors_off(relative[users & got])) < 5
    assert abs(errors_off(relative**2, 1 / 9)) < 5


def test_observed_log_knows_the_shape_of_the_base_value(two_logs):
    """Control's value is the same share of the true base value, below 1, whatever the features."""
    log, base = two_logs.observed.campaign, two_logs.observed.truth.value[:, 0]
    control = log.treatment == 0
    share = log.value / base
    overall = share[control].mean()
    assert overall < 0.8
    for cell in cells(log.X):
        assert abs(errors_off(share[cell & control], overall)) < 5


def every_array(drawn):
    """The arrays of a regime's draw, as bytes."""
    sides = (drawn.observed, drawn.randomised) if isinstance(drawn, synthetic.TwoLogs) else (drawn,)
    logs = [side.campaign for side in sides]
    drawings = [[log.X, log.treatment, log.value, log.cost] for log in logs]
    return [array.tobytes() for side in drawings for array in side] + [
        array.tobytes() for side in sides for array in (side.truth.value, side.truth.cost)
    ]


@pytest.mark.parametrize("name", synthetic.REGIMES)
def test_seeds(name):
    """Byte for byte with one seed or one generator, different with another; by name as by function."""
    one, other = (every_array(synthetic.regime(name, 200, seed=seed)) for seed in (5, 6))
    assert one == every_array(getattr(synthetic, name)(200, seed=5))
    assert all(a != b for a, b in zip(one, other, strict=True))
    drawn = [every_array(synthetic.regime(name, 200, seed=np.random.default_rng(1))) for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_regimes_share_no_users():
    """The same seed draws other people in each regime, and in the two logs of one."""
    two = synthetic.confounded_plus_rct(50, n_randomised=50, seed=5)
    drawn = [synthetic.regime(name, 50, seed=5) for name in RANDOMISED] + [two.observed, two.randomised]
    assert len({one.campaign.X[:, :7].tobytes() for one in drawn}) == len(drawn)


def test_usual_sizes():
    """5,000 and 50,000 users without a size; the randomised log is a twentieth of the observed one, rounded up."""
    assert len(synthetic.regime("scarce").campaign) == 5_000
    assert len(synthetic.regime("well_specified").campaign) == 50_000
    two = synthetic.regime("confounded_plus_rct", 1_001)
    assert (len(two.observed.campaign), len(two.randomised.campaign)) == (1_001, 51)
    assert len(synthetic.confounded_plus_rct(10, n_randomised=7).randomised.campaign) == 7


@pytest.mark.parametrize("name", synthetic.REGIMES)
def test_sizes(name):
    """One user is enough; fewer, parts of one and what is no number are refused."""
    drawn = synthetic.regime(name, 1)
    sides = (drawn.observed, drawn.randomised) if name == "confounded_plus_rct" else (drawn,)
    assert [len(side.truth) for side in sides] == [1] * len(sides)
    for n in (0, -1, 2.5, "many", True):
        with pytest.raises(InputError, match=rf"n_users is {n!r}; a whole number, at least 1 user, is expected"):
            synthetic.regime(name, n)


def test_size_of_the_randomised_log():
    with pytest.raises(InputError, match="n_randomised is 0; a whole number, at least 1 user, is expected"):
        synthetic.confounded_plus_rct(10, n_randomised=0)


def test_names():
    """The six names, and a hint for another."""
    assert set(synthetic.REGIMES) == {*RANDOMISED, "confounded_plus_rct"}
    with pytest.raises(InputError, match=r"'small_studnet' is no regime.* Did you mean 'small_student'"):
        synthetic.regime("small_studnet")
    with pytest.raises(InputError, match="None is no regime"):
        synthetic.regime(None)
