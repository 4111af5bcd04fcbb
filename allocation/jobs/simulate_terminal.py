"""What `earmark simulate` tells when it is done: what was written, and what to do with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from allocation.jobs.simulate_job import SimulatePlan
from allocation.jobs.toml_text import toml_value
from uplift.words import wrapped


def told(plan: SimulatePlan, manifest: dict[str, Any], folder: Path) -> str:
    """What was written, within 80 columns, and the next step as a line to copy."""
    asked, parts = plan.simulated, manifest["parts"]
    size = sum(part["bytes"] for part in parts) / 1e6
    count = "1 part" if len(parts) == 1 else f"{len(parts):,} parts"
    text = wrapped(
        f"The {asked.what} of {asked.users:,} users of the world {asked.regime}, seed {asked.seed}: "
        f"{count}, {size:,.1f} MB. Columns: {', '.join(_grouped(list(manifest['columns'])))}."
    )
    return f"\n{text}\n{_next(plan, manifest, folder)}\nSimulation: {folder}"


def _grouped(columns: list[str]) -> list[str]:
    """The columns, those of several arms or features as one."""
    grouped = []
    for name in columns:
        prefix, dot, _ = name.rpartition(".")
        grouped.append(f"{prefix}.<arm>" if dot else name)
    features = [name for name in columns if name[0] == "x" and name[1:].isdigit()]
    grouped = [f"x0..{features[-1]}" if name in features else name for name in grouped]
    return list(dict.fromkeys(grouped))


def _next(plan: SimulatePlan, manifest: dict[str, Any], folder: Path) -> str:
    if plan.simulated.what == "responses":
        return f"- In a plan: responses = {toml_value(str(folder))}"
    if plan.simulated.what == "features":
        return f"- In a plan, beside the model: features = {toml_value(str(folder))}"
    if len(manifest["parts"]) > 1:
        return "- A log to fit on is one part: give a --part-rows of at least --users."
    features = ",".join(name for name in manifest["columns"] if name[0] == "x")
    data = shlex.quote(str(folder / manifest["parts"][0]["file"]))
    roles = "--treatment arm --value value --cost cost --user-id user_id --propensity 'arm shares'"
    return f"- A policy from it: earmark fit --data {data} {roles} --features {features}"
