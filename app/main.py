"""The page on one run: what the budget buys, per policy, with intervals. Started by `earmark app RUN`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import streamlit as st

from allocation.jobs import table
from allocation.jobs.charts import cost_curve
from allocation.jobs.summary import Summary, read_run
from uplift.errors import InputError


def page(folder: Path) -> None:
    """Load the run and draw it, or say in one message why it cannot be shown."""
    st.set_page_config(page_title="earmark", layout="wide")
    try:
        run = read_run(folder)
    except InputError as error:
        st.error(str(error))
        return
    st.title(f"What a budget buys: {plain(run.name)}")
    st.caption(plain(run.about))
    for warning in run.warnings:
        st.warning(plain(warning))
    for sentence in table.verdict(run)[len(run.warnings) :]:
        st.markdown(f"- {plain(sentence)}")
    st.subheader("Cost curve of every policy")
    theme = "dark" if st.context.theme.type == "dark" else "light"
    st.altair_chart(cost_curve(run, theme, background="transparent"), theme=None)
    st.subheader("Every policy at every budget")
    money = f", budget and spend in {run.currency}" if run.currency else ""
    st.caption(plain(f"Per user of {run.users:,} held-out users; value is {run.value_name}{money}; 95% intervals."))
    st.dataframe(cells(run), hide_index=True, height="content")
    st.subheader("The decision that was written")
    share = {arm: count / run.users for arm, count in run.arm_users.items()}
    users = pd.DataFrame({"arm": list(share), "users": list(run.arm_users.values()), "share": list(share.values())})
    columns = {
        "users": st.column_config.NumberColumn(format="localized"),
        "share": st.column_config.NumberColumn(format="percent"),
    }
    st.dataframe(users, hide_index=True, column_config=columns)


def plain(text: str) -> str:
    """Text that Markdown shows as it is: names come from the user's log."""
    return re.sub(r"([\\`*_{}\[\]<>#$~|:])", r"\\\1", text)


def cells(run: Summary) -> pd.DataFrame:
    """The report's table, a column a figure."""
    return pd.DataFrame(
        {
            "policy": row.policy,
            "budget": row.budget,
            "promised value": row.promised,
            "verified value": f"{row.verified.estimate} {row.verified.interval}".strip(),
            "verified spend": f"{row.spend.estimate} {row.spend.interval}".strip(),
            "matched users": row.matched,
            "difference to the best baseline": f"{row.difference.estimate} {row.difference.interval}".strip(),
        }
        for row in table.rows(run)
    )


if __name__ == "__main__":
    page(Path(sys.argv[1] if len(sys.argv) > 1 else "earmark-demo"))
