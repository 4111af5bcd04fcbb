"""Saved folders hold what was saved and nothing else: learners, policies, recommenders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import Ridge

from allocation import Nobody
from allocation.policies.saved import load_policy, save_policy
from tests.uplift.recommender import tiny
from uplift import InputError, synthetic
from uplift.learners import TLearner, load, save
from uplift.recommender.saved import load_recommender, save_recommender

LOG = synthetic.simulate(200, seed=6).campaign
BESIDE = {"manifest.json": b"{}\n"}


def learner(folder: Path) -> Path:
    """A saved learner."""
    return save(TLearner(Ridge()).fit(LOG.X, LOG.value, treatment=LOG.treatment, cost=LOG.cost), folder)


def policy(folder: Path) -> Path:
    """A saved policy with a manifest, as `earmark fit` leaves it."""
    return save_policy(Nobody().fit(LOG), folder, beside=BESIDE)


def recommender(folder: Path) -> Path:
    """A saved recommender with a manifest, as `earmark recommend fit` leaves it."""
    return save_recommender(tiny.recommender(), tiny.log(), folder, beside=BESIDE)


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any], str]] = {
    "model": (learner, load, "model.json"),
    "policy": (policy, load_policy, "policy.json"),
    "recommender": (recommender, load_recommender, "recommender.json"),
}


def outside(folder: Path) -> None:
    """A file that was saved lies elsewhere, and a link to it in its place."""
    path = folder / "arrays.safetensors"
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")


def index_outside(folder: Path) -> None:
    """The same of the list of files itself."""
    (path,) = (folder / name for _, _, name in KINDS.values() if (folder / name).exists())
    path.rename(folder.parent / "elsewhere.json")
    path.symlink_to("../elsewhere.json")


STRAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "code": (lambda folder: (folder / "hook.py").write_text("1/0"), r"holds 'hook\.py', not saved with the"),
    "hidden": (lambda folder: (folder / ".x.pkl").write_bytes(b"x"), r"holds '\.x\.pkl', not saved with the"),
    "folder": (lambda folder: (folder / "more").mkdir(), "holds 'more', not saved with the"),
    "link to itself": (lambda folder: (folder / "loop").symlink_to("loop"), "holds 'loop', not saved|cannot be read"),
    "several": (
        lambda folder: [(folder / name).touch() for name in "ab"],
        "holds 'a' and 1 more, not saved with the .*; move it elsewhere",
    ),
    "link out": (outside, "arrays.safetensors is a link out of the folder; put the file that was saved in its place"),
    "index out": (index_outside, r"\.json is a link out of the folder"),
}


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_saved_with_the_rest_is_refused(kind: str, stray: str, tmp_path: Path):
    write, read, index = KINDS[kind]
    folder = write(tmp_path / "saved")
    put, message = STRAYS[stray]
    put(folder)
    with pytest.raises(InputError, match=message) as raised:
        read(folder)
    if "not saved with" in str(raised.value):
        assert f"({index} does not list it)" in str(raised.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_folder_is_read_wherever_it_lies_and_through_links_to_it(kind: str, tmp_path: Path):
    write, read, _ = KINDS[kind]
    folder = write(tmp_path / "saved")
    read(folder)
    (tmp_path / "link").symlink_to(folder)
    read(tmp_path / "link")
    read(Path(shutil.copytree(folder, tmp_path / "copy")))
