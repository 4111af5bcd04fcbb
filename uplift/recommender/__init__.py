"""Long-tail recommendation: what all users share is learned over groups of activeness, with a plugin for each.

`Interactions.from_parquet` reads a log, `leave_last_out` or `split_by_time` cut it, `fit_recommender` trains a
backbone and gates plugins on top, `evaluate_ranking` compares recommenders user by user. Importing this module
imports torch.
"""

from __future__ import annotations

from uplift.recommender.backbones import BACKBONES, backbone
from uplift.recommender.baselines import LastItem, Popularity
from uplift.recommender.engagement import Calibration
from uplift.recommender.features import add_features, empty_engagement, feature_names, user_features
from uplift.recommender.full_ranking import Ranks, Scorer, rank_targets
from uplift.recommender.gate import Gate, gate
from uplift.recommender.grouped_trainer import GroupedTrainer, Training
from uplift.recommender.histories import Histories, encode_histories
from uplift.recommender.interactions import Interactions
from uplift.recommender.log_split import SplitBy
from uplift.recommender.losses import LOSSES, Loss
from uplift.recommender.memory import Memory
from uplift.recommender.plugins import Plugins
from uplift.recommender.ranking_metrics import METRICS, metric
from uplift.recommender.ranking_table import RankingEvaluation, evaluate_ranking
from uplift.recommender.recommender import Recommender, RecommenderSettings
from uplift.recommender.recommender_fit import fit_recommender
from uplift.recommender.saved import SavedRecommender, load_recommender, save_recommender
from uplift.recommender.splitting import Queries, Split, leave_last_out, split_by_time
from uplift.recommender.strata import Strata, activeness_strata, random_strata
from uplift.recommender.top import Top, top_frame, top_items

__all__ = [
    "BACKBONES",
    "LOSSES",
    "METRICS",
    "Calibration",
    "Gate",
    "GroupedTrainer",
    "Histories",
    "Interactions",
    "LastItem",
    "Loss",
    "Memory",
    "Plugins",
    "Popularity",
    "Queries",
    "RankingEvaluation",
    "Ranks",
    "Recommender",
    "RecommenderSettings",
    "SavedRecommender",
    "Scorer",
    "Split",
    "SplitBy",
    "Strata",
    "Top",
    "Training",
    "activeness_strata",
    "add_features",
    "backbone",
    "empty_engagement",
    "encode_histories",
    "evaluate_ranking",
    "feature_names",
    "fit_recommender",
    "gate",
    "leave_last_out",
    "load_recommender",
    "metric",
    "random_strata",
    "rank_targets",
    "save_recommender",
    "split_by_time",
    "top_frame",
    "top_items",
    "user_features",
]
