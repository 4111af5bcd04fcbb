"""Settings of a recommender and ids of its items as JSON and arrays, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError
from uplift.learners.encode import Parts
from uplift.recommender.grouped_trainer import GroupedTrainer
from uplift.recommender.losses import Loss
from uplift.recommender.recommender import RecommenderSettings

RECORDS: dict[str, Any] = {"loss": Loss, "trainer": GroupedTrainer, "plugin_trainer": GroupedTrainer}


def plain_settings(settings: RecommenderSettings) -> dict[str, Any]:
    """The settings as JSON; who watched the training is no part of them. Raises InputError for rules as objects."""
    plain: dict[str, Any] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in RECORDS and value is not None:
            inner = {f.name: getattr(value, f.name) for f in fields(value) if f.name != "progress"}
            plain[field.name] = {name: _plain(cell, f"{field.name}.{name}") for name, cell in inner.items()}
        else:
            plain[field.name] = _plain(value, field.name)
    return plain


def settings_of(plain: dict[str, Any]) -> RecommenderSettings:
    """The settings that `plain_settings` was given."""
    return RecommenderSettings(
        **{
            name: RECORDS[name](**value) if name in RECORDS and value is not None else value
            for name, value in plain.items()
        }
    )


def check_ids(ids: NDArray[Any], what: str) -> None:
    """Refuse ids that cannot be kept as they are: dates, bytes, decimals."""
    if ids.dtype.kind in "biuf" and ids.dtype.itemsize <= 8:
        return
    if ids.dtype.kind in "OU":
        other = [cell for cell in ids.tolist() if not isinstance(cell, str)]
        if not other:
            return
        kind = type(other[0]).__name__
    else:
        kind = str(ids.dtype)
    raise InputError(
        f"{what} ids are of {kind}, which cannot be saved as they are; whole numbers or text are expected: turn the "
        "column into text before the fit"
    )


def plain_ids(ids: NDArray[Any], parts: Parts) -> dict[str, str]:
    """Numbers as they are; text as the bytes of all ids, one after another, and where each ends."""
    if ids.dtype.kind in "biuf":
        return {"numbers": parts.add_array(ids)}
    text = [cell.encode("utf-8", "surrogatepass") for cell in ids.tolist()]
    ends = np.cumsum([len(one) for one in text], dtype=np.int64)
    return {"text": parts.add_array(np.frombuffer(b"".join(text), dtype=np.uint8)), "ends": parts.add_array(ends)}


def ids_of(saved: dict[str, str], parts: Parts) -> NDArray[Any]:
    """The ids that `plain_ids` was given, (V,); text as Python strings."""
    if "numbers" in saved:
        return parts.arrays[saved["numbers"]]
    text, ends = parts.arrays[saved["text"]].tobytes(), parts.arrays[saved["ends"]].tolist()
    ids = [text[start:end].decode("utf-8", "surrogatepass") for start, end in zip([0, *ends], ends, strict=False)]
    return np.array(ids, dtype=object)


def _plain(cell: Any, name: str) -> Any:
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or isinstance(cell, bool | int | float | str):
        return cell
    raise InputError(
        f"settings.{name} is {cell!r:.80}, an object that cannot be saved without pickle; a rule can by its "
        "name: put settings with the name there, dataclasses.replace(recommender, settings=...); no score changes"
    )
