"""A backbone, with or without plugins and a memory, as a scorer of items for the full ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uplift.errors import InputError
from uplift.learners.training import one_thread
from uplift.recommender.histories import Histories
from uplift.recommender.memory import Memory
from uplift.recommender.plugins import Plugins


@dataclass(frozen=True, eq=False)
class NetScorer:
    """Scores of all items by a backbone; each user through the plugin and the weight of the own group.

    Attributes
    ----------
    net : a `Backbone`.
    plugins, memory : what stands on top of it, or None.
    group : the group (U,) of every user of the log; needed with either.
    """

    net: Any
    plugins: Plugins | None = None
    group: NDArray[np.int64] | None = None
    memory: Memory | None = None

    def scores(
        self, histories: Histories, rows: NDArray[np.int64], users: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Scores (b, n_items), column v - 1 for item code v, of the histories `rows` (b,) of the `users` (b,)."""
        with one_thread(), torch.inference_mode():
            scores = np.empty((len(rows), self.net.n_items), dtype=np.float32)
            for start in range(0, len(rows), self.net.rows_at_once):
                block = slice(start, start + self.net.rows_at_once)
                states, adapt = self._states(histories, rows[block], None if users is None else users[block])
                scores[block] = self.net.score(states, None, adapt).numpy()
        return scores if self.memory is None else self.memory.add(scores, histories, rows, self._groups(users))

    def vectors(
        self, histories: Histories, rows: NDArray[np.int64], users: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """What stands for the user, (b, d), without a candidate in view and without the memory."""
        with one_thread(), torch.inference_mode():
            states, adapt = self._states(histories, rows, users)
            return np.asarray(self.net.vector(states, adapt).numpy())

    def _states(self, histories: Histories, rows: NDArray[np.int64], users: NDArray[np.int64] | None) -> Any:
        self.net.eval()
        states = self.net.last(torch.from_numpy(histories.padded(rows, self.net.length)))
        adapt = None if self.plugins is None else self.plugins.adapt(torch.from_numpy(self._groups(users)))
        return states, adapt

    def _groups(self, users: NDArray[np.int64] | None) -> NDArray[np.int64]:
        if users is None or self.group is None:
            raise InputError("users is None; plugins and memory go by the user's group: give the users' rows")
        return self.group[users]
