"""A recommender on the terminal: every stratum, what was measured of it, and which answer it gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.uplift.recommender.tiny import recommender
from uplift.recommender import gate


def judged(*passes: bool):
    """Thirty queries a group, all a little better or all worse, and a group with one."""
    change = np.concatenate([np.linspace(0.1, 0.2, 30) * (1 if good else -1) for good in passes])
    group = np.repeat(np.arange(len(passes)), 30)
    return gate(np.zeros(len(change) + 1), [*change, 0.5], [*group, len(passes)], len(passes) + 1)


def test_a_line_a_stratum_with_what_the_gates_said():
    r = replace(recommender(), gates={"plugin": judged(True, False), "memory": judged(False, True)})
    lines = str(r).splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if line[:1].isdigit()]
    assert [row[:3] for row in rows] == [[str(z), "of", "3"] for z in (1, 2, 3)]
    assert [(row[-4], row[-1]) for row in rows[:2]] == [("yes", "no"), ("no", "yes")]
    assert rows[0][-6:-4] == ["+0.1500", f"{r.gates['plugin'].low[0]:+.4f}"]
    assert rows[2][-6:] == ["too", "few", "no"] * 2
    assert rows[1][4] == f"{np.bincount(r.strata.group)[1]}"
    assert f"{r.training.losses[-1, 0]:.3g}" in rows[0]
    assert "lower end of its 95% interval" in " ".join(lines)


def test_a_loaded_recommender_without_gates_prints_its_strata():
    text = str(replace(recommender(), training=None, gates={}))
    assert "loss mean" not in text
    assert "held-out" not in text
    assert text.count(" of 3") == 3
