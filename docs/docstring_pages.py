"""The house's docstrings as Markdown for the reference: sections as lists, examples as code, formulas left alone."""

from __future__ import annotations

import re
from typing import Any

import griffe

ITEM = re.compile(r"(?:^|(?<=[.;)] ))(\*{0,2}\w+(?:, \*{0,2}\w+)*) : ")
LISTED = ("Parameters", "Attributes")


class HouseDocstrings(griffe.Extension):
    """Rewrites every docstring before it is rendered."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """See `griffe.Extension`."""
        if not obj.is_alias and obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Underlined sections become bold words, `name : what it is` a list, a doctest a block of code."""
    blocks, section = [], ""
    text = re.sub(r"^(\w+)\n-{3,}$", r"\n**\1**\n", text, flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        block = block.strip("\n")
        named = re.fullmatch(r"\*\*(\w+)\*\*", block)
        if named:
            section = named[1]
        elif section in LISTED and ITEM.match(block):
            block = _as_list(block)
        elif block.startswith(">>> "):
            block = f"```pycon\n{block}\n```"
        blocks.append(block)
    return "\n\n".join(blocks)


def _as_list(block: str) -> str:
    joined = " ".join(line.strip() for line in block.split("\n"))
    starts = [*ITEM.finditer(joined)]
    ends = [*(found.start() for found in starts[1:]), len(joined)]
    return "\n".join(f"- `{m[1]}`: {joined[m.end() : end].strip()}" for m, end in zip(starts, ends, strict=True))
