"""The comparison's Markdown table, and the list of its paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from allocation.policies.gate import EFFECTS
from tests.benchmarks.end_to_end_methods import END_TO_END, NET, PAPER, WARM_START
from tests.benchmarks.end_to_end_paired import BEST, BEST_OF_SEED, BEST_OTHER, Group, Mean, groups, seconds, spent
from tests.benchmarks.end_to_end_rows import Row

COLUMNS = (
    *("regime", "rows", "method", "seeds", "share of the oracle's gain", "at each budget", "spend / budget"),
    *(f"minus {NET}, points", "gate let through", "train s"),
)
ABOUT = (
    "Share: true gain of the decisions over what the oracle gains for the same true spend, mean over three budgets, "
    "± its standard error over the seeds; where nothing can be gained, the true gain a user. Differences are paired "
    "by seed, in hundredths of the oracle's gain (where nothing can be gained: of the budget), with 95% t intervals."
)
AGAINST = (NET, BEST, BEST_OF_SEED, WARM_START, BEST_OTHER, PAPER, "best mix")
ALONE = ("observed log alone", "randomised log alone", "end-to-end on the randomised log", "both pooled")
BOTH = {"both": ALONE}


def print_table(rows: Sequence[Row]) -> None:
    """All regimes and sizes in one table, then the differences of the end-to-end methods."""
    found = list(groups(rows))
    budgets = {group.regime: next(iter(group.found.values())) for group in found}
    told = [f"{name} {money(next(iter(seeds.values()))['budgets'])}" for name, seeds in budgets.items()]
    print(ABOUT + f" Budgets a user: {'; '.join(told)}.\n")
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + "---|" * len(COLUMNS))
    for group in found:
        for method in group.found:
            print(f"| {' | '.join(cells(group, method))} |")
    print("\nPaired differences, points:\n")
    for group in found:
        for line in differences(group):
            print(f"- {line}")


def cells(group: Group, method: str) -> list[str]:
    """One line of the table."""
    rows = list(group.found[method].values())
    fitted_on = min(row["train_rows"] for row in rows)
    name = method if fitted_on == group.rows else f"{method} (on {fitted_on:,} rows)"
    if group.to_gain:
        mean = Mean.of(list(group.measure(method).values()))
        share = f"{mean.point:.4f}" + ("" if mean.seeds == 1 else f" ± {mean.se:.4f}")
        each = " / ".join(f"{fmean(column):.3f}" for column in zip(*(row["share"] for row in rows), strict=True))
    else:
        share = f"nothing to gain: {fmean(gain for row in rows for gain in row['gain']):.4f} a user"
        told = [row["result"].get("nothing_to_gain") for row in rows if row["result"]]
        share += f"; said by {told.count(True)} of {len(told)} fits" if told else ""
        each = "–"
    against = None if method == NET else group.minus(method, NET)
    spend = f"{fmean(map(spent, rows)):.3f}"
    difference = "–" if against is None else span(against)
    size = f"{group.rows:,}"
    return [group.regime, size, name, str(len(rows)), share, each, spend, difference, let_through(rows), clock(rows)]


def differences(group: Group) -> list[str]:
    """The end-to-end methods, and what is fitted on two logs, minus each reference that is there; a line a method."""
    said = []
    what = "" if group.to_gain else ", spend / budget"
    for method in group.found:
        each: dict[str, str] = {}
        for other in BOTH.get(method, AGAINST if method.startswith(END_TO_END) else ()):
            name = group.named(other)
            mean = group.minus(method, other) if name not in (method, *each) else None
            if mean is not None:
                which = other if name == other else f"{other} ({name})"
                each[str(name)] = f"minus {which} {span(mean)}"
        if each:
            size = len(group.found[method])
            many = "1 seed" if size == 1 else f"{size} seeds"
            said.append(f"{group.regime}, {group.rows:,} rows{what}: {method} ({many}): {'; '.join(each.values())}")
    return said


def let_through(rows: Sequence[Row]) -> str:
    """In how many seeds an end-to-end model decides, and in how many of these it is the warm start."""
    results = [row["result"] for row in rows if row["result"]]
    if not results:
        return "–"
    if all(result["gain"] is None for result in results):
        return "no gate"
    kept = [result["kept"] for result in results if result["passed"]]
    warm = f" ({kept.count(EFFECTS)} before the decision phase)" if EFFECTS in kept else ""
    return f"{len(kept)} of {len(results)}{warm}"


def clock(rows: Sequence[Row]) -> str:
    """Median seconds of training, and of each phase over the seeds that had it."""
    whole = f"{seconds(rows):.1f}"
    phases: dict[str, list[float]] = {}
    for row in rows:
        for name, taken in (row["result"] or {"seconds": {}})["seconds"].items():
            phases.setdefault(name, []).append(taken)
    each = ", ".join(f"{name} {median(taken):.1f}" for name, taken in phases.items())
    return f"{whole} ({each})" if each else whole


def span(mean: Mean) -> str:
    """A difference with its interval, standard error and seeds, in hundredths."""
    if mean.seeds == 1:
        return f"{100 * mean.point:+.2f}"
    interval = f"[{100 * mean.low:+.2f}, {100 * mean.high:+.2f}]"
    return f"{100 * mean.point:+.2f} {interval} (se {100 * mean.se:.2f}, n {mean.seeds})"


def money(budgets: Sequence[float]) -> str:
    """The budgets of a regime."""
    return ", ".join(f"{budget:g}" for budget in budgets)
