"""Response learners: from a log to the value and cost of every arm for every user.

All are scikit-learn estimators behind one Protocol, `ResponseLearner`: `fit(X, value, treatment=t, cost=c)` and
`predict(X) -> Response`; the rankers (`DirectRank`, `DRP`, `DCL`) predict a `Ranking`, returns alone. For
GridSearchCV `score` is R^2 of the value under the arm received, of a ranker the area under the cost curve (`aucc`).
`save` and `load` keep a fitted one in a folder.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uplift.learners.base import ResponseLearner
    from uplift.learners.causal_forest import CausalForest
    from uplift.learners.dcl import DCL
    from uplift.learners.direct_rank import DirectRank
    from uplift.learners.dr_learner import DRLearner
    from uplift.learners.drp import DRP
    from uplift.learners.neural import NeuralResponse
    from uplift.learners.s_learner import SLearner
    from uplift.learners.store import load, save
    from uplift.learners.t_learner import TLearner
    from uplift.learners.x_learner import XLearner

# torch, EconML and skops take seconds to import: each name's module is loaded when the name is first asked for.
_HOME = {
    "CausalForest": "uplift.learners.causal_forest",
    "DCL": "uplift.learners.dcl",
    "DRLearner": "uplift.learners.dr_learner",
    "DRP": "uplift.learners.drp",
    "DirectRank": "uplift.learners.direct_rank",
    "NeuralResponse": "uplift.learners.neural",
    "ResponseLearner": "uplift.learners.base",
    "SLearner": "uplift.learners.s_learner",
    "TLearner": "uplift.learners.t_learner",
    "XLearner": "uplift.learners.x_learner",
    "load": "uplift.learners.store",
    "save": "uplift.learners.store",
}

__all__ = [
    "DCL",
    "DRP",
    "CausalForest",
    "DRLearner",
    "DirectRank",
    "NeuralResponse",
    "ResponseLearner",
    "SLearner",
    "TLearner",
    "XLearner",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'uplift.learners' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
