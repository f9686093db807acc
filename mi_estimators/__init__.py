"""Mutual-information bounds as functions of scores: estimators, diagnostics, and preference losses made from them."""

from . import laws
from .alternatives import ALTERNATIVES, bco, cal_dpo, dpo_sft, dpop, ipo, kto, sft
from .baselines import interpolated, tuba
from .bennett import bridge
from .bounds import BOUNDS, dv, infonce, js, nwj, smile
from .consistency import SelfConsistency, self_consistency
from .diagnostics import effective_sample_size, score_weights, starvation_index
from .distributed import gather, gathered_scores
from .divergences import DIVERGENCES, FDivergence
from .estimate import MIEstimator, estimate_mi
from .estimators import ESTIMATORS, Estimator
from .expectation import log_mean_exp, mean
from .gradient_bias import MinibatchBias, exact_minibatch_bias, minibatch_bias
from .gradient_table import GradientTable, gradient_table, plot_gradient_table
from .gradients import GradientStatistics, gradient_statistics, jackknife_statistics, sample_gradients
from .ksg import ksg
from .mixed import log_ratio_to_relative, relative, relative_to_log_ratio
from .monitor import GradientMonitor
from .objectives import mine
from .permutation import PermutationTest, permutation_test
from .preference import (
    PREFERENCE_BOUNDS,
    no_collapse_interval,
    preference_anchor,
    preference_loss,
    preference_loss_floor,
)
from .readouts import club, jsd_certificate, plug_in
from .report import READOUTS, MIEstimate
from .scores import joint_and_product, pair_scores, product_scores
from .streaming import StreamedValues, streamed_values

__all__ = [
    "ALTERNATIVES",
    "BOUNDS",
    "DIVERGENCES",
    "ESTIMATORS",
    "PREFERENCE_BOUNDS",
    "READOUTS",
    "Estimator",
    "FDivergence",
    "GradientMonitor",
    "GradientStatistics",
    "GradientTable",
    "MIEstimate",
    "MIEstimator",
    "MinibatchBias",
    "PermutationTest",
    "SelfConsistency",
    "StreamedValues",
    "bco",
    "bridge",
    "cal_dpo",
    "club",
    "dpo_sft",
    "dpop",
    "dv",
    "effective_sample_size",
    "estimate_mi",
    "exact_minibatch_bias",
    "gather",
    "gathered_scores",
    "gradient_statistics",
    "gradient_table",
    "infonce",
    "interpolated",
    "ipo",
    "jackknife_statistics",
    "joint_and_product",
    "js",
    "jsd_certificate",
    "ksg",
    "kto",
    "laws",
    "log_mean_exp",
    "log_ratio_to_relative",
    "mean",
    "mine",
    "minibatch_bias",
    "no_collapse_interval",
    "nwj",
    "pair_scores",
    "permutation_test",
    "plot_gradient_table",
    "plug_in",
    "preference_anchor",
    "preference_loss",
    "preference_loss_floor",
    "product_scores",
    "relative",
    "relative_to_log_ratio",
    "sample_gradients",
    "score_weights",
    "self_consistency",
    "sft",
    "smile",
    "starvation_index",
    "streamed_values",
    "tuba",
]
__version__ = "0.1.0"
