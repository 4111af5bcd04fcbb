"""How scikit-learn models are fitted here: seeded where they leave it open, the same bytes on any number of cores."""

from __future__ import annotations

from typing import Any

# Below this many rows one thread is fast enough, and on a busy machine far faster: threads wait for each other.
ONE_THREAD_ROWS = 200_000


def is_estimator(model: Any) -> bool:
    """Whether `model` is a scikit-learn estimator and not its class or its name."""
    return not isinstance(model, type) and hasattr(model, "fit") and hasattr(model, "__sklearn_tags__")


def seeded(model: Any, seed: int) -> Any:
    """The model itself, every random state that it leaves open set to `seed`, also inside a pipeline."""
    for name, state in model.get_params(deep=True).items():
        if name.endswith("random_state") and state is None:
            model.set_params(**{name: seed})
    return model


def lightgbm_settings(rows: int) -> dict[str, Any]:
    """Arguments of every LightGBM model of ours: learning rate .05, silent, the same trees whatever the threads."""
    return {
        "learning_rate": 0.05,
        "deterministic": True,
        "force_row_wise": True,
        "n_jobs": 1 if rows < ONE_THREAD_ROWS else None,
        "verbose": -1,
    }
