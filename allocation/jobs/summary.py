"""What is told about a run, whether it was just made or is read back from its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uplift.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# The headline estimator: unbiased, and the least noisy of those that are.
HEADLINE = "dr"
CHALLENGER = "two-stage"
END_TO_END = "end-to-end"
BASELINES = ("best single arm", "best mix of arms", "outcome targeting", "random", "nobody")
MANIFEST = "manifest.json"
# How the columns begin that hold amounts; those that end in `_support` hold words.
AMOUNTS = ("budget", "promised", "value", "gain", "spend", "overspend", "optimism", "bias_bound", "difference")


@dataclass(frozen=True, eq=False)
class Summary:
    """A run's evaluation and the words for it.

    Attributes
    ----------
    name, about : the log's name and a sentence on it. value_name, currency : what value and money are counted in.
    users : held-out users that were decided for. budget_per_user : money per user that was decided at.
    arm_users : users of each arm under the written decision.
    totals : promised value, gain and spend, price, bound, gap and slack of the written decision.
    warnings : what the reader must know before believing any figure.
    evaluation : the frame of `evaluate`, totals over the held-out users.
    tuning : what the end-to-end fit says of itself, empty where it was left out.
    """

    name: str
    about: str
    value_name: str
    currency: str
    users: int
    budget_per_user: float
    n_bootstrap: int
    arm_users: dict[str, int]
    totals: dict[str, float | None]
    warnings: tuple[str, ...]
    evaluation: pd.DataFrame
    tuning: str = ""

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies in the order in which they are shown."""
        known = set(self.evaluation["policy"])
        return tuple(name for name in (CHALLENGER, END_TO_END, *BASELINES) if name in known)

    def headline(self) -> pd.DataFrame:
        """The rows of the headline estimator, every amount per user instead of in total."""
        return per_user(self.evaluation, HEADLINE)


def per_user(evaluation: pd.DataFrame, estimator: str) -> pd.DataFrame:
    """The rows of one estimator of `evaluate`'s frame, every amount per user instead of in total."""
    frame = evaluation.loc[evaluation["estimator"] == estimator].copy()
    amounts = [c for c in frame.columns if c.startswith(AMOUNTS) and not c.endswith("_support")]
    frame[amounts] = frame[amounts].astype(float).div(frame["users"], axis=0)
    return frame.reset_index(drop=True)


def read_run(folder: str | Path) -> Summary:
    """The summary of a run's folder; raises InputError when the folder holds no whole run."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the folder that `earmark demo --out FOLDER` wrote")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Summary(
            name=manifest["input"]["name"],
            about=manifest["about"],
            value_name=manifest["value_name"],
            currency=manifest["currency"],
            users=manifest["held_out_users"],
            budget_per_user=manifest["plan"]["budget_per_user"],
            n_bootstrap=manifest["plan"]["n_bootstrap"],
            arm_users=manifest["arm_users"],
            totals=manifest["totals"],
            warnings=tuple(manifest["warnings"]),
            evaluation=_numbers(manifest["evaluation"]),
            tuning=manifest.get("end_to_end", ""),
        )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no manifest of a run ({type(error).__name__}: {error}); run it again") from None


def _numbers(records: list[dict[str, Any]]) -> pd.DataFrame:
    """The records as a frame, columns of nothing but nulls as the numbers that they were."""
    import pandas as pd  # slow to load, and not needed by those who only ask what a manifest is called

    frame = pd.DataFrame(records)
    return frame.astype({column: float for column in frame if frame[column].isna().all()})
