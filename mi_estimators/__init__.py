"""Mutual-information bounds as functions of scores: estimators, diagnostics, and preference losses made from them.

The names here are those of every day. The rest live in `bounds`, `preference`, `diagnostics`, `checks`, `estimation`,
`laws`, `theory` and `display`.
"""

from . import bounds, checks, diagnostics, display, estimation, laws, preference, theory
from .bounds import (
    BOUNDS,
    DIVERGENCES,
    dv,
    infonce,
    joint_and_product,
    js,
    log_mean_exp,
    mean,
    mine,
    nwj,
    smile,
)
from .checks import permutation_test, self_consistency
from .diagnostics import effective_sample_size, gradient_statistics, score_weights, starvation_index
from .estimation import (
    CRITICS,
    ESTIMATORS,
    Encoders,
    MIEstimate,
    MIEstimator,
    conditional_mi,
    estimate_mi,
    ksg,
    pairwise_mi,
)
from .preference import (
    no_collapse_interval,
    preference_anchor,
    preference_loss,
    preference_loss_floor,
)

__all__ = [
    "BOUNDS",
    "CRITICS",
    "DIVERGENCES",
    "ESTIMATORS",
    "Encoders",
    "MIEstimate",
    "MIEstimator",
    "bounds",
    "checks",
    "conditional_mi",
    "diagnostics",
    "display",
    "dv",
    "effective_sample_size",
    "estimate_mi",
    "estimation",
    "gradient_statistics",
    "infonce",
    "joint_and_product",
    "js",
    "ksg",
    "laws",
    "log_mean_exp",
    "mean",
    "mine",
    "no_collapse_interval",
    "nwj",
    "pairwise_mi",
    "permutation_test",
    "preference",
    "preference_anchor",
    "preference_loss",
    "preference_loss_floor",
    "score_weights",
    "self_consistency",
    "smile",
    "starvation_index",
    "theory",
]
__version__ = "0.1.0"
