"""Rules on matrices of gradients: hand calculations, brute force, and what must hold for every matrix."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from uplift.causal.aggregation import rule, rules

HERE = tuple(name for name in rules() if name != "cagrad")  # it wants a solver that is no dependency
OF_MANY = tuple(name for name in HERE if name != "norm_matched")
DRAWS = ("pcgrad", "agr_rand", "graddrop")
BY_ANGLE = tuple(name for name in OF_MANY if name not in ("agr_sum", "agr_rand", "graddrop"))
ADDS = ("sum", "pcgrad", "agr_sum", "agr_rand", "graddrop")  # m equal gradients make m of them


def combined(name, gradients, weights=None, **parameters):
    """The result as an array; "erm" gets the equal weights that it asks for."""
    if name == "erm" and weights is None:
        weights = np.ones(len(gradients))
    return rule(name, seed=0, **parameters)(torch.as_tensor(np.asarray(gradients)), weights).numpy()


cells = st.integers(-6, 6).map(float)


@st.composite
def matrices(draw, least=2, most=4):
    """2 to 4 gradients of 2 to 5 small whole cells: ties, zero rows, opposite rows and equal rows come up often."""
    m, p = draw(st.integers(least, most)), draw(st.integers(2, 5))
    G = np.array(draw(st.lists(st.lists(cells, min_size=p, max_size=p), min_size=m, max_size=m)))
    kind = draw(st.sampled_from(["free", "repeat", "oppose", "zero"]))
    if kind != "free":
        G[-1] = {"repeat": 1, "oppose": -1, "zero": 0}[kind] * G[0]
    return G


def conflicting(seed, m=3, p=6):
    """Random gradients with at least one pair in conflict and none degenerate."""
    rng = np.random.default_rng(seed)
    G = rng.standard_normal((m, p))
    G[-1] -= 1.5 * G[0]
    return G


def test_weighing_by_fixed_numbers():
    """Events 30 and 10, users equal, by hand: (3/4 g1 + 1/4 g2), their mean, their sum, 2 g1 + g2."""
    G = [[4.0, 0.0], [0.0, 8.0]]
    assert_allclose(combined("erm", G, [30, 10]), [3, 2])
    assert_allclose(combined("balanced", G), [2, 4])
    assert_allclose(combined("balanced", G, [1, 3]), [1, 6])
    assert_allclose(combined("sum", G), [4, 8])
    assert_allclose(combined("sum", G, [2, 1]), [8, 8])


def test_pcgrad_by_hand():
    """<g1, g2> = -1: g1' = (1,0) + (-1,1)/2 = (.5,.5), g2' = (-1,1) + (1,0) = (0,1); together (.5,1.5)."""
    assert_allclose(combined("pcgrad", [[1.0, 0.0], [-1.0, 1.0]]), [0.5, 1.5])


@pytest.mark.parametrize("seed", range(20))
def test_pcgrad_is_one_of_the_orders(seed):
    """Projections of the vectors themselves, in every combination of orders: the result is among them."""
    G = conflicting(seed)
    turned = [set(), set(), set()]
    for i in range(3):
        for order in itertools.permutations([j for j in range(3) if j != i]):
            g = G[i].copy()
            for j in order:
                g -= min(0.0, g @ G[j]) / (G[j] @ G[j]) * G[j]
            turned[i].add(tuple(g))
    possible = [np.sum(choice, axis=0) for choice in itertools.product(*turned)]
    found = combined("pcgrad", G)
    assert min(np.abs(found - one).max() for one in possible) < 1e-12


def test_agreement_by_hand():
    """Columns: agree, conflict, one zero, all zero."""
    G = [[1.0, 2.0, 0.0, 0.0], [3.0, -1.0, -2.0, 0.0]]
    assert_array_equal(combined("agr_sum", G), [4, 0, -2, 0])
    random = combined("agr_rand", G)
    assert_array_equal(random[[0, 2, 3]], [4, -2, 0])
    assert random[1] != 0


def test_agreement_noise_has_the_size_of_what_agrees():
    """4,000 coordinates in conflict beside two of sizes 1 and 5 and ten of 0: noise of standard deviation 3."""
    G = np.ones((2, 4_012))
    G[1, 2:] = -1
    G[:, :2] = [[0.5, -2.5]] * 2
    G[:, -10:] = 0
    noise = combined("agr_rand", G)[2:-10]
    assert abs(noise.mean()) < 4 * 3 / np.sqrt(4_000)
    assert noise.std() == pytest.approx(3, rel=0.05)


def test_gradient_aggregation_by_hand():
    """Mean (2/3, 4/3): the third opposes it. The others are orthogonal, so each has weight 1/2: (1.5, 2)."""
    G = torch.tensor([[3.0, 0.0], [0.0, 4.0], [-1.0, 0.0]])
    result, kept = rule("gradient_aggregation").with_kept(G)
    assert_allclose(result, [1.5, 2])
    assert kept.tolist() == [True, True, False]


@given(matrices())
def test_gradient_aggregation_by_definition(G):
    """The steps of the definition, one pair at a time, with angles from normalised vectors."""
    mean = G.mean(axis=0)

    def cosine(a, b):
        sizes = np.linalg.norm(a) * np.linalg.norm(b)
        return a @ b / sizes if sizes > 0 else 0.0

    S = [g for g in G if cosine(g, mean) > 1e-9]
    w = np.exp([sum(cosine(a, b) for b in S) for a in S])
    expected = (w / w.sum()) @ S if S else np.zeros(G.shape[1])
    assert_allclose(combined("gradient_aggregation", G), expected, atol=1e-9)


@pytest.mark.parametrize("lone", [0.5, 10.0])
def test_gradient_aggregation_leaves_out_who_opposes_the_mean(lone):
    """One against four: of small gradient it is left out, of large gradient the four are."""
    G = torch.tensor([[-lone, 1.0]] + [[1.0, 0.0]] * 4)
    kept = rule("gradient_aggregation").with_kept(G)[1]
    assert kept.tolist() == ([False] + [True] * 4 if lone < 4 else [True] + [False] * 4)


@given(matrices(1, 6), st.lists(st.integers(1, 9), min_size=6, max_size=6))
def test_gradient_aggregation_never_opposes_the_mean(G, counts):
    """Nor the weighted mean; it stands still only where every group is left out."""
    for weights in (None, np.array(counts[: len(G)], dtype=float)):
        result, kept = rule("gradient_aggregation").with_kept(torch.as_tensor(G), weights)
        along = result.numpy() @ np.average(G, axis=0, weights=weights)
        assert along > 0 if kept.any() and G.any() else not result.any()


@given(st.integers(0, 50), st.floats(0, 3.9))
def test_gradient_aggregation_gives_an_opposed_minority_no_weight(seed, size):
    """Four groups on one side and one straight against their mean, by less than they are: as if it were not there."""
    majority = np.abs(np.random.default_rng(seed).standard_normal((4, 5))) + 0.1
    G = np.r_[majority, -size * majority.mean(axis=0, keepdims=True)]
    assert_allclose(combined("gradient_aggregation", G), combined("gradient_aggregation", majority), rtol=1e-12)


def test_gradient_aggregation_with_nobody_left():
    """Two that cancel: the mean is zero, nobody is with it, and the step is zero."""
    result, kept = rule("gradient_aggregation").with_kept(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
    assert_array_equal(result, [0, 0])
    assert kept.tolist() == [False, False]


@pytest.mark.parametrize(
    ("goal", "gamma", "expected"),
    [
        ([-3.0, 4.0], 1.0, [2.0, 2.0]),  # turned to (0, 4), sized to 2
        ([-3.0, 4.0], 0.5, [2.0, 1.0]),
        ([3.0, 4.0], 1.0, [3.2, 1.6]),  # no conflict: sized only, 2 (.6, .8)
        ([3e-6, 4e-6], 1.0, [3.2, 1.6]),  # whatever its units
        ([-7.0, 0.0], 1.0, [2.0, 0.0]),  # straight against: nothing is left of it
        ([0.0, 0.0], 1.0, [2.0, 0.0]),
        ([3.0, 4.0], 0, [2.0, 0.0]),
    ],
)
def test_norm_matched_by_hand(goal, gamma, expected):
    """Factual gradient (2, 0)."""
    assert_allclose(combined("norm_matched", [[2.0, 0.0], goal], gamma=gamma), expected, rtol=1e-12)


def test_norm_matched_where_the_factual_loss_is_silent():
    """No size to match: gamma times the goal's."""
    assert_allclose(combined("norm_matched", [[0.0, 0.0], [3.0, 4.0]], gamma=0.5), [1.5, 2.0])


def test_norm_matched_rounding_is_no_direction():
    """In single precision -3.3 f is not quite straight against f; what is left of it must not be blown up."""
    factual = np.random.default_rng(0).standard_normal(1_000).astype(np.float32)
    result = combined("norm_matched", np.stack([factual, np.float32(-3.3) * factual]))
    assert_allclose(result, factual, rtol=1e-5)


@given(matrices(2, 2), st.floats(0, 10))
def test_norm_matched_never_slows_the_factual_loss(G, gamma):
    """Its product with the factual gradient is at least that gradient's own square."""
    result = combined("norm_matched", G, gamma=gamma)
    assert result @ G[0] >= (G[0] @ G[0]) * (1 - 1e-9)


def dual_cone_projection(g, G):
    """The nearest x with G x >= 0, by trying every set of constraints that hold with equality."""
    best, nearest = None, np.inf
    for count in range(len(G) + 1):
        for active in itertools.combinations(range(len(G)), count):
            A = G[list(active)]
            x = g - A.T @ np.linalg.pinv(A @ A.T) @ A @ g if count else g
            if (G @ x >= -1e-8).all() and np.linalg.norm(x - g) < nearest:
                best, nearest = x, np.linalg.norm(x - g)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_upgrad_and_dualproj_by_brute_force(seed):
    """The mean of the projections of each gradient on the dual cone; the projection of the mean."""
    G = conflicting(seed, m=2 + seed % 3)
    assert_allclose(combined("upgrad", G), np.mean([dual_cone_projection(g, G) for g in G], axis=0), atol=1e-6)
    assert_allclose(combined("dualproj", G), dual_cone_projection(G.mean(axis=0), G), atol=1e-6)


@given(matrices())
@settings(max_examples=60)
def test_upgrad_and_dualproj_oppose_nobody(G):
    """A step along them raises no loss, to first order."""
    size = np.linalg.norm(G, axis=1)
    for name in ("upgrad", "dualproj"):
        result = combined(name, G)
        assert (G @ result >= -1e-6 * size * max(1, np.linalg.norm(result))).all()


@given(matrices(2, 2))
def test_pcgrad_of_two_opposes_neither(G):
    """With more than two it may."""
    assert (G @ combined("pcgrad", G) >= -1e-9).all()


@pytest.mark.parametrize("seed", range(5))
def test_mgda_is_the_smallest_convex_combination(seed):
    """Against a grid of weights of three gradients."""
    G = conflicting(seed)
    grid = np.linspace(0, 1, 201)
    weights = np.array([(a, b, 1 - a - b) for a in grid for b in grid if a + b <= 1])
    found = np.linalg.norm(combined("mgda", G, epsilon=1e-9, max_iters=10_000))
    assert found == pytest.approx(np.linalg.norm(weights @ G, axis=1).min(), rel=1e-2)


@pytest.mark.parametrize("name", OF_MANY)
@given(matrices(), st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_order_of_groups_has_no_influence(name, G, random):
    """But on rules that draw an order; of these two groups have one order only."""
    if name in DRAWS:
        G = G[:2]
    order = random.sample(range(len(G)), len(G))
    if name == "config" and np.linalg.matrix_rank(G) < len(G):
        return  # it takes a pseudo-inverse, which jumps at dependent gradients
    assert_allclose(combined(name, G[order]), combined(name, G), atol=1e-4)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("scale", [1e-12, 1e-3, 7.0, 1e12])
def test_units_scale_through(name, scale):
    """Losses in cents or in millions: the combined gradient is scaled as they are."""
    G = conflicting(1, m=2)
    assert_allclose(combined(name, scale * G), scale * combined(name, G), rtol=1e-9)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("exponent", [-700, 700])
def test_squares_that_no_float_holds(name, exponent):
    """Gradients of about 1e-210 and 1e+210: a power of two scales every rule, but for rounding of torchjd's."""
    G = conflicting(1, m=2)
    assert_allclose(combined(name, 2.0**exponent * G), 2.0**exponent * combined(name, G), rtol=1e-9)


@pytest.mark.parametrize("name", BY_ANGLE)
def test_turning_all_gradients_turns_the_result(name):
    """Rules of angles and sizes know no coordinates."""
    G = conflicting(2)
    Q = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))[0]
    assert_allclose(combined(name, G @ Q), combined(name, G) @ Q, atol=1e-5)


@pytest.mark.parametrize("name", OF_MANY)
def test_one_group_is_its_gradient(name):
    """Whatever its weight among itself."""
    assert_array_equal(combined(name, [[1.0, -2.0, 3.0]]), [1, -2, 3])


@pytest.mark.parametrize("name", [name for name in HERE if name != "config"])
@pytest.mark.parametrize("m", [2, 3])
def test_equal_gradients(name, m):
    """Where all agree there is nothing to settle: the gradient itself, or m times it where gradients are added."""
    g = np.array([1.0, -2.0, 3.0])
    m = 2 if name == "norm_matched" else m
    factor = m if name in (*ADDS, "norm_matched") else 1
    assert_allclose(combined(name, [g] * m), factor * g, rtol=1e-4)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("shape", [(2, 3), (2, 1), (2, 0)])
def test_zero_gradients(name, shape):
    """Nothing in, nothing out, and no NaN."""
    assert_array_equal(combined(name, np.zeros(shape)), np.zeros(shape[1]))


@pytest.mark.parametrize("name", ["pcgrad", "agr_sum", "gradient_aggregation"])
def test_a_silent_group_changes_nothing(name):
    """A group without gradient neither votes nor dilutes."""
    G = conflicting(3, m=2)
    assert_allclose(combined(name, np.r_[G, np.zeros((1, 6))]), combined(name, G), rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in OF_MANY if name not in ("graddrop", "config", "imtl_g")])
def test_straight_opposites_cancel(name):
    """Of g and -g no rule makes a direction."""
    assert_allclose(combined(name, [[1.0, -2.0], [-1.0, 2.0]]), [0, 0], atol=1e-6)


@pytest.mark.parametrize("name", HERE)
def test_same_seed_same_bytes(name):
    """Two rules of one seed draw alike, call by call; torch's own stream is not touched."""
    G = torch.as_tensor(conflicting(4, m=2))
    torch.manual_seed(9)
    state = torch.get_rng_state()
    one, other = rule(name, seed=3), rule(name, seed=3)
    for _ in range(3):
        assert torch.equal(one(G, [1, 1]), other(G, [1, 1]))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["agr_rand", "graddrop"])
def test_another_seed_draws_otherwise(name):
    """And one rule goes on drawing from call to call."""
    G = torch.as_tensor(np.random.default_rng(6).standard_normal((2, 200)))
    drawing = rule(name, seed=3)
    first = drawing(G)
    assert not torch.equal(first, drawing(G))
    assert not torch.equal(first, rule(name, seed=4)(G))
    numpy_seeded = [rule(name, seed=np.random.default_rng(8))(G) for _ in range(2)]
    assert torch.equal(*numpy_seeded)


@pytest.mark.parametrize("name", [name for name in HERE if name not in ("sum", "erm", "balanced")])
def test_weights_weigh_the_losses(name):
    """Equal weights change nothing; weights 3 and 1 are gradients 1.5 and 0.5 times as large."""
    G = conflicting(5, m=2)
    assert_allclose(combined(name, G, [5, 5]), combined(name, G), rtol=1e-9)
    assert_allclose(combined(name, G, [3, 1]), combined(name, G * [[1.5], [0.5]]), rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in HERE if name != "norm_matched"])
def test_descends_to_a_common_minimum(name):
    """Three quadratics of one minimum and other curvatures: every rule finds it."""
    target, curvature = np.array([1.0, -2.0, 3.0]), np.array([[1, 0.5, 0.2], [0.2, 1, 0.5], [0.5, 0.2, 1.0]])
    # "min", the default, takes steps as small as the gradients are dependent, and is there after 4,000
    one = rule(name, seed=0, **({"scale_mode": "median"} if name == "aligned_mtl" else {}))
    x = np.zeros(3)
    for _ in range(400):
        x = x - 0.3 * one(curvature * (x - target), [1, 1, 1]).numpy()
    assert_allclose(x, target, atol=1e-3)


def test_norm_matched_descends_and_serves_the_goal():
    """The factual loss is settled in one coordinate only; the goal then decides the other."""
    x = np.array([3.0, 3.0])
    one = rule("norm_matched", gamma=0.9)
    for _ in range(300):
        x = x - 0.1 * one(np.stack([[x[0], 0.0], [1.0, x[1] - 1.0]])).numpy()
    assert abs(x[0]) < 1e-2
    assert abs(x[1] - 1) < abs(3 - 1)
