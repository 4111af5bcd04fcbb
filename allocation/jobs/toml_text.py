"""A few kinds of values as TOML, which the standard library reads but does not write."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: object) -> str:
    """Text, a finite number, true or false, a list or a table of them, on one line; the same value, the same text.

    The keys of a table are sorted. Raises ValueError for anything else: TOML has no null.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)  # of a float it is always one of TOML: a point or an exponent, digits on both sides
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace(
            "\x7f", "\\u007f"
        )  # JSON's escapes are TOML's but for DEL
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping) and value:
        return f"{{ {', '.join(f'{toml_key(key)} = {toml_value(value[key])}' for key in sorted(value))} }}"
    if isinstance(value, Mapping):
        return "{}"
    raise ValueError(f"{value!r} has no form in TOML")


def toml_key(name: str) -> str:
    """A key, quoted where it must be."""
    return name if _BARE.fullmatch(name) else toml_value(name)
