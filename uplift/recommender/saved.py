"""Save a fitted recommender into a folder and load it: JSON and safetensors, never pickle, the same scores after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from uplift.errors import InputError
from uplift.learners.encode import Parts
from uplift.learners.ids import decode_ids, encode_ids
from uplift.learners.store import Form, check_target, read_folder, write_folder
from uplift.recommender.backbones import backbone
from uplift.recommender.engagement import Calibration
from uplift.recommender.gate import Gate
from uplift.recommender.interactions import Interactions
from uplift.recommender.log_split import SplitBy, log_fingerprint
from uplift.recommender.memory import Memory
from uplift.recommender.plugins import Plugins
from uplift.recommender.recommender import Recommender
from uplift.recommender.saved_parts import check_ids, plain_settings, settings_of
from uplift.recommender.strata import Strata

FORM = Form("recommender.json", "recommender")
STRATA = ("group", "head", "activeness")
GATE = ("difference", "standard_error", "low", "queries", "passed")
COUNTS = ("data", "indices", "indptr")


@dataclass(frozen=True, eq=False)
class SavedRecommender:
    """A recommender that came out of a folder, and what is needed to use it on a log.

    Attributes
    ----------
    recommender : without the records of its training; scores are those of the one that was saved, to the bit.
    item_id : (V,), code v is `item_id[v - 1]`; as in the log, numbers as numbers of the same type and text as text.
    split : how the log was split.
    fingerprint : of the log that it was fitted on; see `log_fingerprint`.
    """

    recommender: Recommender
    item_id: NDArray[Any]
    split: SplitBy
    fingerprint: str

    def check_log(self, log: Interactions) -> None:
        """Raise InputError for any other log than the one it was fitted on, whose test events it has not seen."""
        if log_fingerprint(log) != self.fingerprint:
            raise InputError(
                f"the log ({log!r}) is not the one that the recommender was fitted on, so which of its events it has "
                "seen is not known; give the same file (ids in a CSV file are text), columns and order of rows"
            )


def save_recommender(
    recommender: Recommender,
    log: Interactions,
    folder: str | Path,
    *,
    split: SplitBy | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a fitted recommender into a folder, with the items of the `log` that it was fitted on; the folder.

    `recommender.json` holds the settings and a checksum of every other file, `arrays.safetensors` the nets, the
    memory, the strata, what the gates saw, and the ids of the items. Users are kept as groups in the order of the
    log, without their ids. `split` is how the log was split, None is leave last out; `beside` are further files by
    name. A folder that holds a saved recommender and nothing else is replaced as a whole, any other is left alone.

    Raises InputError for a log with other numbers of users or items, for ids that are neither numbers nor text, for
    a rule that was given as an object, and for a folder with other things in it or that cannot be written.
    """
    r = recommender
    for what, mine, theirs in (
        ("items", r.net.n_items, log.n_items),
        ("users", len(r.strata), log.n_users),
    ):
        if mine != theirs:
            raise InputError(
                f"the recommender was fitted on {mine:,} {what} and this log has {theirs:,}; give the log of the fit"
            )
    check_ids(log.item_id, "item")
    target, parts = check_target(folder, FORM), Parts()
    content = {
        "settings": plain_settings(r.settings),
        "items": encode_ids(log.item_id, parts),
        "net": _state(r.net, parts),
        "strata": _arrays(r.strata, STRATA, parts) | {"names": list(r.strata.names), "note": r.strata.note},
        "plugins": None if r.plugins is None else _state(r.plugins, parts),
        "memory": None if r.memory is None else _memory_arrays(r.memory, parts),
        "gates": {
            name: _arrays(gate, GATE, parts) | {"epsilon": gate.epsilon, "level": gate.level}
            for name, gate in r.gates.items()
        },
        "popularity": parts.add_array(r.popularity),
        "calibration": None if r.calibration is None else asdict(r.calibration),
        "split": vars(SplitBy() if split is None else split),
        "log": log_fingerprint(log),
    }
    write_folder(target, FORM, content, parts, _decode, beside)
    return target


def load_recommender(folder: str | Path) -> SavedRecommender:
    """The recommender that `save_recommender` wrote.

    Nothing in the folder is run as code. Raises InputError for a folder without a saved recommender and for a
    missing, changed or damaged file.
    """
    saved: SavedRecommender = read_folder(folder, FORM, _decode)
    return saved


def _decode(content: Any, parts: Parts, _trusted: tuple[str, ...] = ()) -> SavedRecommender:
    s = settings_of(content["settings"])
    item_id = decode_ids(content["items"], parts)
    net = backbone(s.backbone, len(item_id), width=s.width, length=s.length, dropout=s.dropout, seed=s.seed)
    _fill(net, content["net"], parts)
    of_strata = content["strata"]
    strata = Strata(
        **{name: parts.arrays[of_strata[name]] for name in STRATA},
        names=tuple(of_strata["names"]),
        note=str(of_strata["note"]),
    )
    if not len(strata.group) == len(strata.head) == len(strata.activeness):
        raise ValueError("strata of different numbers of users")
    plugins = None
    if content["plugins"] is not None:
        plugins = Plugins(strata.n_groups, s.width, s.bottleneck, s.seed)
        _fill(plugins, content["plugins"], parts)
        plugins.eval()
    memory = None
    if content["memory"] is not None:
        memory = _memory(content["memory"], parts, len(item_id))
        if len(memory.weight) != strata.n_groups:
            raise ValueError(f"{len(memory.weight)} weights of the memory for {strata.n_groups} groups")
    gates = {name: _gate(of_gate, parts) for name, of_gate in content["gates"].items()}
    popularity = parts.arrays[content["popularity"]]
    if popularity.shape != (len(item_id),):
        raise ValueError(f"popularity of {popularity.shape} for {len(item_id)} items")
    calibration = content["calibration"]
    fitted = Recommender(
        settings=s,
        net=net.eval(),
        strata=strata,
        plugins=plugins,
        memory=memory,
        gates=gates,
        popularity=popularity,
        calibration=None if calibration is None else Calibration(**calibration),
    )
    return SavedRecommender(fitted, item_id, SplitBy(**content["split"]), str(content["log"]))


def _arrays(record: object, names: tuple[str, ...], parts: Parts) -> dict[str, Any]:
    return {name: parts.add_array(np.asarray(getattr(record, name))) for name in names}


def _gate(saved: dict[str, Any], parts: Parts) -> Gate:
    arrays = {name: parts.arrays[saved[name]] for name in GATE}
    return Gate(**arrays, epsilon=float(saved["epsilon"]), level=float(saved["level"]))


def _memory_arrays(memory: Memory, parts: Parts) -> dict[str, str]:
    arrays = {"weight": memory.weight} | {name: getattr(memory.counts, name) for name in COUNTS}
    return {name: parts.add_array(array) for name, array in arrays.items()}


def _memory(saved: dict[str, str], parts: Parts, n_items: int) -> Memory:
    counts = sparse.csr_array(tuple(parts.arrays[saved[name]] for name in COUNTS), shape=(n_items + 1, n_items))
    counts.check_format(full_check=True)
    return Memory(counts, parts.arrays[saved["weight"]])


def _state(module: nn.Module, parts: Parts) -> dict[str, str]:
    return {name: parts.add_array(tensor.cpu().numpy()) for name, tensor in module.state_dict().items()}


def _fill(module: nn.Module, keys: dict[str, str], parts: Parts) -> None:
    """Put the saved arrays into the module; raises ValueError where they are not its own."""
    try:
        module.load_state_dict({name: torch.from_numpy(parts.arrays[key].copy()) for name, key in keys.items()})
    except RuntimeError as error:
        raise ValueError(str(error).strip().splitlines()[-1].strip()) from None
