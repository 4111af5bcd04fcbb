"""What the long-tail benchmark calls "as shipped" is what `fit_recommender` gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.benchmarks.longtail_cases import RULES, Setting
from tests.benchmarks.longtail_rows import run_unit
from tests.benchmarks.longtail_store import is_done, read_units, unit_path, write_unit
from tests.uplift.recommender.tiny import SETTINGS, frame
from uplift.recommender import Interactions, fit_recommender, leave_last_out, rank_targets

SPLIT = leave_last_out(Interactions.from_frame(frame(400), order="t"))
CASE = Setting(replace(SETTINGS, n_strata=5), base_epochs=1, rules={"joint": RULES["joint"]}, plugins_at_the_end=True)


def test_the_shipped_row_and_the_backbone_are_those_of_the_package(tmp_path):
    unit = run_unit(SPLIT, CASE, 2)
    fitted = fit_recommender(SPLIT, replace(CASE.settings, seed=2))
    assert fitted.memory.weight.any()
    for name, scorer in (("joint", fitted.backbone_scorer()), ("as shipped", fitted.scorer())):
        np.testing.assert_array_equal(unit.rows[name][0].above, rank_targets(scorer, SPLIT.test, SPLIT.n_items).above)
    path = unit_path(tmp_path, "strong", "video games", "sasrec", 2, None)
    write_unit(path, unit)
    assert is_done(path, CASE)
    assert not is_done(path.with_name("other.npz"), CASE)
    with pytest.raises(SystemExit, match="was run with other settings; move it away"):
        is_done(path, replace(CASE, base_epochs=2))
    (kept,) = read_units(tmp_path)
    assert (kept.setting, kept.data, kept.backbone, kept.seed) == ("strong", "video games", "sasrec", 2)
    assert list(kept.rows) == list(unit.rows)
    for name, (ranks, _, note) in kept.rows.items():
        np.testing.assert_array_equal(ranks.above, unit.rows[name][0].above)
        assert note == unit.rows[name][2]
