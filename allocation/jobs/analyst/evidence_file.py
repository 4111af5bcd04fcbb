"""The checks of a run as a file: JSON, the same bytes for the same checks."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from allocation.jobs.analyst.evidence import Checks
from allocation.jobs.folder import reason
from uplift.errors import InputError

DIGITS = 10  # significant, of what is kept


def checks_text(checks: Checks) -> str:
    """The checks as JSON; NaN and infinities are their names, "NaN" and "Infinity"."""
    return json.dumps(_plain(asdict(checks)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_checks(file: Path, arms: tuple[str, ...], users: int) -> Checks | None:
    """The checks in a file, None where there is none; InputError for a file that holds no checks of these users."""
    if not file.is_file():
        return None
    again = "run `earmark demo` again"
    try:
        found = _adapter().validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file} cannot be read: {reason(error)}; see to it that it may be") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise InputError(f"{file} holds no checks of a run ({where}: {first['msg']}); {again}") from None
    if found.arms != arms or found.users != users:
        raise InputError(
            f"{file} holds the checks of {found.users:,} users and the arms {', '.join(found.arms)}; this run has "
            f"{users:,} and {', '.join(arms)}: {again}"
        )
    return found


@cache
def _adapter() -> TypeAdapter[Checks]:
    return TypeAdapter(Checks)


def _plain(cell: Any) -> Any:
    if isinstance(cell, dict):
        return {key: _plain(inner) for key, inner in cell.items()}
    if isinstance(cell, list | tuple):
        return [_plain(inner) for inner in cell]
    if isinstance(cell, float):
        if math.isfinite(cell):
            return float(f"{cell:.{DIGITS}g}")
        return "NaN" if math.isnan(cell) else "Infinity" if cell > 0 else "-Infinity"
    return cell
