"""Deciding, on arrays alone: problems, their frontiers and limits, and the certified decision."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def _compiled_code_needs_a_folder() -> None:
    """Where neither this package nor the home folder is writable, compiled loops are kept for this process only."""
    folders = [Path(__file__).parent, Path.home() if os.environ.get("HOME") else Path(__file__).parent]
    if not os.environ.get("NUMBA_CACHE_DIR") and not any(os.access(folder, os.W_OK) for folder in folders):
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="earmark-")


_compiled_code_needs_a_folder()
