"""The figures of a view: verified with their intervals where the log can tell, else promised, and why."""

from __future__ import annotations

import math

import streamlit as st

from allocation.evaluation.verified_path import Estimated
from allocation.jobs.analyst.certainty import NO_LOG
from allocation.jobs.analyst.figures import figure, interval
from app import state

NOT_VERIFIED = "promised, not verified"


def metric(name: str, verified: Estimated, promised: float, about: str, unit: str = "") -> None:
    """A figure under its name, and below it how sure it is; `about` is shown on demand."""
    known = not math.isnan(verified.estimate)
    st.metric(name, f"{figure(verified.estimate if known else promised)} {unit}".strip(), help=state.plain(about))
    told = f"verified, 95% interval {interval(verified)}; promised {figure(promised)}" if known else NOT_VERIFIED
    st.caption(state.plain(told))


def lacking(why: str) -> None:
    """Why nothing is verified, and what would verify it."""
    mend = " `earmark demo` on the log of an experiment, or Upload, makes a run that verifies them."
    st.info(f"Not verified: {why}. The figures are promises of the model.{mend if why == NO_LOG else ''}")
