"""What a run's decisions and bytes hang on, its id: plan, inputs, who was served, and the versions that decide."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

OWN = ("earmark", "numba", "numpy", "pyarrow")  # they solve, and write the files
MODELS = ("lightgbm", "scikit-learn", "torch")  # they predict


def versions(*, models: bool) -> dict[str, str]:
    """The version of each package that decides, and with `models` of each that predicts, as far as installed."""
    found = {}
    for name in (*OWN, *(MODELS if models else ())):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def run_id_of(own: Mapping[str, str], plan: str, inputs: Mapping[str, Any], spent: str | None) -> str:
    """The hash of versions, the plan's digest, the inputs' fingerprint, and the digest of who was served, if anybody.

    Runs of the same id write the same bytes. All of it stands in the manifest, so that an id can be computed again.
    """
    further = {} if spent is None else {"spent": spent}
    return hashlib.sha256(json.dumps([dict(own), plan, {**inputs, **further}], sort_keys=True).encode()).hexdigest()
