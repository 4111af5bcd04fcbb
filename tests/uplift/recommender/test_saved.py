"""A saved recommender: the same scores to the bit, ids as they were, and one message on what is not as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from tests.uplift.recommender import tiny
from uplift.causal.aggregation import rule
from uplift.errors import InputError
from uplift.learners.encode import Parts
from uplift.learners.ids import decode_ids, encode_ids
from uplift.recommender import BACKBONES, GroupedTrainer, Interactions, Loss, RecommenderSettings, fit_recommender
from uplift.recommender.saved import load_recommender, save_recommender
from uplift.recommender.saved_parts import plain_settings, settings_of


@pytest.mark.parametrize("name", BACKBONES)
def test_a_loaded_recommender_gives_the_same_scores_and_vectors_to_the_bit(name: str, tmp_path: Path):
    own, log = tiny.recommender(name), tiny.log()
    loaded = load_recommender(save_recommender(own, log, tmp_path / "r")).recommender
    rows = np.arange(log.n_users)
    for before, after in (
        (own.scorer(), loaded.scorer()),
        (own.backbone_scorer(), loaded.backbone_scorer()),
    ):
        assert_array_equal(before.scores(log.histories, rows, rows), after.scores(log.histories, rows, rows))
        assert_array_equal(before.vectors(log.histories, rows, rows), after.vectors(log.histories, rows, rows))
    assert not np.array_equal(
        own.scorer().scores(log.histories, rows, rows), own.backbone_scorer().scores(log.histories, rows, rows)
    )
    assert_array_equal(loaded.popularity, own.popularity)


def test_settings_strata_and_what_the_gates_saw_come_back(tmp_path: Path):
    own = tiny.recommender()
    loaded = load_recommender(save_recommender(own, tiny.log(), tmp_path / "r")).recommender
    assert loaded.settings == own.settings
    assert str(loaded.strata) == str(own.strata)
    assert_array_equal(loaded.strata.head, own.strata.head)
    assert_array_equal(loaded.plugins.routed.numpy(), own.plugins.routed.numpy())
    assert {name: str(gate) for name, gate in loaded.gates.items()} == {k: str(g) for k, g in own.gates.items()}
    assert loaded.calibration == own.calibration
    assert loaded.calibration is not None
    assert loaded.training is None


def test_a_backbone_alone_can_be_saved(tmp_path: Path):
    settings = replace(tiny.SETTINGS, plugin_trainer=None, memory=False)
    own = fit_recommender(tiny.split(), settings)
    loaded = load_recommender(save_recommender(own, tiny.log(), tmp_path / "r")).recommender
    assert (loaded.plugins, loaded.memory, dict(loaded.gates)) == (None, None, {})
    assert loaded.settings == settings


def test_without_a_calibration_there_is_none_after_either(tmp_path: Path):
    own = replace(tiny.recommender(), calibration=None)
    assert load_recommender(save_recommender(own, tiny.log(), tmp_path / "r")).recommender.calibration is None


IDS = {
    "short": np.array([-3, 5, 9], dtype=np.int16),
    "long": np.array([2**62, 2**62 + 1], dtype=np.int64),
    "unsigned": np.array([1, 2**64 - 1], dtype=np.uint64),
    "text": np.array(["", "007", "7", "Käse", "本\n"], dtype=object),
    "many": np.array([f"item {k}" for k in range(200_000)], dtype=object),
}


@pytest.mark.parametrize("case", IDS)
def test_ids_are_kept_exactly_with_their_type(case: str):
    parts = Parts()
    back = decode_ids(json.loads(json.dumps(encode_ids(IDS[case], parts))), parts)
    assert back.dtype == IDS[case].dtype
    assert back.tolist() == IDS[case].tolist()


def test_items_of_an_int16_log_come_back_as_int16(tmp_path: Path):
    frame = tiny.frame()
    frame["item"] = frame["item"].str[1:].astype("int16")
    log = Interactions.from_frame(frame, order="t")
    settings = replace(tiny.SETTINGS, plugin_trainer=None, memory=False)
    own = fit_recommender(tiny.split(), settings)
    item_id = load_recommender(save_recommender(own, log, tmp_path / "r")).item_id
    assert item_id.dtype == np.int16
    assert item_id.tolist() == list(range(tiny.N_ITEMS))


def test_ids_that_cannot_be_kept_are_refused(tmp_path: Path):
    log = tiny.log()
    dates = replace(log, item_id=pd.date_range("2024-01-01", periods=log.n_items).to_numpy())
    with pytest.raises(InputError, match=r"item ids are of datetime64.*turn the column into text"):
        save_recommender(tiny.recommender(), dates, tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_settings_of_numpy_numbers_round_trip_and_a_watcher_is_left_out():
    trainer = GroupedTrainer(rule="pcgrad", epochs=np.int64(3), lr=np.float64(0.1), progress=print)
    given = RecommenderSettings(loss=Loss("pointwise", 4), trainer=trainer, width=np.int32(8), plugin_trainer=None)
    back = settings_of(json.loads(json.dumps(plain_settings(given))))
    assert back == replace(given, trainer=replace(trainer, progress=None))


def test_a_rule_given_as_an_object_is_refused_and_its_name_is_the_mend(tmp_path: Path):
    own = tiny.recommender()
    named = replace(own, settings=replace(own.settings, trainer=replace(tiny.FEW, rule=rule("pcgrad"))))
    with pytest.raises(InputError, match=r"settings\.trainer\.rule is Rule\(.*put settings with the name there"):
        save_recommender(named, tiny.log(), tmp_path / "r")
    mended = replace(named, settings=replace(own.settings, trainer=replace(tiny.FEW, rule="pcgrad")))
    assert save_recommender(mended, tiny.log(), tmp_path / "r").is_dir()


def test_a_log_of_other_numbers_is_refused(tmp_path: Path):
    other = Interactions.from_frame(tiny.frame(59), order="t")
    with pytest.raises(InputError, match="fitted on 60 users and this log has 59"):
        save_recommender(tiny.recommender(), other, tmp_path / "r")


def test_a_changed_file_is_refused(tmp_path: Path):
    folder = save_recommender(tiny.recommender(), tiny.log(), tmp_path / "r")
    path = folder / "arrays.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="its checksum differs"):
        load_recommender(folder)


CHANGES = {
    "another net": lambda saved: saved["settings"].update(width=5),
    "other items": lambda saved: saved.update(
        items=saved["strata"]["group"] and {"numbers": saved["memory"]["weight"]}
    ),
    "no memory arrays": lambda saved: saved["memory"].update(indices=saved["memory"]["indptr"]),
    "no strata": lambda saved: saved.pop("strata"),
    "no calibration": lambda saved: saved["calibration"].update(slope=None),
}


@pytest.mark.parametrize("case", CHANGES)
def test_an_index_that_does_not_fit_its_arrays_is_damaged(case: str, tmp_path: Path):
    folder = save_recommender(tiny.recommender(), tiny.log(), tmp_path / "r")
    index = json.loads((folder / "recommender.json").read_text())
    CHANGES[case](index["recommender"])
    (folder / "recommender.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="is damaged: its parts do not make a recommender"):
        load_recommender(folder)


def test_what_is_not_a_saved_recommender_is_left_alone(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match="is not a saved recommender alone"):
        save_recommender(tiny.recommender(), tiny.log(), tmp_path)
    with pytest.raises(InputError, match="holds no saved recommender"):
        load_recommender(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
