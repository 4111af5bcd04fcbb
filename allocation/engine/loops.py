"""Compiled loops, loaded while files are read."""

from __future__ import annotations

from threading import Thread

import numpy as np

from allocation.engine.money import register_of


def load_loops_meanwhile() -> None:
    """Start to load what numba's compiled loops run on; the caller goes on, and need not wait.

    The first call of any loop takes half a second, whatever it computes: a job that reads its files first has it for
    nothing.
    """
    Thread(target=register_of, args=(np.empty(0),), name="earmark-loops").start()
