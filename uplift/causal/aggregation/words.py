"""How the groups got on, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uplift.words import counted, wrapped


def in_words(
    what: str, losses: NDArray[np.float64], cosines: NDArray[np.float64], filtered: NDArray[np.float64]
) -> str:
    """A line a group (the first 20), and how many pairs of groups are in conflict."""
    pairs = cosines[np.triu_indices(len(losses), k=1)]
    pairs = pairs[~np.isnan(pairs)]
    lines = [wrapped(what), f"{'group':>7}{'loss':>14}{'left out on':>14}{'lowest cosine':>16}"]
    for i in range(min(len(losses), 20)):
        others = np.delete(cosines[i], i)
        others = others[~np.isnan(others)]
        lowest = f"{others.min():.3f}" if len(others) else "-"
        if np.isnan(losses[i]):
            lines.append(f"{i:>7}{'no rows':>14}")
        else:
            lines.append(f"{i:>7}{losses[i]:>14.6g}{filtered[i]:>14.1%}{lowest:>16}")
    if len(losses) > 20:
        lines.append(f"    and {len(losses) - 20:,} more")
    conflict = "no pair of groups shares a parameter"
    if len(pairs):
        against = int((pairs < 0).sum())
        conflict = f"{against:,} of {counted(len(pairs), 'pair')} of groups in conflict (cosine below 0)"
    return "\n".join([*lines, conflict])
