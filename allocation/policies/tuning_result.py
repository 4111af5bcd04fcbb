"""What came of an end-to-end fit: which model decides, why, and what it took; in words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from allocation.policies.gate import EFFECTS, TUNED, TWO_STAGE, Difference
from uplift.words import counted

KEPT = {
    TUNED: "the net tuned for the decision",
    EFFECTS: "the net fitted to effects, before the decision phase",
    TWO_STAGE: "the two-stage net",
}


@dataclass(frozen=True)
class TuningResult:
    """How an `EndToEnd` policy was fitted.

    Attributes
    ----------
    users : of the log. kept : "tuned", "effects" (the warm start) or "two-stage": the model that decides.
    warm_start, scores, estimator : as asked for. budgets : money for all users of the log.
    level : of the intervals. gain : verified worth of the challenger less that of the two-stage net, a user, on
        held-out users; None without a gate. tuning : tuned less warm start, alike. over_control : the value that what
        decides adds over nobody treated, whatever it spends, alike.
    seconds : {phase: time}.
    """

    users: int
    kept: str
    warm_start: str
    scores: str
    estimator: str
    budgets: tuple[float, ...]
    level: float
    gain: Difference | None
    tuning: Difference | None
    over_control: Difference | None
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether an end-to-end model decides, and not the two-stage net."""
        return self.kept != TWO_STAGE

    @property
    def nothing_to_gain(self) -> bool:
        """Whether deciding at all is not distinguishable from treating nobody on the held-out users."""
        return self.over_control is not None and self.over_control.interval(self.level)[0] <= 0

    def __str__(self) -> str:
        total = sum(self.seconds.values())
        phases = ", ".join(f"{name} {time:.1f} s" for name, time in self.seconds.items())
        lines = [f"End-to-end on {self.users:,} users: {KEPT[self.kept]} decides ({total:.1f} s: {phases})."]
        if self.gain is None:
            lines.append("No gate was asked for: nothing says that it is no worse than the two-stage net.")
        else:
            verdict = "passed" if self.passed else "did not pass"
            budgets = counted(len(self.budgets), "budget")
            lines.append(
                f"The gate: the end-to-end net {verdict}. Verified on held-out users it is worth "
                f"{self._of(self.gain)} a user more than the two-stage net, mean over {budgets}, "
                "spend counted at the price."
            )
            if not self.passed:
                lines.append(
                    "Only an interval above zero lets it through; the two-stage net was fitted to all users."
                )
        if self.tuning is not None:
            lines.append(f"The decision phase itself: {self._of(self.tuning)} a user over its warm start.")
        if self.over_control is not None:
            lines.append(f"Value that what decides adds over treating nobody: {self._of(self.over_control)} a user.")
            if self.nothing_to_gain:
                lines.append(
                    "There is nothing to gain that this log can tell from zero: treating nobody may be as good."
                )
        return "\n".join(textwrap.fill(line, 78) for line in lines)

    def _of(self, difference: Difference) -> str:
        low, high = difference.interval(self.level)
        return f"{difference.mean:+.4g} [{low:+.4g}, {high:+.4g}]"
