"""Budget: what any amount of money buys, how sure that is, and who gets what."""

from __future__ import annotations

import math

import streamlit as st

from allocation.jobs.analyst.answers import Answer, Answers
from allocation.jobs.analyst.figures import figure, in_unit
from allocation.jobs.numbers import amount, decimals
from app import state
from app.budget_charts import frontier_specification, mix_specification
from app.metric import lacking, metric

SLIDER, NUMBER = "budget_slider", "budget_number"  # the keys of the two widgets of one budget


def show(answers: Answers) -> None:
    """The view."""
    run = answers.run
    st.title("What a budget buys")
    st.caption(
        state.plain(
            f"Totals over {len(run):,} users of {run.plan.name}. Value: {run.value_name}. "
            f"Money: {run.currency or 'in the unit of the table'}. Intervals hold with 95% confidence, one at a time."
        )
    )
    _moving(answers)
    st.caption(_reading(answers))
    st.subheader("Who gets what")
    st.vega_lite_chart(spec=mix_specification(answers, state.theme()), theme=None, key="mix")


@st.fragment
def _moving(answers: Answers) -> None:
    """What follows the slider; drawn alone, and no more than must, so that it follows at once."""
    budget = state.chosen_budget(answers)
    for widget in (SLIDER, NUMBER):  # first of all, since the next move may end this run at any time
        state.show_budget(widget, budget)
    # All is worked out before anything is shown: what arrives at once, the browser draws once.
    answer = answers.at(budget)
    specification, following = frontier_specification(answers, answer, state.theme()), _following(answers, answer)
    _slider(answers)
    _figures(answers, answer)
    st.markdown(following)
    if answer.lacking:
        lacking(answer.lacking)
    elif math.isnan(answer.marginal.estimate) and answer.price > 0:
        st.caption(
            "The marginal return is a promise here: too few logged users speak for the money around the budget."
        )
    st.vega_lite_chart(spec=specification, theme=None, key="frontier")


def _slider(answers: Answers) -> None:
    """The budget to be moved, and to be typed."""
    least, most = max(answers.span[0], 0.0), answers.span[1]
    if most <= least:
        st.info("No money is worth spending here: at any budget everybody gets the cheapest arm.")
        return
    step = 10.0 ** math.floor(math.log10(max(most - least, 1e-9) / 500))
    unit = state.plain(answers.run.currency)

    wide, narrow = st.columns([3, 1], vertical_alignment="bottom")
    with wide:
        st.slider(
            in_unit("Budget", unit),
            least,
            most,
            step=step,
            key=SLIDER,
            on_change=state.take_budget,
            args=(SLIDER,),
            format="localized",
        )
    with narrow:
        st.number_input(
            in_unit("Exact budget", unit),
            least,
            most,
            step=step,
            key=NUMBER,
            on_change=state.take_budget,
            args=(NUMBER,),
            format=f"%.{max(decimals(step) - 2, 0) if step < 1 else 2}f",
        )


def _figures(answers: Answers, answer: Answer) -> None:
    run = answers.run
    gain, spend, average, marginal = st.columns(4)
    with gain:
        metric(
            "Incremental value",
            answer.gain,
            answer.promised_gain,
            f"{run.value_name}, above giving everybody {run.arms[0]}. Verified on users who by chance received the "
            "arm decided for them; promised: what the model that decides predicts.",
        )
    with spend:
        metric(
            "Spend",
            answer.extra_spend,
            answer.promised_extra,
            f"Above giving everybody {run.arms[0]}: what the decisions really cost, verified; promised: what the "
            "model predicts, which with the cost of control is never above the budget.",
            state.plain(run.currency),
        )
    with average:
        metric(
            "Average return",
            answer.average,
            answer.promised_average,
            "Incremental value per unit of money spent above control.",
        )
    with marginal:
        metric(
            "Marginal return (price)",
            answer.marginal,
            answer.price,
            "What the next unit of money buys. Verified on the users around the budget who hold a twentieth of all "
            "money; promised: the shadow price.",
        )


def _following(answers: Answers, answer: Answer) -> str:
    """What more money would buy, and who gets what."""
    shares = ", ".join(f"{arm} {share:.0%}" for arm, share in answers.shares(answer.budget).items())
    buys = amount(answer.next_money, answers.run.currency)
    end = "." if answer.next_gain > 0 else ": everything worth buying is bought."
    return state.plain(
        f"The next {buys} buy {figure(answer.next_gain)} more in value, promised{end} Shares of the users: {shares}."
    )


def _reading(answers: Answers) -> str:
    if answers.path is None:
        return (
            "Promised by the model; the band tells how the promise varies with the users, not how wrong the model is."
        )
    return (
        "Thick: verified gain with its 95% interval, dotted where too few logged users received what is decided. "
        "Dashed: promised by the model. Rivals are verified on the same users; the best single arm is chosen by its "
        "own result, which errs in its favour."
    )
