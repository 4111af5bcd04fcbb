"""What a command sets for its whole process: how large arrays go back to the system, and how it ends."""

from __future__ import annotations

import atexit
import ctypes
import gc
from contextlib import suppress

MMAP_THRESHOLD, LARGE = -3, 4 << 20  # of glibc's mallopt: arrays of so many bytes are mapped each for itself


def settle_process() -> None:
    """Give back large arrays as they go, so that memory does not grow with the blocks read; end without a search.

    glibc raises its threshold as arrays are freed, and then keeps them in heaps that creep upwards; elsewhere nothing
    is set. At its end Python would look for cycles in all that libraries hold, which takes half a second.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE)
    atexit.register(gc.freeze)
