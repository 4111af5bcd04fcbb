"""Settings of a recommender as JSON, and back; which ids of items can be kept."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError
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


def _plain(cell: Any, name: str) -> Any:
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or isinstance(cell, bool | int | float | str):
        return cell
    raise InputError(
        f"settings.{name} is {cell!r:.80}, an object that cannot be saved without pickle; a rule can by its "
        "name: put settings with the name there, dataclasses.replace(recommender, settings=...); no score changes"
    )
