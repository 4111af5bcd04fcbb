"""An SVG picture of the light page in the colours of the dark one, without building and drawing it anew."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Inside a tag only: in text, where names of the log stand, < and > are escaped and quotation marks are not.
PAINTED = re.compile(r'\b(fill|stroke)="(#[0-9a-fA-F]{6})"(?=[^<>]*>)')


def recoloured(drawing: str, colours: Mapping[str, str]) -> str:
    """The SVG text with each painted colour that is a key of `colours` replaced; text of the log is left alone."""
    return PAINTED.sub(lambda found: f'{found[1]}="{colours.get(found[2], found[2])}"', drawing)
