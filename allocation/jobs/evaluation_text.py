"""What an evaluation says in words: what is better, worse, not distinguishable, overspent, promised too much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.evaluation_table import DUST, Places, bias, budget_text, clear_side
from allocation.jobs.numbers import number, two_digits, with_interval
from allocation.jobs.policies_named import MODELS, RULES

ESTIMATORS = {
    "ipw": "each weighted by 1 / propensity",
    "sn": "each weighted by 1 / propensity, self-normalised",
    "dr": "a model of the outcome, cross-fitted on these users, corrected by the residuals of those who match, each "
    "weighted by 1 / propensity (doubly robust)",
    "switch": "as dr, the model alone where the weight is large",
    "clipped": "each weighted by 1 / propensity, large weights cut",
}
CURSE = " (a model that picks whom it overestimates does so: the winner's curse)"
CHANCE = " (the training half differs, by chance)"


def findings(result: EvaluationResult) -> list[str]:
    """The table in sentences, warnings first; better and worse are said after adjusting for all comparisons."""
    said = Telling.of(result)
    told = [*said.biased(), *said.compared(), *said.overspent(), *said.promised(), *said.unsupported()]
    return [*result.warnings, *told]


def how_sure(result: EvaluationResult) -> list[str]:
    """Where the intervals come from, and how many comparisons were adjusted for."""
    plan = result.plan
    level, alpha = f"{100 * plan.level:g}%", 1 - plan.level
    counted = "users" if result.source.cluster is None else "clusters of users"
    if plan.splits == 1:
        told = [f"Brackets are {level} intervals from {plan.n_bootstrap:,} resamples of {counted}."]
    else:
        told = [
            f"Averages over {plan.splits} random splits, half of the users to fit on and half to verify on; brackets "
            f"are {level} intervals in closed form, counting {counted}. The splits share users, so the intervals are "
            "as wide as those of one split."
        ]
    frame = result.headline()
    made = int(frame["comparisons"].iloc[0]) if "comparisons" in frame else 0
    if made > 1:
        told.append(
            f"{made} differences are compared with zero at once, and about {made * alpha:.2g} of so many intervals "
            "would miss a true zero by chance. Better and worse are said only where the p-value adjusted for all of "
            f"them (max-t) is below {alpha:.4g}."
        )
    return told


@dataclass(frozen=True, eq=False)
class Telling:
    """Sentences on the frame of `EvaluationResult.headline`.

    `alpha` is the level of the tests; `chosen` how the reference was: "named", "picked" as the best of several by its
    verified value, or "first"; `models` are the policies that choose users by a model, `fixed` those whose decisions
    come from a file.
    """

    frame: pd.DataFrame
    places: Places
    alpha: float
    chosen: str
    models: frozenset[str]
    fixed: frozenset[str]

    @classmethod
    def of(cls, result: EvaluationResult) -> Telling:
        """Of the estimator that is shown."""
        frame, plan = result.headline(), result.plan
        rules = set(RULES.values()) & set(frame["policy"])
        unnamed = "picked" if len(rules) > 1 else "named" if rules else "first"
        return cls(
            frame=frame,
            places=Places.of(frame),
            alpha=1 - plan.level,
            chosen="named" if plan.reference is not None else unnamed,
            models=frozenset({*MODELS.values(), RULES["outcome"], *plan.responses} - set(plan.decisions)),
            fixed=frozenset(plan.decisions),
        )

    def biased(self) -> list[str]:
        """How far trimming may bias the figures, where the estimator trims."""
        bounds = {name: float(bias(self.frame, name).max()) for name in ("value", "spend", "difference")}
        told = [
            f"a {name} by up to {number(bound, two_digits(bound))}" for name, bound in bounds.items() if bound > 0
        ]
        return [f"Trimming may bias {_listed(told)} a user, which no interval contains."] if told else []

    def compared(self) -> list[str]:
        """The reference; what is better and worse than it, what is not distinguishable, what decides alike."""
        if "reference" not in self.frame:
            return []
        others = self.frame[(self.frame["policy"] != self.frame["reference"]) & self.frame["difference"].notna()]
        if not len(others):
            return [self._reference(), "No policy can be compared with it."]
        same = others[others["same_decision"].astype(bool)]
        known = others[~others["same_decision"].astype(bool)]
        side = pd.Series([clear_side(r, self.alpha) for _, r in known.iterrows()], index=known.index, dtype=int)
        better, worse, unclear = (known[side == sign] for sign in (1, -1, 0))
        told = [self._reference()]
        if len(unclear) == len(known) > 0:
            told.append(f"Nothing is distinguishable: {_none_clear(known)}")
        else:
            told += self._each("Better than the reference", better, self._difference)
            told += [] if len(better) else ["Nothing is shown to be better than the reference."]
            told += self._each("Worse than the reference", worse, self._difference)
        trimmed = bias(unclear, "difference") > 0
        because = "Not distinguishable from the reference, since trimming may bias the difference"
        told += self._where(because, unclear[trimmed])
        unclear = unclear[~trimmed]
        told += self._where("Not distinguishable from the reference", unclear)
        clear = (unclear["difference_low"] > 0) | (unclear["difference_high"] < 0)
        alone = clear & (unclear["p_value"] < self.alpha)
        told += self._where("Clear of zero taken alone, but not among so many comparisons", unclear[alone])
        told += self._where("Clear of zero by the interval, but not by the p-value", unclear[clear & ~alone])
        return told + self._where("The same decisions as the reference", same)

    def overspent(self) -> list[str]:
        """Policies whose spend lies above the budget with its whole interval and what trimming may bias it by."""
        low = self.frame["overspend_low"] - bias(self.frame, "spend")
        over = self.frame[low > DUST * self.frame["budget"]]
        fixed = over["policy"].isin(self.fixed)
        told = self._each("Spends more than the budget, by its whole interval", over[~fixed], self._overspend)
        told = [f"{text} A budget limits the predicted spend, the users decide the real one." for text in told]
        return told + [
            f"{name} spends {self._spend(own.iloc[0])} whatever the budget." for name, own in _by_policy(over[fixed])
        ]

    def promised(self) -> list[str]:
        """Promises outside the interval of what was verified and what trimming may bias it by, and how far."""
        bound = bias(self.frame, "value")
        high = self.frame[self.frame["promised_value"] > self.frame["value_high"] + bound]
        low = self.frame[self.frame["promised_value"] < self.frame["value_low"] - bound]
        told = []
        for words, rows in (("more", high), ("less", low)):
            causes = rows["policy"].map(self._cause if words == "more" else self._chance)
            for cause in dict.fromkeys(causes):
                text = f"Promised {words} than the verified interval holds, one interval each, not adjusted{cause}"
                told += self._each(text, rows[causes == cause], self._optimism)
        return told

    def unsupported(self) -> list[str]:
        """Cells without an estimate, and why."""
        lacking = self.frame[self.frame["support"] != ""]
        told = self._each("Too few users received the arms decided for them to judge", lacking, _support)
        told = [f"{text} Log more users." for text in told]
        if "difference_support" in self.frame:
            apart = self.frame[(self.frame["support"] == "") & (self.frame["difference_support"] != "")]
            told += self._each("Hardly any other decision than the reference", apart, _difference_support)
        return told

    def _cause(self, policy: str) -> str:
        """Why a policy promised too much, as far as that can be known."""
        return CURSE if policy in self.models else self._chance(policy)

    def _chance(self, policy: str) -> str:
        return CHANCE if policy in RULES.values() and policy not in self.models | self.fixed else ""

    def _reference(self) -> str:
        first = self.frame.drop_duplicates("budget")
        names = list(dict.fromkeys(first["reference"]))
        if self.chosen != "picked":
            return f"Reference: {'; '.join(names)}{', the first given' if self.chosen == 'first' else ''}."
        own = self.frame["policy"] == self.frame["reference"]
        if self.frame.loc[own, "value"].isna().all():
            return f"No rule of thumb can be verified; {' and '.join(names)} stands in as the reference."
        cells = [f"{name} {self._at(first.loc[first['reference'] == name, 'budget'])}" for name in names]
        return (
            f"Reference, the rule of thumb of highest verified value: {'; '.join(cells)}. It was picked on the same "
            "users, which favours it."
        )

    def _each(self, words: str, rows: pd.DataFrame, detail: Callable[[pd.DataFrame], str]) -> list[str]:
        """`words: policy at budgets (detail); policy at budgets (detail).`; nothing where there are no rows."""
        cells = [f"{name} {self._at(own['budget'])} ({detail(own)})" for name, own in _by_policy(rows)]
        return [f"{words}: {'; '.join(cells)}."] if cells else []

    def _where(self, words: str, rows: pd.DataFrame) -> list[str]:
        """`words: policies at budgets; policies at budgets.`, those of the same budgets together."""
        names: dict[tuple[float, ...], list[str]] = {}
        for name, own in _by_policy(rows):
            names.setdefault(tuple(sorted(own["budget"])), []).append(name)
        cells = [f"{_listed(who)} {self._at(where)}" for where, who in names.items()]
        return [f"{words}: {'; '.join(cells)}."] if cells else []

    def _difference(self, own: pd.DataFrame) -> str:
        r = own.iloc[int(own["difference"].abs().argmax())]
        ends = (r["difference"], r["difference_low"], r["difference_high"])
        return f"{_up_to(own)}{with_interval(*ends, self.places.difference, sign=True)}"

    def _overspend(self, own: pd.DataFrame) -> str:
        r = own.iloc[int(own["overspend"].argmax())]
        return f"{_up_to(own)}{self._spend(r)}"

    def _spend(self, r: pd.Series) -> str:
        return str(with_interval(r["spend"], r["spend_low"], r["spend_high"], self.places.spend))

    def _optimism(self, own: pd.DataFrame) -> str:
        return f"by {_up_to(own)}{number(float(own['optimism'].abs().max()), self.places.value)} a user"

    def _at(self, budgets: Iterable[float]) -> str:
        wanted = sorted(set(budgets))
        if len(wanted) == self.frame["budget"].nunique() > 1:
            return "at every budget"
        return "at " + _listed([budget_text(budget, self.places) for budget in wanted])


def _none_clear(known: pd.DataFrame) -> str:
    if (bias(known, "difference") > 0).all():
        return "trimming may bias every difference to the reference, of which no p-value knows."
    made = int(known["comparisons"].iloc[0])
    if made == 0:
        return "no difference to the reference can be tested."
    if made == 1:
        return "the difference to the reference is not clear of zero."
    return f"adjusted for all {made} comparisons, no difference to the reference is clear of zero."


def _by_policy(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(name, rows[rows["policy"] == name]) for name in dict.fromkeys(rows["policy"])]


def _support(rows: pd.DataFrame) -> str:
    return str(rows["support"].iloc[0])


def _difference_support(rows: pd.DataFrame) -> str:
    return str(rows["difference_support"].iloc[0])


def _up_to(rows: pd.DataFrame) -> str:
    return "up to " if len(rows) > 1 else ""


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
