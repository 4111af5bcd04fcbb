"""Save a fitted policy into a folder and load it: what it decides afterwards is the same to the byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Protocol

from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator

from allocation.policies.base import ArmMeans, Policy
from uplift.errors import InputError, nearest
from uplift.learners.encode import Parts, decode, encode
from uplift.learners.ids import decode_ids, encode_ids
from uplift.learners.store import Form, check_target, read_folder, write_folder
from uplift.seen import Seen

FORM = Form("policy.json", "policy")


class SavedPolicy(Policy, Protocol):
    """A policy that came out of a folder: it still knows whom it was fitted on."""

    users_: Seen


@dataclass(frozen=True)
class Kind:
    """Where a class of policies lives, and what its `fit` leaves: the attributes saved beside the arguments."""

    module: str
    fitted: tuple[str, ...]


_RULE = Kind("allocation.policies.baselines", ("arms_", "users_", "means_"))
_MODEL = ("arms_", "users_", "features_", "learner_")
POLICIES = {
    "Nobody": _RULE,
    "RandomArm": _RULE,
    "BestSingleArm": _RULE,
    "BestMix": _RULE,
    "OutcomeTargeting": Kind(_RULE.module, (*_MODEL, "single_")),
    "TwoStage": Kind("allocation.policies.two_stage", _MODEL),
    "EndToEnd": Kind("allocation.policies.end_to_end", (*_MODEL, "prior_", "result_")),
}
# Records of plain amounts and words that a fit may leave; Seen has a form of its own, for millions of ids.
RECORDS = {
    "ArmMeans": "allocation.policies.base",
    "Difference": "allocation.policies.gate",
    "TuningResult": "allocation.policies.tuning_result",
}


def save_policy(policy: Policy, folder: str | Path, *, beside: Mapping[str, bytes] | None = None) -> Path:
    """Write a fitted policy of this package into a folder; the folder.

    `policy.json` holds the class, its arguments, the small state and a checksum of every other file: what
    `uplift.learners.save` writes for a learner, and the users whom it was fitted on, so that `evaluate` still refuses
    them. `beside` are further files by name, kept and checked with the rest. After `load_policy` it decides the same
    to the byte. A folder that holds a saved policy and nothing else is replaced as a whole, any other is left alone.

    Raises InputError for a policy that is not fitted, of a class of the user's own, or with a learner that would need
    pickle, and for a folder with other things in it or that cannot be written.
    """
    _check_savable(policy)
    target, parts = check_target(folder, FORM), Parts()
    write_folder(target, FORM, _encode(policy, parts), parts, _decode_policy, beside)
    return target


def load_policy(folder: str | Path, *, trusted: Sequence[str] = ()) -> SavedPolicy:
    """The fitted policy that its `save(folder)` wrote; it decides the same to the byte.

    Parameters
    ----------
    folder : where `save` wrote it: `policy.json`, and files that it names with their checksums.
    trusted : names of further types that may be built, for bases of other packages; as in `uplift.learners.load`.

    Nothing in the folder is run as code. `users_`, whom it was fitted on, come with it, so that `evaluate` still
    refuses them; who watched its fit (`progress`) does not.

    Raises InputError for a folder without a saved policy, a missing, changed or damaged file, and types that are not
    trusted.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from allocation import BestMix
    >>> from uplift import synthetic
    >>> train, new = synthetic.simulate(1_000, seed=0).campaign.split(0.5, seed=0)
    >>> policy = BestMix().fit(train)
    >>> with TemporaryDirectory() as folder:
    ...     loaded = load_policy(policy.save(folder))
    >>> bool((loaded.decide(new.X, 100.0).decision == policy.decide(new.X, 100.0).decision).all())
    True
    """
    policy: SavedPolicy = read_folder(folder, FORM, _decode_policy, trusted)
    return policy


def _check_savable(policy: Any) -> None:
    name = type(policy).__name__
    if name not in POLICIES or type(policy) is not _class(name):
        raise InputError(
            f"a {name} cannot be saved: it is no policy of this package ({', '.join(POLICIES)}), and a class of your "
            "own would have to be built from its code; save what it learned yourself"
        )
    if any(not hasattr(policy, key) for key in POLICIES[name].fitted):
        raise InputError(f"this {name} is not fitted; call .fit(campaign) before it is saved")


def _class(name: str) -> Any:
    return getattr(import_module(POLICIES[name].module), name)


def _encode(value: Any, parts: Parts) -> Any:
    """What policies hold beyond a learner's own: policies, frozen learners, records and users, as JSON and arrays."""
    name = type(value).__name__
    if name in POLICIES and type(value) is _class(name):
        state = {key: _encode(getattr(value, key), parts) for key in POLICIES[name].fitted}
        return {"kind": "policy", "class": name, "params": _params(value, parts), "state": state}
    if isinstance(value, FrozenEstimator):
        return {"kind": "frozen", "estimator": encode(value.estimator, parts)}
    if isinstance(value, Seen):
        return {"kind": "users", "ids": encode_ids(value.user_id, parts), "source": value.source}
    if name in RECORDS and type(value).__module__ == RECORDS[name]:
        items = {f.name: _encode(getattr(value, f.name), parts) for f in fields(value)}
        return {"kind": "fields", "class": name, "items": items}
    return encode(value, parts)


def _params(policy: Policy, parts: Parts) -> dict[str, Any]:
    """The arguments of the constructor; a learner among them as it was given, not as somebody fitted it."""
    given = {name: getattr(policy, name) for name in signature(type(policy)).parameters}
    if "progress" in given:
        given["progress"] = None  # who watched the fit is no part of the policy
    plain = {name: clone(value) if isinstance(value, BaseEstimator) else value for name, value in given.items()}
    return {name: _encode(value, parts) for name, value in plain.items()}


def _decode_policy(value: Any, parts: Parts, trusted: tuple[str, ...]) -> Any:
    """The policy, if that is what was saved."""
    policy = _decode(value, parts, trusted)
    if type(policy).__name__ not in POLICIES:
        raise InputError("policy.json holds no policy; save the policy anew")
    return policy


def _decode(value: Any, parts: Parts, trusted: tuple[str, ...]) -> Any:
    """What `_encode` was given; only classes named here and in `uplift.learners` are ever built."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "policy":
        return _build(value, parts, trusted)
    if kind == "frozen":
        return FrozenEstimator(decode(value["estimator"], parts, trusted))
    if kind == "users":
        return Seen(decode_ids(value["ids"], parts), str(value["source"]))
    if kind == "fields":
        record = getattr(import_module(RECORDS[value["class"]]), value["class"])
        return record(**{key: _decode(item, parts, trusted) for key, item in value["items"].items()})
    return decode(value, parts, trusted)


def _build(value: dict[str, Any], parts: Parts, trusted: tuple[str, ...]) -> Any:
    name = value["class"]
    if name not in POLICIES:
        raise InputError(f"the saved policy is a {name!r}, which is none of this version.{nearest(name, POLICIES)}")
    policy = _class(name)(**{key: _decode(item, parts, trusted) for key, item in value["params"].items()})
    state = {key: _decode(item, parts, trusted) for key, item in value["state"].items()}
    if set(state) != set(POLICIES[name].fitted):
        raise InputError(f"the saved {name} lacks a part of its fit, or has one too many; save the policy anew")
    _check_state(state)
    for key, item in state.items():
        setattr(policy, key, item)
    return policy


def _check_state(state: dict[str, Any]) -> None:
    """Refuse what no fit leaves: other types, or means of other arms; raises ValueError."""
    kinds = {"arms_": tuple, "features_": tuple, "users_": Seen, "means_": ArmMeans, "learner_": BaseEstimator}
    for key, kind in kinds.items():
        if key in state and not isinstance(state[key], kind):
            raise ValueError(f"{key} is a {type(state[key]).__name__}")
    means = state.get("means_")
    if means is not None and not len(means.value) == len(means.cost) == len(state["arms_"]):
        raise ValueError(f"{len(means.value)} means for {len(state['arms_'])} arms")
