"""The long-tail benchmark's arithmetic on results made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from tests.benchmarks.longtail_chart import changes, picture
from tests.benchmarks.longtail_store import Result
from tests.benchmarks.longtail_table import change, tables
from uplift.recommender import Ranks

HEAD = np.array([False, False, False, True, True])


def ranks(above) -> Ranks:
    """Without ties, among 100 candidates; rank 1 has NDCG 1, rank 3 has .5, beyond 10 it is 0."""
    above = np.asarray(above)
    return Ranks(above, np.zeros_like(above), np.full(len(above), 100), np.arange(len(above)))


def result(seed, joint, row, name="aggregation + plugins") -> Result:
    rows = {"joint": (ranks(joint), 10.0, ""), name: (ranks(row), 20.0, "")}
    return Result("paper", "beauty", "sasrec", seed, HEAD, rows)


def test_the_change_is_the_mean_over_users_and_seeds_with_both_in_its_width():
    """Tail changes of seed 0 are 1, .5, 0 (mean .5), of seed 1 are 1, 1, 0 (mean 2/3)."""
    units = [result(0, [50, 50, 50, 0, 0], [0, 2, 50, 0, 0]), result(1, [50, 50, 50, 0, 0], [0, 0, 50, 0, 0])]
    found = change(units, "aggregation + plugins", "ndcg@10", head=False)
    means = np.array([0.5, 2 / 3])
    users = np.array([1, 0.75, 0])
    of_users = 1.959964 * users.std(ddof=1) / np.sqrt(3)
    of_seeds = t.ppf(0.975, 1) * means.std(ddof=1) / np.sqrt(2)
    assert found.mean == pytest.approx(means.mean())
    assert found.high - found.mean == pytest.approx(np.sqrt(of_users**2 + of_seeds**2), rel=1e-6)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert found.joint == 0
    assert found.seeds == 2


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([0, 0, 0, 0, 0], "aggregation + plugins: tail up in 1 of 1, and the head unharmed as well in 1."),
        ([0, 0, 0, 50, 0], "aggregation + plugins: tail up in 1 of 1, and the head unharmed as well in 0."),
        ([50, 50, 50, 0, 0], "aggregation + plugins: tail up in 0 of 1, and the head unharmed as well in 0."),
    ],
)
def test_the_first_line_says_what_of_the_claim_holds(row, says):
    text = tables([result(0, [50, 50, 50, 0, 0], row)])
    assert says in text.splitlines()[2]
    assert "| aggregation + plugins | " in text


def test_the_first_line_sets_the_placebo_beside_what_it_is_a_placebo_of():
    one = result(0, [50, 50, 50, 0, 0], [0, 0, 0, 0, 0], "joint + memory")
    same = result(0, [50, 50, 50, 0, 0], [0, 0, 0, 0, 0], "joint + placebo memory")
    one.rows.update(same.rows)
    assert "in 1 (joint + placebo memory: tail up in 1; above it in 0)" in tables([one]).splitlines()[2]


def test_the_picture_has_a_point_for_tail_and_head_of_every_row():
    frame = changes([result(0, [50, 50, 50, 0, 0], [0, 0, 0, 0, 0])])
    assert frame[["row", "users", "change"]].to_numpy().tolist() == [
        ["aggregation + plugins", "tail", 1.0],
        ["aggregation + plugins", "head", 0.0],
    ]
    drawn = picture(frame, "paper", "dark").to_dict()
    assert len(next(iter(drawn["datasets"].values()))) == 2
