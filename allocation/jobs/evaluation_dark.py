"""A picture of the light page in the colours of the dark one, without building and drawing it anew."""

from __future__ import annotations

import re
from typing import Any

from allocation.jobs.charts import THEMES
from allocation.jobs.evaluation_page import DARK, LIGHT
from allocation.jobs.recolour import recoloured

DARKER = dict(zip(LIGHT, DARK, strict=True)) | {THEMES["light"][of]: THEMES["dark"][of] for of in THEMES["light"]}
COLOURED = re.compile("color$|Color$|^background$")


def dark_spec(spec: Any) -> Any:
    """The Vega-Lite specification of a light picture as that of the dark one; text of the log is left alone."""
    if isinstance(spec, dict):
        return {
            key: DARKER.get(part, part) if isinstance(part, str) and COLOURED.search(key) else dark_spec(part)
            for key, part in spec.items()
        }
    return [dark_spec(part) for part in spec] if isinstance(spec, list) else spec


def dark_svg(drawing: str) -> str:
    """The SVG text of a light picture as that of the dark one."""
    return recoloured(drawing, DARKER)
