"""A plan in an address: its TOML, compressed, in letters that a URL may hold; never trusted when it comes back."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import replace
from pathlib import Path

from allocation.jobs.plan import Plan, parse_plan, plan_text
from uplift.errors import InputError

MOST_LETTERS = 12_000  # of the code: browsers and servers cut longer addresses
MOST_TEXT = 1 << 18  # bytes that may come out of them
WHERE = "the plan in the address"
MEND = "copy the whole address again, or open the page without plan=..."


def plan_code(plan: Plan) -> str | None:
    """The plan as letters, digits, - and _; None where it would be longer than an address can be.

    The folders of the table stay out: an address is passed on, and whoever opens it has the run's own table.
    """
    table = "responses" if plan.responses is None else Path(plan.responses).name or "responses"
    text = plan_text(replace(plan, responses=table, model=None, features=None))
    packed = zlib.compress(text.encode(), 9)
    code = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return code if len(code) <= MOST_LETTERS else None


def plan_of_code(code: str) -> Plan:
    """The plan that `plan_code` wrote; its table is a name only.

    Raises InputError for a code that is too long, cut short or otherwise no code, that would unpack to more than
    MOST_TEXT bytes, and as `parse_plan` does.
    """
    if len(code) > MOST_LETTERS:
        raise InputError(f"{WHERE} has {len(code):,} letters; at most {MOST_LETTERS:,} are expected: {MEND}")
    try:
        packed = base64.b64decode(code.encode("ascii") + b"=" * (-len(code) % 4), altchars=b"-_", validate=True)
        opened = zlib.decompressobj()
        text = opened.decompress(packed, MOST_TEXT + 1)
        if len(text) > MOST_TEXT:
            raise InputError(f"{WHERE} unpacks to more than {MOST_TEXT:,} bytes; no plan is that long: {MEND}")
        if not opened.eof or opened.unused_data:
            raise InputError(f"{WHERE} is cut short, or something hangs on to it; {MEND}")
        return parse_plan(text.decode("utf-8"), WHERE)
    except (UnicodeError, binascii.Error, zlib.error):
        raise InputError(f"{WHERE} is no plan: letters of it are lost or changed; {MEND}") from None
