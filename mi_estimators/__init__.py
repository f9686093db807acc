"""Mutual-information bounds as functions of scores: estimators, diagnostics, and preference losses made from them."""

from . import laws
from .bounds import BOUNDS, dv, infonce, js, nwj, smile
from .diagnostics import effective_sample_size, score_weights, starvation_index
from .divergences import DIVERGENCES, FDivergence
from .estimate import MIEstimate, estimate_mi
from .estimators import ESTIMATORS, Estimator
from .expectation import log_mean_exp, mean
from .gradients import GradientStatistics, gradient_statistics
from .preference import (
    PREFERENCE_BOUNDS,
    no_collapse_interval,
    preference_anchor,
    preference_loss,
    preference_loss_floor,
)

__all__ = [
    "BOUNDS",
    "DIVERGENCES",
    "ESTIMATORS",
    "PREFERENCE_BOUNDS",
    "Estimator",
    "FDivergence",
    "GradientStatistics",
    "MIEstimate",
    "dv",
    "effective_sample_size",
    "estimate_mi",
    "gradient_statistics",
    "infonce",
    "js",
    "laws",
    "log_mean_exp",
    "mean",
    "no_collapse_interval",
    "nwj",
    "preference_anchor",
    "preference_loss",
    "preference_loss_floor",
    "score_weights",
    "smile",
    "starvation_index",
]
__version__ = "0.1.0"
