"""The versions that a run's decisions and bytes hang on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

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
