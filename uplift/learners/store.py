"""Save a fitted learner into a folder and load it: JSON, safetensors, LightGBM's text and skops, never pickle.

`Form`, `check_target`, `write_folder` and `read_folder` do the same for whatever else holds a learner.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import skops.io
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from uplift.errors import InputError
from uplift.files import expanded
from uplift.learners.encode import Parts, decode, encode

FORMAT = 1
ARRAYS = "arrays.safetensors"

# What `encode` made and the parts beside it, with the types that may be built, to the thing itself.
Decode = Callable[[Any, Parts, tuple[str, ...]], Any]


@dataclass(frozen=True)
class Form:
    """A kind of folder: the name of the JSON file that says what is in it, and what messages call its content."""

    index: str
    noun: str


MODEL = Form("model.json", "model")


def save(model: BaseEstimator, folder: str | Path) -> Path:
    """Write a fitted learner, or a pipeline that ends in one, into a folder; the folder.

    `model.json` holds the parameters, the small state and a checksum of every other file: `arrays.safetensors`,
    LightGBM's text files, and skops files for other scikit-learn models. The same model gives the same predictions,
    to the bit, after `load`; it is read back once before anything is written. A folder that holds a saved model and
    nothing else is replaced as a whole, any other is left alone; if the process dies between two renames, the old
    model stands beside it as `.NAME-...-old`.

    Raises InputError for a model that would need pickle, for a folder with other things in it or that cannot be
    written, and scikit-learn's NotFittedError.
    """
    check_is_fitted(model)
    target = check_target(folder, MODEL)
    parts = Parts()
    write_folder(target, MODEL, encode(model, parts), parts, decode)
    return target


def load(folder: str | Path, *, trusted: Sequence[str] = ()) -> Any:
    """The learner, or pipeline, that `save` wrote; it predicts what that one did, to the bit.

    `trusted` names further types that may be built, for bases of other packages and for scikit-learn's compiled
    trees (`sklearn.tree._tree.Tree`). Nothing in the folder is run as code; what is known are scikit-learn's plain
    estimators, LightGBM's trees, EconML's forests and lines, and our nets. Trees and forests are checked node by
    node. Misleads as a wall: scikit-learn's own compiled models (support vectors) trust their arrays.

    Raises InputError for a folder without a saved model, a missing, changed or damaged file, and types that are not
    trusted.
    """
    model = read_folder(folder, MODEL, decode, trusted)
    if not isinstance(model, BaseEstimator):
        raise InputError(f"{folder} holds {model!r}, no model; save the model anew")
    return model


def check_target(folder: str | Path, form: Form) -> Path:
    """The folder to write to, links and `~` followed; refuses to replace anything but one of this form, alone."""
    target = expanded(folder).resolve()
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return target
    try:
        index = json.loads((target / form.index).read_bytes())
        ours = {form.index, *index["files"]} == {path.name for path in target.iterdir()} and "format" in index
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise InputError(f"{target} exists and is not a saved {form.noun} alone; give a new or empty folder")
    return target


def write_folder(
    target: Path, form: Form, content: Any, parts: Parts, decode: Decode, beside: Mapping[str, bytes] | None = None
) -> None:
    """Write what `check_target` allowed: the content as JSON, its parts, and further files `beside` them.

    The whole is read back with `decode` before anything is written, and replaces what stood there at once or not at
    all. Raises InputError for content that could not be loaded again, and where the file system refuses.
    """
    files = {ARRAYS: save_arrays(parts.arrays), **parts.files}
    _read_back(content, files, form, decode)
    files |= beside or {}
    index = {
        "format": FORMAT,
        "earmark": version("earmark"),
        form.noun: content,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    try:
        _replace(target, {**files, form.index: json.dumps(index, indent=1).encode()})
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}; what stood there is kept") from None


def _read_back(content: Any, files: dict[str, bytes], form: Form, decode: Decode) -> None:
    """Refuse to write what could not be loaded again, such as a base with a function of the user's inside."""
    others = {name: data for name, data in files.items() if name != ARRAYS}
    known = [skops.io.get_untrusted_types(data=data) for name, data in others.items() if name.endswith(".skops")]
    try:
        decode(json.loads(json.dumps(content)), Parts(load_arrays(files[ARRAYS]), others), tuple(chain(*known)))
    except (AttributeError, TypeError, ValueError, ImportError) as error:
        raise InputError(f"the {form.noun} could not be loaded again ({error}); it cannot be saved") from None


def read_folder(folder: str | Path, form: Form, decode: Decode, trusted: Sequence[str] = ()) -> Any:
    """What `decode` makes of a folder of this form, once every file in it is the one that was saved.

    Raises InputError for a folder of another kind, a missing, changed or damaged file, one that was not saved with
    the rest or is a link out of the folder, and types that are not trusted.
    """
    source = expanded(folder)
    if not (source / form.index).is_file():
        raise InputError(f"{source} holds no saved {form.noun} (no {form.index}); give the folder that `save` wrote")
    try:
        index = json.loads((source / form.index).read_bytes())
        written, sums, content = index["format"], dict(index["files"]), index[form.noun]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{source / form.index} is damaged or of another program; save the {form.noun} anew"
        ) from None
    if written != FORMAT:
        raise InputError(f"{source} is of format {written!r}; this version reads {FORMAT}: save the {form.noun} anew")
    _check_names(source, {form.index, *map(str, sums)}, form)
    files = {name: _checked_file(source, name, digest, form) for name, digest in sums.items()}
    try:
        return decode(content, Parts(load_arrays(files.pop(ARRAYS)), files), tuple(trusted))
    except InputError:
        raise
    except (KeyError, SafetensorError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        raise InputError(
            f"{source} is damaged: its parts do not make a {form.noun} ({type(error).__name__}: {error}); "
            "save it anew"
        ) from None


def _replace(target: Path, files: dict[str, bytes]) -> None:
    """All files in a folder beside the target, on the disk, then two renames; the old one goes last."""
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    staging, aside = (target.with_name(f".{target.name}-{mark}-{word}") for word in ("new", "old"))
    staging.mkdir()
    try:
        for name, data in files.items():
            with (staging / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if target.exists():
            target.rename(aside)
            try:
                staging.rename(target)
            except BaseException:
                aside.rename(target)
                raise
        else:
            staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _check_names(folder: Path, known: set[str], form: Form) -> None:
    """Refuse a folder in which anything lies that was not saved with the rest, or lies elsewhere in truth."""
    try:
        found = {path.name: path for path in sorted(folder.iterdir())}
        strays = [name for name in found if name not in known]
        away = [
            name for name, path in found.items() if path.is_symlink() and path.resolve().parent != folder.resolve()
        ]
    except (OSError, RuntimeError) as error:  # a loop of links is either
        raise InputError(f"{folder} cannot be read: {error}; save the {form.noun} anew") from None
    if strays:
        more = f" and {len(strays) - 1:,} more" if len(strays) > 1 else ""
        raise InputError(
            f"{folder} holds {strays[0]!r}{more}, not saved with the {form.noun} ({form.index} does not list it); "
            "move it elsewhere"
        )
    if away:
        raise InputError(f"{folder / away[0]} is a link out of the folder; put the file that was saved in its place")


def _checked_file(folder: Path, name: str, digest: str, form: Form) -> bytes:
    """The file's bytes, if they are those that were saved."""
    path = folder / str(name)
    if Path(name).name != name or not path.is_file():
        raise InputError(f"{folder} lacks the file {name!r} of its {form.noun}; copy the whole folder")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{path} is not the file that was saved (its checksum differs); copy it again")
    return data
