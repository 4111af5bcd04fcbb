"""Who takes part in the end-to-end comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from allocation.policies.base import Policy
from allocation.policies.baselines import BestMix, BestSingleArm
from tests.benchmarks.end_to_end_cases import Case
from tests.benchmarks.end_to_end_policies import (
    USUAL,
    alone,
    alone_end_to_end,
    both,
    end_to_end,
    hidden,
    net,
    paper,
    pooled,
    ranker,
    two_stage,
    warm_start_alone,
)
from uplift.learners import DCL, DRP, CausalForest, DirectRank, DRLearner, SLearner

SLOW_SEEDS = 5
FOREST_ROWS = 50_000
NET, LARGE, RANKERS = "two-stage net", "two-stage large net", ("DRM", "DRP", "DCL")
END_TO_END, UNGATED, PAPER = "end-to-end", "end-to-end without gate", "end-to-end IPW"
WARM_START = "warm start alone"


@dataclass(frozen=True)
class Method:
    """`fit(case)` gives the fitted policy; `slow` ones take the first five seeds; `regime` is the only one it is for.

    `rows` is the most rows of the log that it is fitted on.
    """

    name: str
    fit: Callable[[Case], Policy]
    slow: bool = False
    regime: str | None = None
    rows: int | None = None

    def takes_part(self, regime: str, seed: int, rows: int) -> bool:
        """Whether it has a row there."""
        if regime == "confounded_plus_rct" or self.regime:
            return self.regime == regime
        same_net = self.name == LARGE and hidden(regime, rows) == USUAL
        return not same_net and (not self.slow or seed < SLOW_SEEDS)


METHODS = (
    Method("best single arm", lambda case: BestSingleArm(case.seed).fit(case.log)),
    Method("best mix", lambda case: BestMix(case.seed).fit(case.log)),
    Method(NET, two_stage(net)),
    Method("two-stage monotone net", two_stage(lambda case: net(case, monotone="value"))),
    Method(LARGE, two_stage(lambda case: net(case, hidden=USUAL))),
    Method("two-stage LightGBM", two_stage(lambda case: SLearner(seed=case.seed))),
    Method("two-stage LightGBM DR", two_stage(lambda case: DRLearner(seed=case.seed))),
    Method(
        "two-stage causal forest",
        two_stage(lambda case: CausalForest(seed=case.seed), FOREST_ROWS),
        slow=True,
        rows=FOREST_ROWS,
    ),
    Method("DRM", ranker(DirectRank)),
    Method("DRP", ranker(DRP)),
    Method("DCL", ranker(DCL)),
    Method("DRM, student's net", ranker(DirectRank, same_net=True), regime="small_student"),
    Method("DRP, student's net", ranker(DRP, same_net=True), regime="small_student"),
    Method("DCL, student's net", ranker(DCL, same_net=True), regime="small_student"),
    Method(WARM_START, warm_start_alone),
    Method(END_TO_END, end_to_end()),
    Method(UNGATED, end_to_end(gate=False)),
    Method("end-to-end without gate, nes", end_to_end(gate=False, estimator="nes"), slow=True),
    Method("end-to-end without gate, finite difference", end_to_end(gate=False, estimator="finite_difference")),
    Method("end-to-end without gate, improved fd", end_to_end(gate=False, estimator="improved_fd")),
    Method(PAPER, end_to_end(**paper("softmax"))),
    Method("end-to-end IPW, nes", end_to_end(**paper("nes")), slow=True),
    Method("end-to-end IPW, finite difference", end_to_end(**paper("finite_difference"))),
    Method("end-to-end IPW, improved fd", end_to_end(**paper("improved_fd"))),
    Method("end-to-end placebo", end_to_end(placebo=True)),
    Method("observed log alone", alone("observed"), regime="confounded_plus_rct"),
    Method("randomised log alone", alone("randomised"), regime="confounded_plus_rct"),
    Method("end-to-end on the randomised log", alone_end_to_end, regime="confounded_plus_rct"),
    Method("both pooled", pooled, regime="confounded_plus_rct"),
    Method("both", both, regime="confounded_plus_rct"),
)


def chosen(patterns: list[str]) -> list[Method]:
    """The methods of these names or patterns, such as "two-stage*", in the order above."""
    for pattern in patterns:
        if not any(fnmatchcase(method.name, pattern) for method in METHODS):
            raise SystemExit(f"no method is named {pattern!r}; there are: {', '.join(m.name for m in METHODS)}")
    return [method for method in METHODS if any(fnmatchcase(method.name, pattern) for pattern in patterns)]
