"""Ids beside a saved model: numbers as numbers of their type, text as text, without pickle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.learners.encode import Parts


def encode_ids(ids: NDArray[Any], parts: Parts) -> dict[str, str]:
    """Numbers (n,) as they are; text as the bytes of all ids, one after another, and where each ends."""
    if ids.dtype.kind in "biuf":
        return {"numbers": parts.add_array(ids)}
    text = [str(cell).encode("utf-8", "surrogatepass") for cell in ids.tolist()]
    ends = np.cumsum([len(one) for one in text], dtype=np.int64)
    return {"text": parts.add_array(np.frombuffer(b"".join(text), dtype=np.uint8)), "ends": parts.add_array(ends)}


def decode_ids(saved: dict[str, str], parts: Parts) -> NDArray[Any]:
    """The ids that `encode_ids` was given, (n,); text as Python strings."""
    if "numbers" in saved:
        return parts.arrays[saved["numbers"]]
    text, ends = parts.arrays[saved["text"]].tobytes(), parts.arrays[saved["ends"]].tolist()
    starts = [0, *ends[:-1]][: len(ends)]
    ids = [text[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)]
    return np.array(ids, dtype=object)
