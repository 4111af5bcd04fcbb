"""Evidence: why the figures can be believed, or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import altair as alt
import streamlit as st

from allocation.jobs.analyst.answers import Answers
from allocation.jobs.analyst.evidence import Checks
from allocation.jobs.analyst.evidence_about import ABOUT
from allocation.jobs.analyst.evidence_frames import balance_frame
from allocation.jobs.analyst.evidence_words import CANNOT_TELL, LOOK, PASSED, Verdict, farthest, summary, verdicts
from allocation.jobs.analyst.figures import figure
from allocation.jobs.analyst.run import Run
from allocation.jobs.numbers import amount
from app import evidence_charts as charts
from app import state

# A sign, a word and a colour, so that none of them is needed alone.
BADGES = {
    PASSED: f":green-badge[✓ {PASSED}]",
    LOOK: f":orange-badge[! {LOOK}]",
    CANNOT_TELL: f":gray-badge[? {CANNOT_TELL}]",
}


@dataclass(frozen=True)
class Panel:
    """A chart and what it shows, in words; `chart` is None where there is nothing to draw."""

    chart: alt.LayerChart | None
    caption: str


def show(answers: Answers) -> None:
    """The view."""
    st.title("Can the figures be believed?")
    run = answers.run
    if run.checks is None:
        _missing(run)
        return
    found = verdicts(run.checks, run.value_name)
    budget = amount(run.checks.budget, run.currency)
    st.markdown(f"**{state.plain(summary(found))}**")
    st.caption(
        state.plain(
            f"{run.checks.users:,} held-out users of {run.plan.name} at the budget of its plan, {budget}. Checked "
            "once, by earmark demo: the budget chosen in the budget view does not move this page. Intervals hold "
            "with 95% confidence, one at a time; a p-value below 0.01 asks for a look, and chance alone brings one "
            "about once in a hundred."
        )
    )
    for verdict in found:
        st.markdown(f"{BADGES[verdict.outcome]} **{verdict.topic}**: {state.plain(verdict.sentence)}.")
    st.divider()
    for k in range(0, len(found), 2):
        for column, verdict in zip(st.columns(2, gap="large"), found[k : k + 2], strict=False):
            with column:
                _panel(run.checks, run.value_name, verdict)


def _missing(run: Run) -> None:
    """Why there are no checks of this run, and how to get them."""
    if run.evidence is not None or run.summary is not None:
        what = "This run was written without them: run `earmark demo` again with the same options."
    else:
        what = (
            "A response table holds predictions alone, so nothing can be held against what really happened. "
            "`earmark demo --data LOG` on a randomised log decides and checks: look at the folder that it writes."
        )
    st.info(f"There are no checks of this run. {what}")


def _panel(checks: Checks, value_name: str, verdict: Verdict) -> None:
    """One check: what it asks, its badge, the picture, what it shows, what it means."""
    st.subheader(verdict.topic, anchor=verdict.key)
    st.markdown(f"{verdict.question} {BADGES[verdict.outcome]}")
    panel = PANELS[verdict.key](checks, value_name, state.theme())
    if panel.chart is not None:
        st.altair_chart(panel.chart, theme=None, key=f"evidence-{verdict.key}")
    else:
        st.caption(state.plain(f"No picture: {verdict.sentence}."))
    st.caption(state.plain(panel.caption))
    means, misleads = ABOUT[verdict.key]
    with st.expander("What it means, and when it misleads"):
        st.markdown(state.plain(means))
        st.markdown(f"**It misleads.** {state.plain(misleads)}")


def _shares(checks: Checks, _: str, theme: str) -> Panel:
    if checks.shares is None:
        return Panel(None, "")
    return Panel(
        charts.shares_chart(checks, theme),
        f"Dots: share of each arm among {checks.shares.users:,} users of the whole log, with its 95% interval. "
        "Black or white ticks: the share that the stated chances put there.",
    )


def _balance(checks: Checks, _: str, theme: str) -> Panel:
    drawn, known = len(balance_frame(checks)), len(checks.balance.features)
    which = f"The {drawn} least likely of {known} features" if drawn < known else "Each feature"
    return Panel(
        charts.balance_chart(checks, theme),
        f"{which}, in the arm where it stands out most: difference of its mean from control, with 95% interval. On "
        "the line the arms are alike.",
    )


def _support(checks: Checks, _: str, theme: str) -> Panel:
    return Panel(
        charts.support_chart(checks, theme),
        "Bars: users who received the arm that is decided for them, as many as would tell the same if their chances "
        f"were alike. Dashed: the {checks.support.needed} that are needed.",
    )


def _calibration(checks: Checks, value_name: str, theme: str) -> Panel:
    known = [one for one in checks.calibration if not one.note]
    if not known:
        return Panel(None, "")
    worst = farthest(checks.calibration)
    names = [one.arm for one in known]
    chosen = worst.arm
    if len(known) > 1:
        chosen = st.selectbox("Arm", names, index=names.index(worst.arm), key="evidence-arm")
    one = next(one for one in known if one.arm == chosen)
    return Panel(
        charts.calibration_chart(one, value_name, theme),
        f"Users in {len(one.predicted)} groups by the predicted effect of {one.arm}: dots are what it really was, "
        "with 95% intervals; on the dashed diagonal it is as predicted.",
    )


def _ranking(checks: Checks, value_name: str, theme: str) -> Panel:
    return Panel(
        charts.ranking_chart(checks, value_name, theme),
        "Blue: gain when the users ranked first by the model are treated, with its 95% band at each point; dashed: a "
        f"random order of the same users. All {checks.users:,} users count; some points of the curve are drawn.",
    )


def _placebo(checks: Checks, value_name: str, theme: str) -> Panel:
    return Panel(
        charts.placebo_chart(checks, value_name, theme),
        "The same curve on the same scale, after the logged arms were dealt out anew, with its 95% band: it must "
        "hug the line at zero.",
    )


def _refits(checks: Checks, _: str, theme: str) -> Panel:
    if checks.refits.note:
        return Panel(
            None,
            "A sample is refitted by earmark demo --users 50000; for the whole log call "
            "allocation.evaluation.stability.stability(policy, train, users, budgets).",
        )
    return Panel(
        charts.refits_chart(checks, theme),
        f"Bars: share of users who keep their arm, the mean of {len(checks.refits.stays)} refits; the line on the "
        "first bar goes from the lowest to the highest refit. Dashed: where the arms were dealt out blindly.",
    )


def _experiment(checks: Checks, value_name: str, theme: str) -> Panel:
    found = checks.experiment
    if found is None or not any(users > 0 for users in found.needed):
        return Panel(None, "")
    source = "the model promises" if found.promised else "this log finds"
    gain = f"{figure(found.gain)} {value_name} a user"
    unsure = "".join(f" Unsure: {words}." for words in found.caveats)
    return Panel(
        charts.experiment_chart(checks, theme),
        f"Users with which a new randomised log shows a gain of {gain} beside {found.reference}, which {source}, "
        f"with a chance of {found.power:.0%}.{unsure}",
    )


PANELS: dict[str, Callable[[Checks, str, str], Panel]] = {
    "shares": _shares,
    "balance": _balance,
    "support": _support,
    "calibration": _calibration,
    "ranking": _ranking,
    "placebo": _placebo,
    "refits": _refits,
    "experiment": _experiment,
}
