"""A saved policy as what it says of users: value and cost of every arm from features, the same for any batch."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.jobs.manifest import checksum
from allocation.jobs.tables.blocks import Table
from allocation.policies.saved import FORM, load_policy
from uplift.errors import InputError
from uplift.files import expanded
from uplift.response import Response

# Users who are predicted together, counted from the first of the table. A net's sums differ in the last digit with
# the number of rows that it is given, so the same user always comes with the same others; it divides 10,000 and its
# multiples, so that parts of such sizes cut no piece.
TOGETHER = 5_000


class Model:
    """The policy in a folder; only where it lies and its checksum are pickled, and it is loaded where it is used.

    folder : as `earmark fit` or `policy.save` wrote it, of types that are known to be harmless.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = str(expanded(folder))
        self.sha256 = self._checksum()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "policy"}

    @cached_property
    def policy(self) -> Any:
        """The policy, loaded; raises InputError if the folder is not what it was."""
        policy = load_policy(self.folder)
        if self._checksum() != self.sha256:
            raise InputError(f"{self.folder} has changed since it was opened; run again with one and the same model")
        return policy

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that it was fitted on, control first."""
        arms: tuple[str, ...] = self.policy.arms_
        return arms

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that it reads, none for a rule of thumb, which says the same of everybody."""
        return tuple(getattr(self.policy, "features_", ()))

    def respond(self, X: NDArray[np.float32]) -> tuple[Table, Table]:
        """Value and cost of every arm, (r, K+1) each, for features (r, d) of which each `TOGETHER` come together."""
        if not hasattr(self.policy, "predict"):
            means, shape = self.policy.means_, (len(X), len(self.arms))
            return np.broadcast_to(means.value, shape).copy(), np.broadcast_to(means.cost, shape).copy()
        tables: list[Table] = []
        for first in range(0, len(X), TOGETHER):
            response = self.policy.predict(X[first : first + TOGETHER].copy())
            if not isinstance(response, Response):
                raise InputError(f"{self.folder} holds a policy that ranks users and predicts no value and no cost")
            if not tables:
                tables = [np.empty((len(X), len(self.arms)), own.dtype) for own in (response.value, response.cost)]
            for table, own in zip(tables, (response.value, response.cost), strict=True):
                table[first : first + TOGETHER] = own
        return tables[0], tables[1]

    def fingerprint(self) -> dict[str, Any]:
        """The class of the policy and the checksum of its main file, which holds that of every other."""
        return {"class": type(self.policy).__name__, "sha256": self.sha256}

    def _checksum(self) -> str:
        path = Path(self.folder) / FORM.index
        try:
            return checksum(path)
        except OSError as error:
            raise InputError(
                f"{path} cannot be read: {error.strerror or error}; give the folder of a policy, as `earmark fit "
                "--out FOLDER` writes it"
            ) from None
