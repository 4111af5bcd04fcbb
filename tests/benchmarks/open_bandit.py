"""Two policies that ran side by side: what each is worth by the other's log; prints Markdown tables.

    python tests/benchmarks/open_bandit.py

Open Bandit, three campaigns: page views went at random to uniform recommendations or to Thompson sampling, so that
either log has a yardstick, its own click rate, for the off-policy estimate from the other. Per campaign and
direction: the estimate with its closed-form 95% interval, how far it is from the yardstick in standard errors of
both, and whether each lies inside the other's interval. The second of these checks fails by chance more often than
in 5% where the estimate is known less well than the yardstick; the standard errors apart are the fair one.

Only the shown item's probability is logged, and Thompson sampling's vary over time (down to 1e-6). From the uniform
log its *average* policy is therefore evaluated, pi(a | position) = share of item a at that position in its own log:
the same value if its choices did not follow changes of the click rates. The other way round both are shown: the
logged probabilities, and these averages in their place, which need that same assumption and weigh far less unevenly.
That the shares (of 3,300 rows a position) are estimates is not in the intervals. The doubly robust model is the
item's click rate at the position in the other folds, shrunk towards the position's. Rows of a page are not
independent, which the intervals ignore: the log does not say which rows share a page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from allocation.evaluation.estimators import ESTIMATORS, FEW, Estimate, off_policy
from uplift import datasets
from uplift.causal import assign_folds
from uplift.datasets import BanditLog

CAMPAIGNS = ("all", "men", "women")
POSITIONS = 3
PRIOR_ROWS = 1_000  # rows of the position's mean added to each item's own: a click rate is about .005
NAMES = {"random": "uniform", "bts": "Thompson sampling"}


@dataclass(frozen=True, eq=False)
class Transfer:
    """A log, and the other policy to be evaluated on it.

    source : what the estimate comes from, in words. evaluated : "random" or "bts".
    logged : (n,), probability with which the shown item was logged. policy, model : (n, items), the evaluated
    policy's probabilities and the predicted click rates at the row's position.
    """

    source: str
    evaluated: str
    log: BanditLog
    logged: np.ndarray
    policy: np.ndarray
    model: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """Probability of the shown item under the evaluated policy over that in the log, (n,)."""
        return self.policy[np.arange(len(self.log)), self.log.action] / self.logged

    def estimate(self, estimator: str) -> Estimate:
        """The evaluated policy's click rate."""
        return off_policy(
            self.log.reward,
            self.weight,
            estimator=estimator,
            expected=(self.policy * self.model).sum(axis=1),
            fitted=self.model[np.arange(len(self.log)), self.log.action],
        )


def transfers(campaign: str) -> tuple[dict[str, BanditLog], list[Transfer]]:
    """Both logs, and Thompson sampling from the uniform log, uniform from the other's, twice."""
    logs = {name: datasets.open_bandit(name, campaign) for name in NAMES}
    uniform, thompson = logs["random"], logs["bts"]
    average = shares(thompson)
    alike = np.full((len(thompson), thompson.n_actions), 1 / thompson.n_actions)
    averaged = average[thompson.position - 1, thompson.action]
    rates = click_rates(thompson)
    return logs, [
        Transfer("uniform", "bts", uniform, uniform.propensity, average[uniform.position - 1], click_rates(uniform)),
        Transfer("Thompson sampling", "random", thompson, thompson.propensity, alike, rates),
        Transfer("Thompson sampling, averaged", "random", thompson, averaged, alike, rates),
    ]


def shares(log: BanditLog) -> np.ndarray:
    """Share of every item at each position, (positions, items)."""
    count = np.zeros((POSITIONS, log.n_actions))
    np.add.at(count, (log.position - 1, log.action), 1)
    return count / count.sum(axis=1, keepdims=True)


def click_rates(log: BanditLog, n_folds: int = 5) -> np.ndarray:
    """Click rate of every item at the row's position, (n, items), from the other folds, shrunk to the position's."""
    fold = assign_folds(np.zeros(len(log), dtype=np.int64), n_folds, seed=0)
    table = np.empty((len(log), log.n_actions))
    for k in range(n_folds):
        clicks, shown = np.zeros((2, POSITIONS, log.n_actions))
        learn = fold != k
        np.add.at(clicks, (log.position[learn] - 1, log.action[learn]), log.reward[learn])
        np.add.at(shown, (log.position[learn] - 1, log.action[learn]), 1)
        mean = clicks.sum(axis=1, keepdims=True) / shown.sum(axis=1, keepdims=True)
        rate = (clicks + PRIOR_ROWS * mean) / (shown + PRIOR_ROWS)
        table[~learn] = rate[log.position[~learn] - 1]
    return table


def yardstick(log: BanditLog) -> tuple[float, float, float]:
    """Click rate of the log's own policy and its 95% interval by Wilson's score formula."""
    n, mean, z = len(log), float(log.reward.mean()), NormalDist().inv_cdf(0.975)
    centre = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2))
    return mean, centre - half, centre + half


def inside(found: Estimate, own: tuple[float, float, float]) -> tuple[bool, bool]:
    """Whether the own mean is inside the estimate's 95% interval, and the estimate inside the own interval."""
    low, high = found.interval()
    return low <= own[0] <= high, own[1] <= found.mean <= own[2]


def apart(found: Estimate, log: BanditLog) -> float:
    """Estimate less the own mean, in standard errors of that difference: the logs are of different page views."""
    mean = float(log.reward.mean())
    return (found.mean - mean) / math.hypot(found.se(), math.sqrt(mean * (1 - mean) / len(log)))


def main() -> None:
    """Estimate and print."""
    print("Clicks per 1,000 impressions [95% interval].\n")
    print(
        "| campaign | policy | from the log of | its own log | estimator | estimate | standard errors apart "
        "| effective size, largest weight | bias bound | own mean in the estimate's interval "
        "| estimate in the own interval |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    failed, gaps, checks = [], [], 0
    for campaign in CAMPAIGNS:
        logs, both = transfers(campaign)
        for transfer in both:
            own = yardstick(logs[transfer.evaluated])
            for estimator in ESTIMATORS:
                found = transfer.estimate(estimator)
                held, gap = inside(found, own), apart(found, logs[transfer.evaluated])
                gaps.append(abs(gap))
                checks += 2
                if not all(held):
                    failed.append((f"{campaign}, from {transfer.source}, {estimator}", found, held, gap))
                print(
                    f"| {campaign} | {NAMES[transfer.evaluated]} | {transfer.source} | {span(*own)} | {estimator} "
                    f"| {span(found.mean, *found.interval())} | {gap:+.2f} "
                    f"| {found.effective_size:,.0f}, {transfer.weight.max():,.3g} | {1000 * found.bias_bound:.3g} | "
                    + " | ".join("yes" if one else "**no**" for one in held)
                    + " |"
                )
    outside = sum(2 - sum(held) for _, _, held, _ in failed)
    print(
        f"\n{checks - outside} of {checks} checks hold; {sum(gap <= 1.96 for gap in gaps)} of {len(gaps)} estimates "
        f"are within 1.96 standard errors of the yardstick, the furthest {max(gaps):.2f} away. Checks that fail:\n"
    )
    for where, found, held, gap in failed:
        print(f"- {where}: {reason(found, held, gap)}")


def span(mean: float, low: float, high: float) -> str:
    """A rate and its interval, per 1,000."""
    return f"{1000 * mean:.2f} [{1000 * low:.2f}, {1000 * high:.2f}]"


def reason(found: Estimate, held: tuple[bool, bool], gap: float) -> str:
    """Which check fails, and what that says."""
    text = "its interval misses the own mean" if not held[0] else "it lies outside the own interval"
    size = f"effective size {found.effective_size:,.0f} rows, {abs(gap):.1f} standard errors apart"
    if found.effective_size < FEW:
        return f"{text}; {size}: below {FEW}, `evaluate` gives no estimate at all"
    chance = "no more than chance gives" if abs(gap) <= 1.96 else "more than chance gives"
    trimmed = (
        f", and trimming may bias it by up to {1000 * found.bias_bound:.3g} per 1,000" if found.bias_bound else ""
    )
    return f"{text}; {size}, {chance}{trimmed}"


if __name__ == "__main__":
    main()
